"""Moving and multiplying arrays of f32 or c64: boxes, reversals, products that repeat extents."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gpucore import Buffer, ShapeError, T, c64
from gpustd.launch.elements import launch_each
from gpustd.launch.template import Value
from gpustd.signal.arguments import float_or_complex

__all__ = ["MOST_AXES", "product", "region", "reversed_conjugate", "scalar_of"]

MOST_AXES = 6


def scalar_of(x: Buffer[Any]) -> str:
    """What WGSL calls an element."""
    return "c64x1" if x.dtype is c64 else "f32"


def region(op: str, x: Buffer[T], starts: Sequence[int], shape: Sequence[int]) -> Buffer[T]:
    """The box of ``shape`` that begins at ``starts`` of ``x``; outside of it are zeros."""
    _check_rank(op, x)
    float_or_complex(op, x)
    y = x.device.buffer(x.dtype, tuple(shape))
    sizes: dict[str, int | float] = {}
    for axis, extent in enumerate(shape):
        sizes[f"extent{axis}"] = extent
        sizes[f"x_extent{axis}"] = x.shape[axis]
        sizes[f"start{axis}"] = starts[axis]
    spec: dict[str, Value] = {"scalar": scalar_of(x), "rank": len(shape)}
    launch_each("signal/region.wgsl", spec, (x, y), y.size, sizes)
    return y


def reversed_conjugate(x: Buffer[T]) -> Buffer[T]:
    """``x`` reversed along all axes, complex numbers conjugated."""
    y = x.device.buffer(x.dtype, x.shape)
    launch_each("signal/reversed.wgsl", {"scalar": scalar_of(x)}, (x, y), y.size)
    return y


def product(op: str, a: Buffer[c64], b: Buffer[c64]) -> Buffer[c64]:
    """``a * b`` of as many axes; an extent of 1 is repeated. Raises `ShapeError`."""
    _check_rank(op, a)
    pairs = list(zip(a.shape, b.shape, strict=True))
    if any(m != n and 1 not in (m, n) for m, n in pairs):
        raise ShapeError(f"{op}: {a.shape} and {b.shape} do not go together")
    shape = tuple(n if m == 1 else m for m, n in pairs)
    y = a.device.buffer(c64, shape)
    sizes: dict[str, int | float] = {}
    for axis, extent in enumerate(shape):
        sizes[f"extent{axis}"] = extent
        for name, x in (("a", a), ("b", b)):
            own = x.shape[axis] > 1
            sizes[f"{name}_stride{axis}"] = math.prod(x.shape[axis + 1 :]) if own else 0
    launch_each("signal/product.wgsl", {"rank": len(shape)}, (a, b, y), y.size, sizes)
    return y


def _check_rank(op: str, x: Buffer[Any]) -> None:
    if len(x.shape) > MOST_AXES:
        raise ShapeError(f"{op}: {x.shape}: takes at most {MOST_AXES} axes")
