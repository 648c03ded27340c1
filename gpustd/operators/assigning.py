"""``x[key] = value``: the selected elements are replaced in the buffer's own memory.

Numbers and slices are one scatter with a stride for each axis. Dtypes of one byte, and index arrays
and masks, replace the elements of a copy, which is copied back: the last of equal indices counts.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpucore import Buffer, ShapeError, i32
from gpustd.arrays.creation import arange, full
from gpustd.arrays.elementwise.logic import where
from gpustd.arrays.elementwise.operands import broadcast_strides, merge_axes
from gpustd.arrays.indexing import put_along_axis
from gpustd.arrays.masks import Mask
from gpustd.arrays.moving.rearranging import broadcast_to
from gpustd.arrays.moving.strided import strides_of
from gpustd.launch.elements import launch_flat, require_f16_support
from gpustd.launch.template import Value
from gpustd.operators.promotion import require_same_kind, upload
from gpustd.operators.selecting import Selection, select, slices_of

__all__ = ["assign"]

_WORDS = ("c64", "f16", "f32", "i32", "u32")


def assign(x: Buffer[Any], key: Any, value: Any) -> None:
    """Replace the elements that ``key`` selects by ``value``, broadcast to their shape.

    Raises IndexError, `ShapeError`, and `DTypeError` for a value of another kind.
    """
    given = _as_value(x, value)
    if isinstance(key, Mask) and key.shape == x.shape and given.size == 1:
        x.copy_from(where(key, given.view(()), x))
        return
    selection = slices_of(x, key)
    if selection is None:
        _put(x, select(arange(x.device, x.size, dtype=i32).view(x.shape), key), given)
        return
    fitted = _fit_value(x, given, selection.shape)
    if not math.prod(selection.shape):
        return
    if selection == Selection(x.shape, strides_of(x.shape), 0) and fitted.size == x.size:
        x.copy_from(fitted)
    elif x.dtype.name in _WORDS:
        _scatter(x, fitted, selection)
    else:
        _put(x, select(arange(x.device, x.size, dtype=i32).view(x.shape), key), given)


def _as_value(x: Buffer[Any], value: Any) -> Buffer[Any]:
    """Return ``value`` as a buffer of the dtype of ``x``, in memory of its own."""
    number = upload(x.device, value)
    if not isinstance(number, Buffer):
        whole = isinstance(number, int) and x.dtype.numpy.kind in "fc"
        return full(x.device, (), float(number.real) if whole else number, x.dtype)
    given = require_same_kind("assignment", number, x)
    return given.__copy__() if given.storage is x.storage else given


def _fit_value(x: Buffer[Any], given: Buffer[Any], shape: tuple[int, ...]) -> Buffer[Any]:
    """Return the value without leading axes of 1 that ``shape`` lacks. Raises `ShapeError`."""
    extents = given.shape
    while len(extents) > len(shape) and extents[0] == 1:
        extents = extents[1:]
    try:
        fits = np.broadcast_shapes(extents, shape) == shape
    except ValueError:
        fits = False
    if not fits:
        raise ShapeError(
            f"assignment to {x!r}: the value must broadcast to the selected {shape}, got "
            f"{given.shape}; reshape it"
        )
    return given.view(extents)


def _scatter(x: Buffer[Any], value: Buffer[Any], selection: Selection) -> None:
    """Record the copy of a value into the selected elements."""
    require_f16_support("assignment", x.dtype.name, [x])
    read = broadcast_strides(value.shape, selection.shape)
    extents, (steps, reads) = merge_axes(selection.shape, [selection.strides, read])
    sizes = {"start": selection.start}
    for i, n in enumerate(extents):
        sizes |= {f"extent{i}": n, f"stride{i}": steps[i] % 2**32, f"read{i}": reads[i]}
    spec: dict[str, Value] = {"kind": x.dtype.name, "rank": len(extents)}
    launch_flat("arrays/assign.wgsl", spec, (value, x), math.prod(selection.shape), sizes)


def _put(x: Buffer[Any], places: Buffer[Any], given: Buffer[Any]) -> None:
    """Replace the elements at flat places."""
    value = _fit_value(x, given, places.shape)
    if not places.size:
        return
    if value.shape != places.shape:
        value = broadcast_to(value, places.shape)
    flat = x.view((x.size,))
    count = (places.size,)
    x.copy_from(put_along_axis(flat, places.view(count), value.view(count), 0))
