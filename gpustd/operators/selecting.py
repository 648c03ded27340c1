"""Elements by key, as NumPy selects them: numbers, slices, ``...``, None, index arrays and masks.

Slices and numbers are one gather with a stride for each axis. Index arrays are joined into one
index over the axes that they select from, and taken. The result is a copy, never a view: engines
bind memory only at multiples of 256 bytes, and whether a write reaches the array must not depend
on where a slice begins.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from operator import index
from typing import Any, NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device, DTypeError, ShapeError, i32
from gpustd.arrays.elementwise.arithmetic import add, multiply
from gpustd.arrays.elementwise.conversion import cast
from gpustd.arrays.elementwise.operands import broadcast_shape
from gpustd.arrays.indexing import clip_indices, compress, nonzero, take
from gpustd.arrays.masks import Mask, as_mask
from gpustd.arrays.moving.rearranging import broadcast_to
from gpustd.arrays.moving.strided import gather_strided, strides_of
from gpustd.arrays.moving.transposing import transpose

__all__ = ["Selection", "select", "slices_of", "take_checked"]

Indices: TypeAlias = "Buffer[Any] | NDArray[Any]"
Item: TypeAlias = "int | slice | Indices | None"


class Selection(NamedTuple):
    """A selection by numbers and slices: its shape, its strides in the array, its first element."""

    shape: tuple[int, ...]
    strides: list[int]
    start: int


def select(x: Buffer[Any], key: Any) -> Buffer[Any]:
    """Return a copy of the elements that ``key`` selects. Raises IndexError, `DTypeError`."""
    found = _select(x, key)
    return as_mask(found) if isinstance(x, Mask) else found


def _select(x: Buffer[Any], key: Any) -> Buffer[Any]:
    if isinstance(key, Mask) and key.shape and key.shape == x.shape[: len(key.shape)]:
        rows = x.view((key.size, *x.shape[len(key.shape) :]))
        return compress(key.view((key.size,)), rows, 0)
    items = _items_of(x, key)
    if not any(isinstance(each, (Buffer, np.ndarray)) for each in items):
        return _gather(x, slices_of(x, key))
    return _take_items(x, items)


def slices_of(x: Buffer[Any], key: Any) -> Selection | None:
    """Return what a key of numbers and slices selects; None for a key with index arrays.

    Raises IndexError.
    """
    items = _items_of(x, key)
    if any(isinstance(each, (Buffer, np.ndarray)) for each in items):
        return None
    shape: list[int] = []
    strides: list[int] = []
    start = 0
    axes = zip(x.shape, strides_of(x.shape), range(len(x.shape)), strict=True)
    for item in items:
        if item is None:
            shape.append(1)
            strides.append(0)
            continue
        n, stride, axis = next(axes)
        if isinstance(item, slice):
            first, stop, step = item.indices(n)
            count = len(range(first, stop, step))
            shape.append(count)
            strides.append(step * stride)
            start += first * stride if count else 0
        elif isinstance(item, int):
            start += _place(item, n, axis, x) * stride
    return Selection(tuple(shape), strides, start)


def _gather(x: Buffer[Any], selection: Selection | None) -> Buffer[Any]:
    assert selection is not None
    return gather_strided("indexing", x, *selection)


def _place(i: int, n: int, axis: int, x: Buffer[Any]) -> int:
    """Return an index counted from the front. Raises IndexError."""
    if not -n <= i < n:
        raise IndexError(
            f"index {i} is beyond axis {axis} of {x!r}: give one from {-n} to {n - 1}"
            if n
            else f"index {i} of {x!r}: axis {axis} has no elements"
        )
    return i % n


def _items_of(x: Buffer[Any], key: Any) -> list[Item]:
    """Return one item for each axis, and None for each new one. Raises IndexError."""
    parts = list(key) if isinstance(key, tuple) else [key]
    dots = [k for k, each in enumerate(parts) if each is Ellipsis]
    if len(dots) > 1:
        raise IndexError(f"index of {x!r}: there must be one ..., got {len(dots)}")
    at = dots[0] if dots else len(parts)
    before = [each for part in parts[:at] for each in _parse_part(x.device, part)]
    after = [each for part in parts[at + 1 :] for each in _parse_part(x.device, part)]
    missing = len(x.shape) - sum(each is not None for each in (*before, *after))
    if missing < 0:
        raise IndexError(
            f"index of {x!r}: there must be at most {len(x.shape)} indices, got "
            f"{len(x.shape) - missing}"
        )
    _require_masks_fit(x, parts)
    return [*before, *[slice(None)] * missing, *after]


def _parse_part(device: Device, part: Any) -> list[Item]:
    """Return a part of a key as items; a mask as one index array for each of its axes."""
    if part is None or isinstance(part, slice):
        return [part]
    if isinstance(part, Mask):
        return list(nonzero(part))
    if isinstance(part, Buffer):
        if part.dtype.numpy.kind not in "iu":
            raise DTypeError(
                f"indices must be whole numbers or truth values, got {part!r}: convert them with "
                "astype"
            )
        return [part]
    if isinstance(part, (list, tuple, np.ndarray)):
        array = np.asarray(part)
        if array.dtype == np.bool_ and array.ndim:
            return list(np.nonzero(array))
        if not array.size and not isinstance(part, np.ndarray):
            array = array.astype(np.int32)
        if array.dtype.kind in "iu":
            return [array]
    elif not isinstance(part, (bool, np.bool_)):
        try:
            return [index(part)]
        except TypeError:
            pass
    raise IndexError(
        f"an index must be a whole number, a slice, ..., None, or an array of whole numbers or "
        f"truth values, got {part!r}"
    )


def _require_masks_fit(x: Buffer[Any], parts: Sequence[Any]) -> None:
    """Raise IndexError where a mask has other extents than its axes."""
    for k, part in enumerate(parts):
        array = np.asarray(part) if isinstance(part, list) else part
        host = isinstance(array, np.ndarray) and array.dtype == np.bool_
        if not host and not isinstance(part, Mask):
            continue
        if any(each is Ellipsis for each in parts[:k]):
            first = len(x.shape) - sum(map(_axes_of_part, parts[k:]))
        else:
            first = sum(map(_axes_of_part, parts[:k]))
        extents = x.shape[first : first + len(array.shape)]
        if tuple(array.shape) != extents:
            raise IndexError(f"a mask of {array.shape} must have the extents {extents} of {x!r}")


def _axes_of_part(part: Any) -> int:
    """Return how many axes a part of a key selects from."""
    if part is None or part is Ellipsis:
        return 0
    array = np.asarray(part) if isinstance(part, list) else part
    truth = isinstance(array, Mask) or (isinstance(array, np.ndarray) and array.dtype == np.bool_)
    return len(array.shape) if truth else 1


def _take_items(x: Buffer[Any], items: Sequence[Item]) -> Buffer[Any]:
    """Return the elements at index arrays, after the slices beside them; numbers are arrays."""
    kept = [
        slice(None) if not isinstance(each, slice) and each is not None else each for each in items
    ]
    chosen = [k for k, each in enumerate(items) if each is not None and not isinstance(each, slice)]
    arrays = [np.asarray(items[k]) if isinstance(items[k], int) else items[k] for k in chosen]
    sliced = (
        x if all(each == slice(None) for each in kept) else _gather(x, slices_of(x, tuple(kept)))
    )
    extents = [sliced.shape[k] for k in chosen]
    places = _combine_places(x, arrays, extents)
    rest = [k for k in range(len(items)) if k not in chosen]
    adjacent = chosen[-1] - chosen[0] == len(chosen) - 1
    at = chosen[0] if adjacent else 0
    order = [*rest[:at], *chosen, *rest[at:]]
    turned = sliced if order == sorted(order) else transpose(sliced, order)
    lead = turned.shape[:at]
    flat = turned.view((*lead, math.prod(extents), *turned.shape[at + len(chosen) :]))
    return take(flat, places, at)


def _combine_places(x: Buffer[Any], arrays: Sequence[Any], extents: Sequence[int]) -> Buffer[Any]:
    """Return index arrays as one, over their axes as a single axis."""
    try:
        shape = broadcast_shape("indices", [each.shape for each in arrays])
    except ShapeError as error:
        raise IndexError(str(error)) from None
    strides = strides_of(extents)
    host = np.zeros(shape, np.int64)
    total: Buffer[Any] | None = None
    for axis, (each, n, stride) in enumerate(zip(arrays, extents, strides, strict=True)):
        if isinstance(each, Buffer):
            part = multiply(clip_indices(_as_i32(each), n), stride)
            total = part if total is None else add(total, part)
            continue
        if each.size and (each.min() < -n or each.max() >= n):
            raise IndexError(
                f"indices {each.min()} to {each.max()} are beyond axis {axis} of {x!r}: give some "
                f"from {-n} to {n - 1}"
            )
        host = host + np.where(each < 0, each + n, each).astype(np.int64) * stride
    if total is None:
        return x.device.buffer_from_array(np.broadcast_to(host, shape).astype(np.int32))
    if host.any():
        total = add(total, x.device.buffer_from_array(host.astype(np.int32)))
    return total if total.shape == shape else broadcast_to(total, shape)


def _as_i32(indices: Buffer[Any]) -> Buffer[Any]:
    """Return indices in i32; u32 beyond its range is limited by the axis all the same."""
    return indices if indices.dtype.name in ("i32", "u32") else cast(indices, i32)


def take_checked(x: Buffer[Any], indices: Any, axis: int) -> Buffer[Any]:
    """Return the elements at indices along an axis. Raises IndexError for those on the host."""
    key = indices if isinstance(indices, Buffer) else np.asarray(indices)
    return _select(x, (*[slice(None)] * axis, key))
