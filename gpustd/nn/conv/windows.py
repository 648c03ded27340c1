"""Windows that slide over up to three spatial axes: their arguments and extents."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import index
from typing import Any, NamedTuple

from gpucore import ArgumentError, Buffer, LimitError, ShapeError
from gpustd.launch.checks import require_buffers

__all__ = [
    "AXES",
    "Axis",
    "Extents",
    "Padding",
    "Window",
    "each_axis",
    "is_wide",
    "spatial_extents",
    "window_of",
    "window_params",
]

Extents = int | Sequence[int]
Padding = Extents | str
AXES = ("z", "y", "x")
# The largest i32, in which kernels compute places.
_MOST = 2**31 - 1
# Extents up to this one have shares of at most 53 bits.
_MOST_WIDE = 2**26


@dataclass(frozen=True)
class Axis:
    """A window along one axis: tap k of result i is element ``i stride + k dilation - before``.

    ``size`` elements have ``before`` and ``after`` zeros beside them; there are ``result`` windows.
    """

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

    def fill_result(self) -> Axis:
        """Return the axis with as many results as windows fit into the padded elements."""
        room = self.size + self.before + self.after - self.span
        return replace(self, result=room // self.stride + 1)


class Window(NamedTuple):
    """A window along depth, height and width."""

    z: Axis
    y: Axis
    x: Axis


def each_axis(op: str, name: str, value: Extents, rank: int, least: int = 1) -> tuple[int, ...]:
    """Return one number for each of ``rank`` axes, none below ``least``.

    Raises `ArgumentError`.
    """
    try:
        each = value if isinstance(value, Sequence) else (value,) * rank
        numbers = tuple(map(index, each))
    except TypeError:
        numbers = ()
    if len(numbers) != rank or not all(least <= n <= _MOST for n in numbers):
        raise ArgumentError(
            f"{op}: {name} must be a whole number, or {rank} of them, from {least} to {_MOST}, "
            f"got {value!r}"
        )
    return numbers


def is_wide(op: str, old: Sequence[int], new: Sequence[int]) -> bool:
    """Tell whether shares of axes (``shaders/nn/share.wgsl``) need more than 32 bits.

    Raises `LimitError` where they need more than the shader has.
    """
    wide = any((o + 1) * (n + 1) >= 2**32 for o, n in zip(old, new, strict=True))
    if wide and max(*old, *new) > _MOST_WIDE:
        listed = f"{tuple(old)} to {tuple(new)}"
        raise LimitError(
            f"{op}: extents must be at most {_MOST_WIDE}, got {listed}; split the image"
        )
    return wide


def spatial_extents(op: str, x: Buffer[Any], rank: int) -> tuple[int, ...]:
    """Return the extents of the spatial axes of (N, ..., C).

    Raises `ShapeError`, `ArgumentError`.
    """
    require_buffers(op, x)
    if len(x.shape) != rank + 2:
        axes = ", ".join(("N", *"DHW"[3 - rank :], "C")) if rank > 1 else "N, L, C"
        raise ShapeError(f"{op}: x must be ({axes}), channels last, got {x.shape}")
    return x.shape[1:-1]


def window_of(axes: Sequence[Axis]) -> Window:
    """Return a window over three axes: axes of one element come before the given ones."""
    return Window(*(Axis() for _ in range(3 - len(axes))), *axes)


def window_params(window: Window) -> dict[str, int]:
    """Return the fields of ``shaders/nn/window_params.wgsl``, but for the first two."""
    params: dict[str, int] = {}
    for name in ("size", "result", "kernel", "stride", "dilation", "before"):
        params |= {f"{name}_{a}": getattr(x, name) for a, x in zip(AXES, window, strict=True)}
    return params
