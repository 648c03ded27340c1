"""The k largest or least along an axis, and what there is at all."""

from __future__ import annotations

from typing import Any

from gpucore import ArgumentError, Buffer, Device, ShapeError, T, i32
from gpucore.integers import ceil_div
from gpustd.arrays.axes import axis_of, three_extents
from gpustd.arrays.elementwise.logic import isnan, less, logical_and, logical_not, logical_or
from gpustd.arrays.elementwise.operands import FLOATS, REALS, common_dtype
from gpustd.arrays.indexing import compress, take_along_axis
from gpustd.arrays.moving.blocks import concat
from gpustd.arrays.moving.strided import slice_columns
from gpustd.arrays.sorting.radix import argsort, sort
from gpustd.launch.checks import as_int
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import subgroup_lanes
from gpustd.launch.template import Value, kernel

__all__ = ["topk", "unique"]

# Elements of a piece whose first ones are found one by one, and how many of these at most.
_PIECE = 1024
_MOST_FIRST = 24
_MOST_LANES = 64
_WORKGROUP = 128


def topk(
    x: Buffer[T], k: int, axis: int = -1, *, largest: bool = True
) -> tuple[Buffer[T], Buffer[i32]]:
    """Return the ``k`` largest (or least) along an axis, in order, and their places.

    Of equal ones the first come first; NaN comes last. Raises `ArgumentError` for a ``k`` beyond
    the axis, `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array(np.array([3, 9, 4, 9], np.int32))
    >>> [found.read().tolist() for found in arrays.topk(x, 3)]
    [[9, 9, 4], [1, 3, 2]]
    """
    common_dtype("topk", [x], REALS)
    if not x.shape:
        raise ShapeError("topk: x must have an axis, got (); give it one with view")
    along = axis_of("topk", axis, x)
    k = as_int("topk", "k", k)
    if not 0 <= k <= x.shape[along]:
        raise ArgumentError(f"topk: k must be 0 to {x.shape[along]} for {x.shape}, got {k}")
    outer, n, inner = three_extents(x.shape, along, along)
    shape = (*x.shape[:along], k, *x.shape[along + 1 :])
    if inner == 1 and outer and _takes_first(x.device, k):
        places = _first_places(x.view((outer, n)), k, descending=largest).view(shape)
        return take_along_axis(x, places, along), places
    order: Buffer[Any] = argsort(x, along, descending=largest)
    places = slice_columns(order.view((outer, n * inner)), 0, k * inner).view(shape)
    return take_along_axis(x, places, along), places


def unique(x: Buffer[T]) -> Buffer[T]:
    """Return the distinct numbers of ``x``, flattened, in rising order; NaN once, last.

    Their count is the length of the result and is read back from the device, so this waits. Raises
    `DTypeError`.

    >>> x = device.buffer_from_array([3, 1, 3, 2], i32)
    >>> print(arrays.unique(x).read())
    [1 2 3]
    """
    common_dtype("unique", [x], REALS)
    rising = sort(x, None)
    if rising.size < 2:
        return rising
    row = rising.view((1, rising.size))
    first = slice_columns(row, 0, 1).view((1,))
    before = slice_columns(row, 0, rising.size - 1).view((rising.size - 1,))
    after = slice_columns(row, 1, rising.size).view((rising.size - 1,))
    is_new = less(before, after)
    if x.dtype.name in FLOATS:
        is_new = logical_or(is_new, logical_and(isnan(after), logical_not(isnan(before))))
    return concat([first, compress(is_new, after)])


def _takes_first(device: Device, k: int) -> bool:
    """Tell whether `_first_places` finds as many as ``k``."""
    return 0 < k <= min(_MOST_FIRST, subgroup_lanes(device, "topk", _MOST_LANES))


def _first_places(x: Buffer[Any], k: int, *, descending: bool) -> Buffer[i32]:
    """Return the places of the first ``k`` of each row (axis 1), as `argsort` orders them.

    Long rows are cut into pieces: the first of each piece are found, then the first of these.
    """
    rows, n = x.shape
    lanes = subgroup_lanes(x.device, "topk", _MOST_LANES)
    unit = 4 if n % 4 == 0 else 1
    pieces = ceil_div(n, min(_PIECE, 32 * lanes))
    each, more = divmod(n // unit, pieces)
    spec: dict[str, Value] = {
        "kind": x.dtype.name,
        "descending": descending,
        "aligned": unit == 4,
        "words": ceil_div(unit * (each + (more > 0)), 4 * lanes),
        "workgroup": _WORKGROUP,
        "lanes": lanes,
    }
    y = x.device.buffer(i32, (rows, pieces * k))
    launch = kernel(x.device, "arrays/top_rows.wgsl", **spec)
    sizes = {"n": n, "count": rows * pieces, "k": k, "pieces": pieces, "each": each, "more": more}
    launch(x, y, sizes, grid=flat_grid(rows * pieces, _WORKGROUP // lanes))
    if pieces == 1:
        return y
    found = _first_places(take_along_axis(x, y, 1), k, descending=descending)
    return take_along_axis(y, found, 1)
