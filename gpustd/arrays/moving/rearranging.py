"""Arrays repeated, reversed and rolled: nothing is computed, any dtype, results are new buffers.

`gpucore.Buffer.view` gives the same elements another shape without a copy. All raise `ShapeError`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpucore import ArgumentError, Buffer, ShapeError, T
from gpustd.arrays.axes import Axes, axes_of, axis_of, three_extents
from gpustd.arrays.elementwise.operands import broadcast_shape, broadcast_strides
from gpustd.arrays.moving.strided import RolledAxis, gather_rolled, gather_strided, strides_of
from gpustd.launch.checks import as_int, require_buffers

__all__ = ["broadcast_to", "flip", "repeat", "roll", "tile"]


def broadcast_to(x: Buffer[T], shape: int | Sequence[int]) -> Buffer[T]:
    """Repeat ``x`` along axes of extent 1, and along new axes in front, to ``shape``.

    >>> x = device.buffer_from_array([1, 2, 3], i32)
    >>> print(arrays.broadcast_to(x, (2, 3)).read().tolist())
    [[1, 2, 3], [1, 2, 3]]
    """
    require_buffers("broadcast_to", x)
    extents = shape if isinstance(shape, Sequence) else [shape]
    shape = tuple(as_int("broadcast_to", "shape", n) for n in extents)
    if broadcast_shape("broadcast_to", [x.shape, shape]) != shape:
        raise ShapeError(f"broadcast_to: {x.shape} does not broadcast to {shape}")
    return gather_strided("broadcast_to", x, shape, broadcast_strides(x.shape, shape))


def flip(x: Buffer[T], axis: Axes = None) -> Buffer[T]:
    """Reverse axes: one, several, or all for None.

    >>> x = device.buffer_from_array([1, 2, 3], i32)
    >>> print(arrays.flip(x).read())
    [3 2 1]
    """
    axes = axes_of("flip", axis, x)
    strides = strides_of(x.shape)
    start = sum((x.shape[a] - 1) * strides[a] for a in axes)
    turned = [-s if a in axes else s for a, s in enumerate(strides)]
    return gather_strided("flip", x, x.shape, turned, start)


def roll(x: Buffer[T], shift: int | Sequence[int], axis: Axes = None) -> Buffer[T]:
    """Move elements ``shift`` places along an axis; those beyond its end come first again.

    The axis is that of the flattened array for None. Several axes take a shift each, or all the
    same one. Raises `ArgumentError` too.

    >>> x = device.buffer_from_array([1, 2, 3], i32)
    >>> print(arrays.roll(x, 1).read())
    [3 1 2]
    """
    require_buffers("roll", x)
    if isinstance(shift, tuple | list) or isinstance(axis, tuple | list):
        return _roll_axes(x, shift, axis)
    shift = as_int("roll", "shift", shift)
    axis = None if axis is None else as_int("roll", "axis", axis)
    if axis is None:
        return roll(x.view((x.size,)), shift, 0).view(x.shape)
    along = axis_of("roll", axis, x)
    outer, n, inner = three_extents(x.shape, along, along)
    back = -shift % max(n, 1)
    axes = [RolledAxis(outer, n * inner, 0), RolledAxis(n, inner, back), RolledAxis(inner, 1, 0)]
    return gather_rolled("roll", x, axes)


def _roll_axes(x: Buffer[T], shift: Any, axis: Any) -> Buffer[T]:
    """Roll along several axes, one after the other; along one named twice by both shifts."""
    named = isinstance(axis, tuple | list)
    axes = [as_int("roll", "axis", a) for a in axis] if named else [axis]
    shifts = list(shift) if isinstance(shift, tuple | list) else [shift]
    count = max(len(axes), len(shifts)) if axes and shifts else 0
    if {len(axes), len(shifts)} - {1, count}:
        raise ArgumentError(
            f"roll: shift and axis must be as many, or one of them single, got {shift} and {axis}"
        )
    if not count:
        return gather_strided("roll", x, x.shape, strides_of(x.shape))
    for k in range(count):
        x = roll(x, shifts[k % len(shifts)], axes[k % len(axes)])
    return x


def tile(x: Buffer[T], reps: int | Sequence[int]) -> Buffer[T]:
    """Repeat the whole of ``x`` along each axis; missing numbers are 1, for the first axes.

    >>> x = device.buffer_from_array([1, 2], i32)
    >>> print(arrays.tile(x, 2).read())
    [1 2 1 2]
    """
    require_buffers("tile", x)
    given = reps if isinstance(reps, Sequence) else [reps]
    times = [as_int("tile", "reps", n) for n in given]
    if any(n < 0 for n in times):
        raise ShapeError(f"tile: reps must not be negative, got {times} for {x.shape}")
    rank = max(len(times), len(x.shape))
    times = [1] * (rank - len(times)) + times
    shape = (1,) * (rank - len(x.shape)) + x.shape
    full = tuple(t * n for t, n in zip(times, shape, strict=True))
    # Each axis as two: the repetitions, which have a stride of 0, and the elements.
    split = [e for t, n in zip(times, shape, strict=True) for e in (t, n)]
    strides = [s for step in strides_of(shape) for s in (0, step)]
    return gather_strided("tile", x, tuple(split), strides).view(full)


def repeat(x: Buffer[T], repeats: int, axis: int | None = None) -> Buffer[T]:
    """Repeat each element ``repeats`` times along an axis, of the flattened array for None.

    >>> x = device.buffer_from_array([1, 2], i32)
    >>> print(arrays.repeat(x, 2).read())
    [1 1 2 2]
    """
    require_buffers("repeat", x)
    repeats = as_int("repeat", "repeats", repeats)
    if repeats < 0:
        raise ShapeError(f"repeat: repeats must not be negative, got {repeats} for {x.shape}")
    flat = x.view((x.size,)) if axis is None else x
    along = axis_of("repeat", 0 if axis is None else axis, flat)
    outer, n, inner = three_extents(flat.shape, along, along)
    y = gather_strided("repeat", flat, (outer, n, repeats, inner), [n * inner, inner, 0, 1])
    return y.view((*flat.shape[:along], n * repeats, *flat.shape[along + 1 :]))
