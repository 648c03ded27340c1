"""The ends of a transform: its line of numbers, what the first pass reads, what the last writes."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from gpucore import Buffer, c64, f32
from gpustd.signal.frames import Framing

__all__ = ["Line", "PassInput", "PassOutput", "Table"]

Table = Callable[[int], Buffer[c64]]
"""A table of numbers, as a function of its least length."""


@dataclass(frozen=True)
class Line:
    """The axis of ``n`` numbers that is transformed, in an array (outer, axis, inner)."""

    outer: int
    n: int
    inner: int


@dataclass(frozen=True)
class PassInput:
    """The numbers that the first pass reads.

    Attributes:
        kind: complex, real, pairs, hermitian, hermitian_pairs, frames, frame_pairs or blocks (see
            ``shaders/signal/ends.wgsl``).
        extent: of the axis in memory.
        count: numbers of it that are read; zeros follow.
        sign: -1.0 to take conjugates.
        as_pairs: the buffer is f32, and its pairs are complex numbers.
        factors: the table, given its least length, whose numbers multiply the source's.
        full_length: the numbers (or pairs) whose spectrum a hermitian source is.
        framing: how frames, the inner axis, are cut from a signal.
        window: the factors of a frame's numbers.
    """

    kind: str
    extent: int
    count: int
    sign: float = 1.0
    as_pairs: bool = False
    factors: Table | None = None
    full_length: int = 0
    framing: Framing | None = None
    window: Buffer[f32] | None = None


@dataclass(frozen=True)
class PassOutput:
    """The numbers that the last pass writes, each times ``scale`` at the end.

    Fields are those of `PassInput`. ``kind`` is complex, real, pairs, blocks or spectrum. Blocks
    are a row of them that begins at ``first``. A spectrum is the first ``extent`` = n + 1 numbers
    of the transform of real numbers, whose pairs the source was. With ``rows`` the transformed axis
    is the last, after the inner one.
    """

    kind: str
    extent: int
    count: int
    scale: float = 1.0
    sign: float = 1.0
    as_pairs: bool = False
    factors: Table | None = None
    rows: bool = False
    first: int = 0
