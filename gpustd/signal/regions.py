"""Kernels over arrays of f32 or c64: regions, reversals, and products that repeat extents."""

from __future__ import annotations

import math
from collections.abc import Sequence

from gpucore import Buffer, ShapeError, T, c64
from gpustd.launch.elements import launch_each
from gpustd.launch.template import Value
from gpustd.signal.arguments import element_type, require_few_axes, require_float_or_complex

__all__ = ["extract_region", "multiply_spectra", "reverse_conjugate"]


def extract_region(op: str, x: Buffer[T], starts: Sequence[int], shape: Sequence[int]) -> Buffer[T]:
    """Return the region of ``shape`` from ``starts`` of ``x`` on, with zeros outside of ``x``.

    Raises `ShapeError`, `DTypeError`.
    """
    require_few_axes(op, x)
    require_float_or_complex(op, x)
    y = x.device.buffer(x.dtype, tuple(shape))
    sizes: dict[str, int | float] = {}
    for axis, extent in enumerate(shape):
        sizes[f"extent{axis}"] = extent
        sizes[f"x_extent{axis}"] = x.shape[axis]
        sizes[f"start{axis}"] = starts[axis]
    spec: dict[str, Value] = {"scalar": element_type(x), "rank": len(shape)}
    launch_each("signal/region.wgsl", spec, (x, y), y.size, sizes)
    return y


def reverse_conjugate(x: Buffer[T]) -> Buffer[T]:
    """Return ``x`` reversed along all axes, with complex numbers conjugated."""
    y = x.device.buffer(x.dtype, x.shape)
    launch_each("signal/reversed.wgsl", {"scalar": element_type(x)}, (x, y), y.size)
    return y


def multiply_spectra(op: str, a: Buffer[c64], b: Buffer[c64]) -> Buffer[c64]:
    """Return ``a * b`` of as many axes; an extent of 1 is repeated. Raises `ShapeError`."""
    require_few_axes(op, a)
    pairs = list(zip(a.shape, b.shape, strict=True))
    if any(m != n and 1 not in (m, n) for m, n in pairs):
        raise ShapeError(
            f"{op}: both shapes must agree, or be 1 where they differ, got {a.shape} and {b.shape}"
        )
    shape = tuple(n if m == 1 else m for m, n in pairs)
    y = a.device.buffer(c64, shape)
    sizes: dict[str, int | float] = {}
    for axis, extent in enumerate(shape):
        sizes[f"extent{axis}"] = extent
        for name, x in (("a", a), ("b", b)):
            steps = x.shape[axis] > 1
            sizes[f"{name}_stride{axis}"] = math.prod(x.shape[axis + 1 :]) if steps else 0
    launch_each("signal/product.wgsl", {"rank": len(shape)}, (a, b, y), y.size, sizes)
    return y
