"""Arrays in another order or shape: nothing is computed, any dtype, results are new buffers.

`gpucore.Buffer.view` gives the same elements another shape without a copy. All raise `ShapeError`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, T, i8, u8
from gpucore.integers import ceil_div
from gpustd.arrays import layout
from gpustd.arrays.axes import Axes, axes_of, axis_of, three_extents
from gpustd.arrays.operands import broadcast_shape, broadcast_strides, merged_axes
from gpustd.launch.checks import as_int, require_buffers
from gpustd.launch.elements import launch_each, require_f16_support, words_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["broadcast_to", "concat", "flip", "repeat", "roll", "stack", "tile", "transpose"]

_PLAIN = ("f16", "f32", "i32", "u32")
_MOST_PARTS = 6
# Bytes across a block that is turned at once.
_BLOCK = 128


def broadcast_to(x: Buffer[T], shape: int | Sequence[int]) -> Buffer[T]:
    """``x`` repeated along axes of extent 1 and new ones in front, to ``shape``.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 2, 3], i32)
    >>> print(arrays.broadcast_to(x, (2, 3)).read().tolist())
    [[1, 2, 3], [1, 2, 3]]
    """
    require_buffers("broadcast_to", x)
    listed = shape if isinstance(shape, Sequence) else [shape]
    shape = tuple(as_int("broadcast_to", "shape", n) for n in listed)
    if broadcast_shape("broadcast_to", [x.shape, shape]) != shape:
        raise ShapeError(f"broadcast_to: {x.shape} does not broadcast to {shape}")
    return _gathered("broadcast_to", x, shape, broadcast_strides(x.shape, shape))


def transpose(x: Buffer[T], axes: Sequence[int] | None = None) -> Buffer[T]:
    """Axis i of the result is axis ``axes[i]`` of ``x``; all the other way round for None.

    >>> import numpy as np; from gpucore import Device; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array(np.arange(6, dtype=np.uint8).reshape(2, 3))
    >>> arrays.transpose(x).read().tolist()
    [[0, 3], [1, 4], [2, 5]]
    """
    require_buffers("transpose", x)
    if axes is not None and not isinstance(axes, Sequence):
        raise ArgumentError(f"transpose: axes {axes!r}: wants each axis once, such as (1, 0)")
    rank = len(x.shape)
    order = list(range(rank))[::-1] if axes is None else [axis_of("transpose", a, x) for a in axes]
    if sorted(order) != list(range(rank)):
        raise ShapeError(f"transpose: axes {order} of {x.shape}: wants each of its axes once")
    if x.dtype.name in _PLAIN and rank <= layout.MOST_AXES:
        return layout.transpose(x, order)
    shape = tuple(x.shape[a] for a in order)
    matrices = _matrices(x, order)
    if matrices is not None:
        return _turned_bytes(x, matrices).view(shape)
    steps = _strides(x.shape)
    return _gathered("transpose", x, shape, [steps[a] for a in order])


def flip(x: Buffer[T], axis: Axes = None) -> Buffer[T]:
    """Axes the other way round: one, several, or all for None.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 2, 3], i32)
    >>> print(arrays.flip(x).read())
    [3 2 1]
    """
    axes = axes_of("flip", axis, x)
    steps = _strides(x.shape)
    start = sum((x.shape[a] - 1) * steps[a] for a in axes)
    return _gathered(
        "flip", x, x.shape, [-s if a in axes else s for a, s in enumerate(steps)], start
    )


def roll(x: Buffer[T], shift: int | Sequence[int], axis: Axes = None) -> Buffer[T]:
    """Elements moved ``shift`` places on along an axis (the flattened array for None), round.

    Several axes take a shift each, or all the same one. Raises `ArgumentError` too.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 2, 3], i32)
    >>> print(arrays.roll(x, 1).read())
    [3 1 2]
    """
    require_buffers("roll", x)
    if isinstance(shift, tuple | list) or isinstance(axis, tuple | list):
        return _rolled(x, shift, axis)
    shift = as_int("roll", "shift", shift)
    axis = None if axis is None else as_int("roll", "axis", axis)
    if axis is None:
        return roll(x.view((x.size,)), shift, 0).view(x.shape)
    along = axis_of("roll", axis, x)
    outer, n, inner = three_extents(x.shape, along, along)
    back = -shift % max(n, 1)
    wraps = [(0, outer), (back, n), (0, inner)]
    return _wrapped("roll", x, x.shape, [outer, n, inner], [n * inner, inner, 1], wraps)


def _rolled(x: Buffer[T], shift: Any, axis: Any) -> Buffer[T]:
    """`roll` along several axes, one after the other; along one named twice by both shifts."""
    named = isinstance(axis, tuple | list)
    axes = [as_int("roll", "axis", a) for a in axis] if named else [axis]
    shifts = list(shift) if isinstance(shift, tuple | list) else [shift]
    count = max(len(axes), len(shifts)) if axes and shifts else 0
    if {len(axes), len(shifts)} - {1, count}:
        raise ArgumentError(f"roll: shift {shift} along axis {axis}: give as many, or one of them")
    if not count:
        return _gathered("roll", x, x.shape, _strides(x.shape))
    for k in range(count):
        x = roll(x, shifts[k % len(shifts)], axes[k % len(axes)])
    return x


def tile(x: Buffer[T], reps: int | Sequence[int]) -> Buffer[T]:
    """``x`` behind itself so many times along each axis; missing ones count as 1, in front.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 2], i32)
    >>> print(arrays.tile(x, 2).read())
    [1 2 1 2]
    """
    require_buffers("tile", x)
    listed = reps if isinstance(reps, Sequence) else [reps]
    times = [as_int("tile", "reps", n) for n in listed]
    if any(n < 0 for n in times):
        raise ShapeError(f"tile: {times} of {x.shape}: reps must not be negative")
    rank = max(len(times), len(x.shape))
    times = [1] * (rank - len(times)) + times
    shape = (1,) * (rank - len(x.shape)) + x.shape
    full = tuple(t * n for t, n in zip(times, shape, strict=True))
    split = [e for t, n in zip(times, shape, strict=True) for e in (t, n)]
    steps = [s for step in _strides(shape) for s in (0, step)]
    return _gathered("tile", x, tuple(split), steps).view(full)


def repeat(x: Buffer[T], repeats: int, axis: int | None = None) -> Buffer[T]:
    """Each element ``repeats`` times along an axis, of the flattened array for None.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 2], i32)
    >>> print(arrays.repeat(x, 2).read())
    [1 1 2 2]
    """
    require_buffers("repeat", x)
    repeats = as_int("repeat", "repeats", repeats)
    if repeats < 0:
        raise ShapeError(f"repeat: {repeats} of {x.shape}: wants a number >= 0")
    flat = x.view((x.size,)) if axis is None else x
    along = axis_of("repeat", 0 if axis is None else axis, flat)
    outer, n, inner = three_extents(flat.shape, along, along)
    y = _gathered("repeat", flat, (outer, n, repeats, inner), [n * inner, inner, 0, 1])
    return y.view((*flat.shape[:along], n * repeats, *flat.shape[along + 1 :]))


def concat(parts: Sequence[Buffer[T]], axis: int | None = 0) -> Buffer[T]:
    """Buffers whose shapes differ in ``axis`` only, behind one another; all flattened for None.

    Raises `DTypeError` too.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 2], i32)
    >>> print(arrays.concat([x, x]).read())
    [1 2 1 2]
    """
    _check_parts("concat", parts)
    if axis is None:
        parts, axis = [part.view((part.size,)) for part in parts], 0
    along = axis_of("concat", axis, parts[0])
    if parts[0].dtype.name in _PLAIN:
        return layout.concat(parts, along)
    first = parts[0].shape
    for part in parts:
        if part.dtype is not parts[0].dtype:
            raise DTypeError(f"concat: {part!r} and {parts[0]!r}: cast them to one dtype first")
        if len(part.shape) != len(first) or any(
            part.shape[a] != n for a, n in enumerate(first) if a != along
        ):
            raise ShapeError(f"concat: {part.shape} and {first} must differ in axis {along} only")
    if len(parts) == 1:
        return _gathered("concat", parts[0], first, _strides(first))
    joined = list(parts)
    while len(joined) > 1:
        groups = range(0, len(joined), _MOST_PARTS)
        joined = [_joined(joined[k : k + _MOST_PARTS], along) for k in groups]
    return joined[0]


def stack(parts: Sequence[Buffer[T]], axis: int = 0) -> Buffer[T]:
    """Buffers of one shape side by side along a new axis.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 2], i32)
    >>> print(arrays.stack([x, x]).read().tolist())
    [[1, 2], [1, 2]]
    """
    _check_parts("stack", parts)
    axis = as_int("stack", "axis", axis)
    shape = parts[0].shape
    if any(part.shape != shape for part in parts):
        raise ShapeError(f"stack: shapes {[p.shape for p in parts]} differ: make them equal")
    if not -len(shape) - 1 <= axis <= len(shape):
        raise ShapeError(f"stack: axis {axis} of {shape}: the result has {len(shape) + 1} axes")
    along = axis % (len(shape) + 1)
    return concat([p.view((*shape[:along], 1, *shape[along:])) for p in parts], along)


def _check_parts(op: str, parts: Any) -> None:
    """Raise `ArgumentError` for what is no list of buffers, `ShapeError` for an empty one."""
    if not isinstance(parts, Sequence):
        raise ArgumentError(f"{op}: got {type(parts).__name__}, wants a list of buffers: [x, y]")
    if not len(parts):
        raise ShapeError(f"{op}: no buffers: give at least one")
    require_buffers(op, *parts)


def _matrices(x: Buffer[Any], order: Sequence[int]) -> tuple[int, int, int] | None:
    """(outer, rows, columns) of bytes where each of these is to be turned, in words of four."""
    extents, strides = layout.merged(x.shape, order)
    cpu = x.device.is_cpu and forced_variant("transpose") != "tiles"
    if x.dtype not in (i8, u8) or cpu or len(extents) not in (2, 3) or strides[-2] != 1:
        return None
    columns, rows = extents[-2:]
    outer = extents[0] if len(extents) == 3 else 1
    if strides[-1] != columns or (outer > 1 and strides[0] != rows * columns):
        return None
    return None if not x.size or rows % 4 or columns % 4 else (outer, rows, columns)


def _turned_bytes(x: Buffer[T], matrices: tuple[int, int, int]) -> Buffer[T]:
    """Matrices (outer, rows, columns) of bytes as (outer, columns, rows)."""
    outer, rows, columns = matrices
    y = x.device.buffer(x.dtype, (outer, columns, rows))
    sizes = {"rows": rows // 4, "columns": columns // 4}
    sizes |= {"down": ceil_div(rows, _BLOCK), "across": ceil_div(columns, _BLOCK)}
    sizes["count"] = outer * sizes["down"] * sizes["across"]
    launch = kernel(x.device, "arrays/transpose_bytes.wgsl", kind=x.dtype.name)
    launch(x, y, sizes, grid=flat_grid(sizes["count"], 1))
    return y


def _joined(parts: Sequence[Buffer[Any]], axis: int) -> Buffer[Any]:
    """Up to six buffers of one dtype along ``axis``, in one launch."""
    if len(parts) == 1:
        return parts[0]
    shape = list(parts[0].shape)
    shape[axis] = sum(p.shape[axis] for p in parts)
    y: Buffer[Any] = parts[0].device.buffer(parts[0].dtype, tuple(shape))
    if y.size:
        rest = math.prod(shape[axis + 1 :])
        ends = [rest * sum(p.shape[axis] for p in parts[: k + 1]) for k in range(len(parts))]
        sizes = {"last": y.size - 1} | {f"end{k}": end for k, end in enumerate(ends)}
        spec: dict[str, Value] = {"kind": y.dtype.name, "parts": len(parts)}
        launch_each("arrays/concat.wgsl", spec, (*parts, y), words_of(y.size), sizes)
    return y


def _strides(shape: Sequence[int]) -> list[int]:
    return [math.prod(shape[a + 1 :]) for a in range(len(shape))]


def _gathered(
    op: str, x: Buffer[T], shape: tuple[int, ...], strides: Sequence[int], start: int = 0
) -> Buffer[T]:
    """Element (i, j, ...) of the result is x at ``start + i strides[0] + j strides[1] + ...``."""
    require_f16_support(op, x.dtype.name, [x])
    y = x.device.buffer(x.dtype, shape)
    if not y.size:
        return y
    extents, (steps,) = merged_axes(shape, [strides])
    if not extents:
        extents, steps = [1], [1]
    pieces = (extents[-1], start, *steps[:-1])
    width = 4 if steps[-1] == 1 and all(n % 4 == 0 for n in pieces) else 1
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


def _wrapped(
    op: str,
    x: Buffer[T],
    shape: tuple[int, ...],
    extents: Sequence[int],
    strides: Sequence[int],
    wraps: Sequence[tuple[int, int]],
) -> Buffer[T]:
    """As `_gathered`, with each coordinate moved by a shift and taken modulo a period."""
    require_f16_support(op, x.dtype.name, [x])
    y = x.device.buffer(x.dtype, shape)
    if not y.size:
        return y
    sizes = {"last": y.size - 1, "start": 0}
    for i, (n, step, (shift, period)) in enumerate(zip(extents, strides, wraps, strict=True)):
        sizes |= {f"extent{i}": n, f"stride{i}": step, f"shift{i}": shift, f"period{i}": period}
    spec: dict[str, Value] = {"kind": x.dtype.name, "rank": len(extents), "width": 1, "wraps": True}
    launch_each("arrays/gather.wgsl", spec, (x, y), words_of(y.size), sizes)
    return y


def cut(x: Buffer[T], start: int, stop: int) -> Buffer[T]:
    """Elements ``start`` to ``stop`` (not included) of each row of (rows, n)."""
    return _gathered("cut", x, (x.shape[0], stop - start), [x.shape[1], 1], start)
