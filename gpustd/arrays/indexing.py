"""Elements by index: take, put, add, select.

Indices are i32 or u32. Negative ones count from the axis's end. Those beyond it are limited to it,
since a kernel cannot raise errors. All raise `ShapeError` for shapes and axes that do not fit,
`DTypeError` for other indices.
"""

from __future__ import annotations

import math
from typing import Any

from gpucore import Buffer, DTypeError, ShapeError, T, i32, u32
from gpustd.arrays.axes import axis_of, three_extents
from gpustd.arrays.creation import zeros
from gpustd.arrays.elementwise.arithmetic import add, clip, floor_divide, remainder
from gpustd.arrays.elementwise.conversion import cast
from gpustd.arrays.elementwise.logic import less, not_equal, where
from gpustd.arrays.elementwise.operands import REALS, broadcast_shape, common_dtype
from gpustd.arrays.folds.scans import cumsum
from gpustd.arrays.moving.rearranging import broadcast_to
from gpustd.arrays.sorting.radix import argsort
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import launch_each, launch_flat, require_f16_support, words_of
from gpustd.launch.template import Value

__all__ = [
    "clip_indices",
    "compress",
    "nonzero",
    "put_along_axis",
    "scatter_add",
    "take",
    "take_along_axis",
]

_FLOATS = ("c64", "f16", "f32")


def take(x: Buffer[T], indices: Buffer[Any], axis: int | None = None) -> Buffer[T]:
    """Return the elements at ``indices`` along an axis (of the flattened array for None).

    The axes of ``indices`` take the place of the axis.

    >>> x = device.buffer_from_array(np.array([10, 20, 30], np.int32))
    >>> arrays.take(x, device.buffer_from_array(np.array([2, 0, -1], np.int32))).read()
    array([30, 10, 30], dtype=int32)
    """
    require_buffers("take", x, indices)
    flat = x.view((x.size,)) if axis is None else x
    along = axis_of("take", 0 if axis is None else axis, flat)
    _, n, inner = three_extents(flat.shape, along, along)
    shape = (*flat.shape[:along], *indices.shape, *flat.shape[along + 1 :])
    return _take("take", x, indices, (n, indices.size, inner), shape)


def take_along_axis(x: Buffer[T], indices: Buffer[Any], axis: int | None = -1) -> Buffer[T]:
    """Return the elements at ``indices``, which has the shape of ``x`` except along ``axis``.

    Other extents of 1 are repeated, in both. For None, ``x`` is flattened.

    >>> x = device.buffer_from_array([[3, 1, 2], [7, 9, 8]], i32)
    >>> places = x.device.buffer_from_array([[1], [0]], i32)
    >>> print(arrays.take_along_axis(x, places, 1).read().tolist())
    [[1], [7]]
    """
    x, indices, along = _broadcast_indices("take_along_axis", x, indices, axis)
    _, n, inner = three_extents(x.shape, along, along)
    extents = (n, indices.shape[along], inner)
    return _take("take_along_axis", x, indices, extents, indices.shape)


def put_along_axis(x: Buffer[T], indices: Buffer[Any], values: Buffer[T], axis: int) -> Buffer[T]:
    """Return a copy of ``x`` with ``values`` at the places that `take_along_axis` would read.

    Of equal indices the last one counts, as in NumPy. Extents of 1 of ``indices`` are
    repeated along the other axes, and ``values`` to the shape of ``indices``.

    >>> x = device.buffer_from_array([1, 2, 3], i32)
    >>> places, values = (x.device.buffer_from_array(a, i32) for a in ([2, 0], [30, 10]))
    >>> print(arrays.put_along_axis(x, places, values, 0).read())
    [10  2 30]
    """
    require_buffers("put_along_axis", x, indices, values)
    kind = common_dtype("put_along_axis", [x, values], ("c64", *REALS)).name
    wide, indices, along = _broadcast_indices("put_along_axis", x, indices, axis)
    if wide.shape != x.shape:
        raise ShapeError(
            f"put_along_axis: indices must not broadcast x, got {indices.shape} for {x.shape}"
        )
    if values.shape != indices.shape:
        if broadcast_shape("put_along_axis", [values.shape, indices.shape]) != indices.shape:
            raise ShapeError(
                f"put_along_axis: values must broadcast to {indices.shape}, got {values.shape}"
            )
        values = broadcast_to(values, indices.shape)
    outer, n, inner = three_extents(x.shape, along, along)
    claimed = zeros(x.device, x.shape, u32)
    index = _index_dtype("put_along_axis", indices)
    if x.size and indices.size:
        sizes = {"n": n, "m": indices.shape[along], "inner": inner}
        operands = (indices, claimed)
        launch_flat(
            "arrays/claim.wgsl", {"index": index}, operands, outer * sizes["m"] * inner, sizes
        )
    y = x.device.buffer(x.dtype, x.shape)
    if x.size:
        buffers = (x, values if values.size else x, claimed, y)
        launch_each(
            "arrays/settle.wgsl", {"kind": kind}, buffers, words_of(x.size), {"last": x.size - 1}
        )
    return y


def scatter_add(x: Buffer[T], indices: Buffer[Any], values: Buffer[T], axis: int = 0) -> Buffer[T]:
    """Return a copy of ``x`` with rows of ``values`` added at ``indices`` (M) along an axis.

    ``values`` has the shape of ``x`` with M along the axis. i32 and u32 wrap. Floats are added in
    f32 in the order of the indices, so the bits are the same each time (`numpy.add.at`). Integers
    are added atomically; for floats the indices are sorted first.

    >>> x = device.buffer_from_array([1, 2, 3], i32)
    >>> places, values = (x.device.buffer_from_array(a, i32) for a in ([2, 2], [10, 20]))
    >>> print(arrays.scatter_add(x, places, values).read())
    [ 1  2 33]
    """
    require_buffers("scatter_add", x, indices, values)
    along = axis_of("scatter_add", axis, x)
    kind = common_dtype("scatter_add", [x, values], (*_FLOATS, "i32", "u32")).name
    shape = (*x.shape[:along], indices.size, *x.shape[along + 1 :])
    if len(indices.shape) != 1 or values.shape != shape:
        raise ShapeError(
            f"scatter_add: indices must have one axis and values be {shape}, got "
            f"{indices.shape} and {values.shape}"
        )
    _, n, inner = three_extents(x.shape, along, along)
    y = x.device.buffer(x.dtype, x.shape)
    index = _index_dtype("scatter_add", indices)
    sizes = {"n": n, "m": indices.size, "inner": inner}
    if kind not in _FLOATS or not values.size:
        y.copy_from(x)
        if values.size:
            flat = values.size == indices.size
            spec: dict[str, Value] = {"kind": kind, "index": index, "flat": flat}
            count = words_of(values.size) if flat else values.size
            sizes["size"] = values.size
            launch_flat("arrays/scatter_add.wgsl", spec, (values, indices, y), count, sizes)
        return y
    places = clip_indices(indices, n)
    order = argsort(places)
    buffers = (x, values, take(places, order), order, y)
    last = {"last": x.size - 1}
    launch_each("arrays/segment_add.wgsl", {"kind": kind}, buffers, words_of(x.size), sizes | last)
    return y


def nonzero(x: Buffer[Any]) -> tuple[Buffer[i32], ...]:
    """Return the coordinates of the elements other than 0: an array for each axis, row by row.

    Their count is the length of the arrays and is read back from the device, so this waits.

    >>> x = device.buffer_from_array([[0, 7], [8, 0]], i32)
    >>> print([found.read().tolist() for found in arrays.nonzero(x)])
    [[0, 1], [1, 0]]
    """
    require_buffers("nonzero", x)
    if not x.shape:
        raise ShapeError("nonzero: x must have an axis, got (); give it one with view")
    flat = _nonzero_places("nonzero", x)
    coordinates: list[Buffer[i32]] = []
    for axis, n in enumerate(x.shape):
        quotient = floor_divide(flat, max(1, math.prod(x.shape[axis + 1 :])))
        coordinates.append(remainder(quotient, n) if axis else quotient)
    return tuple(coordinates)


def compress(condition: Buffer[Any], x: Buffer[T], axis: int | None = None) -> Buffer[T]:
    """Return the elements along an axis where ``condition`` is not 0.

    For None, the axis is that of the flattened array. ``condition`` has one axis, which is not
    longer. Waits, as `nonzero` does.

    >>> x = device.buffer_from_array([1, 5, 2], i32)
    >>> print(arrays.compress(arrays.less(x, 3), x).read())
    [1 2]
    """
    require_buffers("compress", condition, x)
    flat = x.view((x.size,)) if axis is None else x
    along = axis_of("compress", 0 if axis is None else axis, flat)
    if len(condition.shape) != 1 or condition.size > flat.shape[along]:
        raise ShapeError(
            f"compress: condition must have one axis of at most {flat.shape[along]} elements, "
            f"got {condition.shape}"
        )
    return take(flat, _nonzero_places("compress", condition), along)


def _nonzero_places(op: str, x: Buffer[Any]) -> Buffer[i32]:
    """Return the flat indices of the elements other than 0; read their count back."""
    common_dtype(op, [x], REALS)
    if not x.size:
        return x.device.buffer(i32, 0)
    flags = not_equal(x.view((x.size,)), 0)
    before = cumsum(flags, exclusive=True)
    last = x.device.buffer_from_array([x.size - 1], i32)
    count = int(take(before, last).read()[0]) + int(take(flags, last).read()[0])
    y = x.device.buffer(i32, count)
    if count:
        launch_flat("arrays/compact.wgsl", {}, (flags, before, y), x.size)
    return y


def _broadcast_indices(
    op: str, x: Buffer[T], indices: Buffer[Any], axis: int | None
) -> tuple[Buffer[T], Buffer[Any], int]:
    """Return ``x`` and the indices with shapes that differ along an axis only, and that axis.

    Raises `ShapeError`.
    """
    require_buffers(op, x, indices)
    if axis is None:
        x, axis = x.view((x.size,)), 0
    along = axis_of(op, axis, x)
    pairs = list(zip(x.shape, indices.shape, strict=False))
    beside = [pair for a, pair in enumerate(pairs) if a != along]
    if len(x.shape) != len(indices.shape) or any(m != n and 1 not in (m, n) for m, n in beside):
        raise ShapeError(
            f"{op}: indices must have the shape of x {x.shape} except along axis {along}, got "
            f"{indices.shape}"
        )
    common = [n if m == 1 else m for m, n in pairs]
    x_shape, shape = ((*common[:along], n, *common[along + 1 :]) for n in pairs[along])
    x = x if x.shape == x_shape else broadcast_to(x, x_shape)
    indices = indices if indices.shape == shape else broadcast_to(indices, shape)
    return x, indices, along


def _index_dtype(op: str, indices: Buffer[Any]) -> str:
    """Return the name of the indices' dtype. Raises `DTypeError` unless it is i32 or u32."""
    name: str = indices.dtype.name
    if name not in ("i32", "u32"):
        raise DTypeError(f"{op}: indices must be i32 or u32, got {indices!r}; cast them")
    return name


def _take(
    op: str,
    x: Buffer[T],
    indices: Buffer[Any],
    extents: tuple[int, int, int],
    shape: tuple[int, ...],
) -> Buffer[T]:
    """Return the elements at ``indices``, in ``shape``.

    ``extents`` are those of the axis in ``x`` and in the result, and of what is behind it.
    """
    n, m, inner = extents
    require_f16_support(op, x.dtype.name, [x])
    index = _index_dtype(op, indices)
    y = x.device.buffer(x.dtype, shape)
    if not y.size:
        return y
    if not n:
        raise ShapeError(f"{op}: the axis must have elements to take, got {x.shape}")
    along = indices.size != m
    width = 4 if inner % 4 == 0 and not along else 1
    spec: dict[str, Value] = {"kind": x.dtype.name, "index": index, "along": along, "width": width}
    sizes = {"last": y.size - 1, "n": n, "m": m, "inner": inner // width}
    launch_each("arrays/take.wgsl", spec, (x, indices, y), words_of(y.size), sizes)
    return y


def clip_indices(indices: Buffer[Any], n: int) -> Buffer[i32]:
    """Return indices as i32 from 0 to n - 1."""
    if indices.dtype is not i32:
        return cast(clip(indices, 0, n - 1), i32)
    return clip(where(less(indices, 0), add(indices, n), indices), 0, n - 1)
