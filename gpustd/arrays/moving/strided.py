"""Gathers with one stride for each axis of the result: ``shaders/arrays/gather.wgsl``."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

from gpucore import Buffer, T
from gpustd.arrays.elementwise.operands import merge_axes
from gpustd.launch.elements import launch_each, require_f16_support, words_of
from gpustd.launch.template import Value

__all__ = ["RolledAxis", "gather_rolled", "gather_strided", "slice_columns", "strides_of"]


class RolledAxis(NamedTuple):
    """An axis of a gather whose coordinates are shifted and taken modulo the extent."""

    extent: int
    stride: int
    shift: int


def strides_of(shape: Sequence[int]) -> list[int]:
    """Return the elements from one to the next along each axis of a contiguous array."""
    return [math.prod(shape[a + 1 :]) for a in range(len(shape))]


def gather_strided(
    op: str, x: Buffer[T], shape: tuple[int, ...], strides: Sequence[int], start: int = 0
) -> Buffer[T]:
    """Return an array whose element (i, j, ...) is x at ``start + i strides[0] + ...``.

    Strides may be 0 or negative. Raises `DTypeError` for f16 where the device has none.
    """
    require_f16_support(op, x.dtype.name, [x])
    y = x.device.buffer(x.dtype, shape)
    if not y.size:
        return y
    extents, (steps,) = merge_axes(shape, [strides])
    if not extents:
        extents, steps = [1], [1]
    runs = (extents[-1], start, *steps[:-1])
    width = 4 if steps[-1] == 1 and all(n % 4 == 0 for n in runs) else 1
    if width == 4:
        extents[-1] //= 4
        start //= 4
        steps = [*(s // 4 for s in steps[:-1]), 1]
    sizes = {"last": y.size - 1, "start": start}
    sizes |= {f"extent{i}": n for i, n in enumerate(extents)}
    sizes |= {f"stride{i}": s % 2**32 for i, s in enumerate(steps)}
    spec: dict[str, Value] = {"kind": x.dtype.name, "rank": len(extents)}
    spec |= {"width": width, "wraps": False}
    launch_each("arrays/gather.wgsl", spec, (x, y), words_of(y.size), sizes)
    return y


def gather_rolled(op: str, x: Buffer[T], axes: Sequence[RolledAxis]) -> Buffer[T]:
    """Return x in its own shape, seen along ``axes``, with each coordinate rolled by its shift.

    Raises `DTypeError` for f16 where the device has none.
    """
    require_f16_support(op, x.dtype.name, [x])
    y = x.device.buffer(x.dtype, x.shape)
    if not y.size:
        return y
    sizes = {"last": y.size - 1, "start": 0}
    for i, (extent, stride, shift) in enumerate(axes):
        sizes |= {f"extent{i}": extent, f"stride{i}": stride}
        sizes |= {f"shift{i}": shift, f"period{i}": extent}
    spec: dict[str, Value] = {"kind": x.dtype.name, "rank": len(axes), "width": 1, "wraps": True}
    launch_each("arrays/gather.wgsl", spec, (x, y), words_of(y.size), sizes)
    return y


def slice_columns(x: Buffer[T], start: int, stop: int) -> Buffer[T]:
    """Return the elements ``start`` to ``stop`` (not included) of each row of (rows, n)."""
    return gather_strided("slice", x, (x.shape[0], stop - start), [x.shape[1], 1], start)
