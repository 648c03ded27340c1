"""Moving elements: concat, slice_axis, transpose and repeat_batch. No arithmetic, any dtype."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, ShapeError, T
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_int, require_buffers
from gpustd.launch.elements import common_scalar, launch_each, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["concat", "repeat_batch", "slice_axis", "transpose"]

MOST_AXES = 6
_SIDE = 32


@dataclass(frozen=True)
class Block:
    """``rows`` times ``inner`` elements to copy, with the pitch and start of both sides."""

    rows: int
    inner: int
    x_pitch: int
    x_start: int
    y_pitch: int
    y_start: int

    def copy(self, op: str, x: Buffer[Any], y: Buffer[Any]) -> None:
        """Record the copy from ``x`` to ``y``."""
        extents = (self.inner, self.x_pitch, self.x_start, self.y_pitch, self.y_start)
        width = width_of(*extents)
        names = ("inner", "x_pitch", "x_start", "y_pitch", "y_start")
        sizes = {name: n // width for name, n in zip(names, extents, strict=True)}
        spec: dict[str, Value] = {"scalar": common_scalar(op, x, y), "width": width}
        launch_each(
            "arrays/layout/block.wgsl", spec, (x, y), self.rows * self.inner // width, sizes
        )


def concat(parts: Sequence[Buffer[T]], axis: int) -> Buffer[T]:
    """Join buffers whose shapes differ in ``axis`` only. Raises `ShapeError`, `DTypeError`."""
    if not parts:
        raise ShapeError("concat: no buffers: give at least one")
    first = parts[0]
    axis = _axis("concat", axis, first)
    shapes = [p.shape for p in parts]
    if any(s[:axis] + s[axis + 1 :] != shapes[0][:axis] + shapes[0][axis + 1 :] for s in shapes):
        raise ShapeError(f"concat: shapes {shapes} must differ in axis {axis} only")
    common_scalar("concat", *parts)
    extent = sum(s[axis] for s in shapes)
    y = first.device.buffer(first.dtype, (*shapes[0][:axis], extent, *shapes[0][axis + 1 :]))
    rows, rest = math.prod(shapes[0][:axis]), math.prod(shapes[0][axis + 1 :])
    start = 0
    for part in parts:
        inner = part.shape[axis] * rest
        Block(rows, inner, inner, 0, extent * rest, start).copy("concat", part, y)
        start += inner
    return y


def slice_axis(x: Buffer[T], axis: int, start: int, stop: int) -> Buffer[T]:
    """Elements ``start`` to ``stop`` (not included) of an axis. Raises `ShapeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device
    >>> device = Device.auto()
    >>> x = device.buffer_from_array(np.arange(6, dtype=np.float32).reshape(2, 3))
    >>> gpustd.slice_axis(x, 1, 1, 3).read().tolist()
    [[1.0, 2.0], [4.0, 5.0]]
    """
    require_buffers("slice_axis", x)
    axis = _axis("slice_axis", axis, x)
    extent = x.shape[axis]
    start, stop = as_int("slice_axis", "start", start), as_int("slice_axis", "stop", stop)
    if not 0 <= start <= stop <= extent:
        raise ShapeError(f"slice_axis: {start}:{stop} of axis {axis} of {x.shape}")
    y = x.device.buffer(x.dtype, (*x.shape[:axis], stop - start, *x.shape[axis + 1 :]))
    rows, rest = math.prod(x.shape[:axis]), math.prod(x.shape[axis + 1 :])
    inner = (stop - start) * rest
    Block(rows, inner, extent * rest, start * rest, inner, 0).copy("slice_axis", x, y)
    return y


def repeat_batch(x: Buffer[T], count: int) -> Buffer[T]:
    """``count`` copies of ``x`` behind one another along axis 0. Raises `ShapeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device
    >>> device = Device.auto()
    >>> x = device.buffer_from_array(np.array([[1, 2]], np.float32))
    >>> gpustd.repeat_batch(x, 2).read().tolist()
    [[1.0, 2.0], [1.0, 2.0]]
    """
    require_buffers("repeat_batch", x)
    count = as_int("repeat_batch", "count", count)
    if not x.shape or count < 1:
        raise ShapeError(f"repeat_batch: {count} copies of {x.shape}: wants an axis, a count >= 1")
    y = x.device.buffer(x.dtype, (x.shape[0] * count, *x.shape[1:]))
    Block(count, x.size, 0, 0, x.size, 0).copy("repeat_batch", x, y)
    return y


def transpose(x: Buffer[T], axes: Sequence[int]) -> Buffer[T]:
    """Axis i of the result is axis ``axes[i]`` of ``x``; up to 6 axes. Raises `ShapeError`."""
    rank = len(x.shape)
    if sorted(axes) != list(range(rank)) or rank > MOST_AXES:
        raise ShapeError(
            f"transpose: axes {tuple(axes)} of {x.shape}: wants each of its axes once, and at "
            f"most {MOST_AXES}"
        )
    y = x.device.buffer(x.dtype, tuple(x.shape[a] for a in axes))
    extents, strides = merged(x.shape, axes)
    tiles = not x.device.is_cpu and strides[-1] > 1
    variant = forced_variant("transpose") or ("tiles" if tiles else "transpose")
    if variant == "tiles" and strides[-1] > 1 and y.size:
        _transpose_tiles(x, y, extents, strides)
    else:
        _transpose_flat(x, y, extents, strides)
    return y


def _transpose_flat(x: Buffer[T], y: Buffer[T], extents: list[int], strides: list[int]) -> None:
    """Record the gathering of each word of the result; a last axis that stays moves in words."""
    width = width_of(extents[-1], *strides[:-1]) if strides[-1] == 1 else 1
    sizes = {f"extent{i}": n for i, n in enumerate(extents)}
    sizes |= {f"stride{i}": n // width for i, n in enumerate(strides)}
    last = len(extents) - 1
    sizes |= {f"extent{last}": extents[-1] // width, f"stride{last}": strides[-1]}
    spec: dict[str, Value] = {
        "scalar": common_scalar("transpose", x),
        "width": width,
        "rank": len(extents),
    }
    launch_each("arrays/layout/transpose.wgsl", spec, (x, y), y.size // width, sizes)


def _transpose_tiles(x: Buffer[T], y: Buffer[T], extents: list[int], strides: list[int]) -> None:
    """Record the transpose by blocks of the result's last axis and of all others."""
    pitches = [math.prod(extents[i + 1 :]) for i in range(len(extents))]
    inward = sorted(range(len(extents) - 1), key=lambda i: strides[i])
    others = y.size // extents[-1]
    across = ceil_div(extents[-1], _SIDE)
    blocks = across * ceil_div(others, _SIDE)
    sizes = {
        "blocks": blocks,
        "across": across,
        "last": extents[-1],
        "others": others,
        "inner": strides[-1],
    }
    sizes |= {f"extent{n}": extents[i] for n, i in enumerate(inward)}
    sizes |= {f"stride{n}": pitches[i] for n, i in enumerate(inward)}
    spec: dict[str, Value] = {"scalar": common_scalar("transpose", x), "rank": len(extents)}
    kernel(x.device, "arrays/layout/tiles.wgsl", **spec)(x, y, sizes, grid=flat_grid(blocks, 1))


def merged(shape: Sequence[int], axes: Sequence[int]) -> tuple[list[int], list[int]]:
    """Extents of the result and their strides in ``x``, with neighbours that stay so as one."""
    strides = [math.prod(shape[a + 1 :]) for a in range(len(shape))]
    extents_out, strides_out = [1], [1]
    for a in axes:
        if shape[a] == 1:
            continue
        if strides_out[-1] == shape[a] * strides[a]:
            extents_out[-1] *= shape[a]
            strides_out[-1] = strides[a]
        else:
            extents_out.append(shape[a])
            strides_out.append(strides[a])
    first = 1 if len(extents_out) > 1 else 0
    return extents_out[first:], strides_out[first:]


def _axis(op: str, axis: int, x: Buffer[Any]) -> int:
    """``axis`` counted from the front. Raises `ShapeError`."""
    rank, axis = len(x.shape), as_int(op, "axis", axis)
    if not -rank <= axis < rank:
        raise ShapeError(f"{op}: axis {axis} of {x.shape}: it has {rank} axes")
    return axis % rank
