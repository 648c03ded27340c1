"""Slots of low-rank updates: matrices from adapters' files, brought into a slot's layout."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, u32
from gpucore.integers import ceil_div
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import float_scalar
from gpustd.launch.template import Value, kernel

__all__ = ["Move", "Moves", "Region", "Source", "moves_table", "place_matrices"]

_WORKGROUP: Final = 64
_MOST_GROUPS: Final = 1024
"""Workgroups of a move; those make larger ones in several turns."""


class Region(NamedTuple):
    """A region of a buffer: ``rows`` by ``columns`` elements, from element ``first`` on.

    ``pitch``: elements from one of its rows to the next. ``taps``: its rows stand tap by tap, those
    of the source channel by channel.
    """

    first: int
    pitch: int
    rows: int
    columns: int
    taps: int = 1


class Source(NamedTuple):
    """A matrix (columns, ``line``) from element ``first`` of a buffer on.

    Some ``rows`` and ``columns`` of it count.
    """

    first: int
    line: int
    rows: int
    columns: int
    factor: float = 1.0


class Move(NamedTuple):
    """``factor * source.T`` into a region of ``down``, or of ``up``; zeros past what counts."""

    source: Source
    region: Region
    goes_up: bool

    @property
    def size(self) -> int:
        """The elements that it writes."""
        return self.region.rows * self.region.columns


@dataclass(frozen=True)
class Moves:
    """Moves of a ``table`` on the device: ``count`` from ``first`` on; ``most``: greatest size."""

    table: Buffer[u32]
    first: int
    count: int
    most: int


def moves_table(moves: Sequence[Move]) -> NDArray[np.uint32]:
    """Return the table (moves, 12) that the kernel reads."""
    rows = [
        (
            *(source.first, source.line, source.rows, source.columns),
            *(move.size, region.columns, region.first, region.pitch),
            *(max(region.rows // region.taps, 1), region.taps, int(move.goes_up), 0),
        )
        for move in moves
        for source, region in [move[:2]]
    ]
    table = np.array(rows, np.uint32).reshape(-1, 12)
    table[:, -1] = np.array([move.source.factor for move in moves], np.float32).view(np.uint32)
    return table


def place_matrices(
    source: Buffer[Any],
    moves: Moves,
    down: Buffer[Any],
    up: Buffer[Any],
    failures: Buffer[u32],
) -> None:
    """Record moves out of ``source``, f16 or f32, into the matrices of a layer, f16 or f32.

    Numbers that these cannot hold become 0, and are counted in ``failures`` (1,).
    Raises `DTypeError`.
    """
    op = "place_matrices"
    require_buffers(op, source, moves.table, down, up, failures)
    spec: dict[str, Value] = {
        "scalar": float_scalar(op, source),
        "target": float_scalar(op, down, up),
    }
    grid = min(ceil_div(moves.most, _WORKGROUP), _MOST_GROUPS), moves.count, 1
    record = kernel(down.device, "matmul/low_rank/place.wgsl", **spec)
    record(source, moves.table, failures, down, up, {"skip": moves.first}, grid=grid)
