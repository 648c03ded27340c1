"""Windows that slide over up to three spatial axes: their arguments and extents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import index
from typing import Any

from gpucore import ArgumentError, Buffer, LimitError, ShapeError
from gpustd.launch.checks import require_buffers

__all__ = [
    "AXES",
    "Axis",
    "Extents",
    "Padding",
    "Window",
    "each_axis",
    "fields",
    "is_wide",
    "spatial",
    "three",
]

Extents = int | Sequence[int]
Padding = Extents | str
AXES = ("z", "y", "x")
# What a kernel's i32 holds.
_MOST = 2**31 - 1
_MOST_WIDE = 2**26


@dataclass(frozen=True)
class Axis:
    """A window along one axis: tap k of result i is element ``i stride + k dilation - before``."""

    size: int = 1
    kernel: int = 1
    stride: int = 1
    dilation: int = 1
    before: int = 0
    after: int = 0
    result: int = 1

    @property
    def span(self) -> int:
        """Elements from the first to the last tap."""
        return (self.kernel - 1) * self.dilation + 1

    def sized(self) -> Axis:
        """With as many results as windows lie wholly in the padded elements."""
        room = self.size + self.before + self.after - self.span
        return replace(self, result=room // self.stride + 1)


Window = tuple[Axis, Axis, Axis]


def each_axis(op: str, name: str, value: Extents, rank: int, least: int = 1) -> tuple[int, ...]:
    """One number for each of ``rank`` axes, none below ``least``. Raises `ArgumentError`."""
    try:
        each = value if isinstance(value, Sequence) else (value,) * rank
        numbers = tuple(map(index, each))
    except TypeError:
        numbers = ()
    if len(numbers) != rank or not all(least <= n <= _MOST for n in numbers):
        raise ArgumentError(
            f"{op}: {name} {value!r}: wants a whole number, or {rank} of them, of at least {least} "
            f"and at most {_MOST}"
        )
    return numbers


def is_wide(op: str, old: Sequence[int], new: Sequence[int]) -> bool:
    """Whether shares of axes (``shaders/nn/share.wgsl``) want more than 32 bits.

    Raises `LimitError` where they want more than they can have.
    """
    wide = any((o + 1) * (n + 1) >= 2**32 for o, n in zip(old, new, strict=True))
    if wide and max(*old, *new) > _MOST_WIDE:
        listed = f"{tuple(old)} to {tuple(new)}"
        raise LimitError(f"{op}: {listed}: extents are up to {_MOST_WIDE} here: split them")
    return wide


def spatial(op: str, x: Buffer[Any], rank: int) -> tuple[int, ...]:
    """Extents of the spatial axes of (N, ..., C). Raises `ShapeError`, `ArgumentError`."""
    require_buffers(op, x)
    if len(x.shape) != rank + 2:
        axes = ", ".join(("N", *"DHW"[3 - rank :], "C")) if rank > 1 else "N, L, C"
        raise ShapeError(f"{op}: {x.shape}: wants ({axes}), channels last")
    return x.shape[1:-1]


def three(axes: Sequence[Axis]) -> Window:
    """A window over three axes, of which the first may be single elements."""
    z, y, x = (*(Axis() for _ in range(3 - len(axes))), *axes)
    return z, y, x


def fields(window: Window) -> dict[str, int]:
    """The fields of ``Params`` in ``shaders/nn/window_params.wgsl``, but for the first two."""
    table: dict[str, int] = {}
    for name in ("size", "result", "kernel", "stride", "dilation", "before"):
        table |= {f"{name}_{a}": getattr(x, name) for a, x in zip(AXES, window, strict=True)}
    return table
