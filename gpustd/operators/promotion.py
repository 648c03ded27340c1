"""Operands of operators: uploaded, and brought to NumPy's common dtype.

The common dtype is that of NumPy 2: a Python number takes the dtype of the buffers, unless it is of
another kind (a float among integers). Where NumPy would give a dtype that buffers do not have:

- float64 becomes f32, complex128 becomes c64;
- 16-bit integers (i8 with u8) become i32;
- int64 of u32 with signed integers raises `DTypeError`; with masks it becomes i32.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device, DType, DTypeError, c64, f32, i32, u8, u32
from gpucore.dtypes import dtype_of
from gpustd.arrays.elementwise.conversion import cast
from gpustd.arrays.masks import Mask, as_mask

__all__ = ["Operands", "Value", "common_operands", "require_same_kind", "upload"]

Value = Buffer[Any] | complex
"""An operand on the device, or a Python number."""

_OTHERS: dict[np.dtype[Any], type[DType]] = {
    np.dtype(np.bool_): u8,
    np.dtype(np.complex128): c64,
    np.dtype(np.float64): f32,
    np.dtype(np.int16): i32,
    np.dtype(np.uint16): u32,
}


class Operands(NamedTuple):
    """Operands of one dtype; ``truth`` where all of them are truth values."""

    values: list[Value]
    dtype: type[DType]
    truth: bool


def common_operands(op: str, given: Sequence[Any], *, floating: bool = False) -> Operands:
    """Return operands in their common dtype, which is a float's where ``floating``.

    At least one is a buffer. Raises `DTypeError` where they have no common dtype.
    """
    device = next(each.device for each in given if isinstance(each, Buffer))
    values = [upload(device, each) for each in given]
    found = np.result_type(*map(_kind_of, values))
    truth = found == np.bool_ and not floating
    if floating and found.kind in "biu":
        found = np.dtype(np.float64)
    dtype = _marker_of(op, found, values)
    return Operands([_convert(each, dtype) for each in values], dtype, truth)


def upload(device: Device, value: Any) -> Value:
    """Return a buffer as it is, an array as a buffer, a number as Python's.

    Raises `DTypeError` for an array of 64 bits.
    """
    if isinstance(value, (np.generic, np.ndarray)) and not value.ndim:
        number: complex = value.item()
        return number
    if not isinstance(value, np.ndarray):
        kept: Value = value
        return kept
    array: NDArray[Any] = value
    if array.dtype == np.bool_:
        return as_mask(device.buffer_from_array(array.astype(np.uint8)))
    return device.buffer_from_array(array)


def require_same_kind(op: str, value: Buffer[Any], x: Buffer[Any]) -> Buffer[Any]:
    """Return ``value`` in the dtype of ``x``, which it is written into.

    Raises `DTypeError` where this would drop fractions, signs or imaginary parts, as NumPy does.
    """
    source = np.dtype(np.bool_) if isinstance(value, Mask) else value.dtype.numpy
    target = np.dtype(np.bool_) if isinstance(x, Mask) else x.dtype.numpy
    if not np.can_cast(source, target, "same_kind"):
        raise DTypeError(
            f"{op}: a result of {_name(value)} does not fit into {x!r}: convert it first, "
            f"y.astype(gpucore.{x.dtype.name})"
        )
    return cast(value, x.dtype)


def _kind_of(value: Value) -> Any:
    """Return what stands for an operand in NumPy's rules of promotion."""
    if isinstance(value, Mask):
        return np.dtype(np.bool_)
    if isinstance(value, Buffer):
        return value.dtype.numpy
    return type(value)(0)


def _name(value: Value) -> str:
    if isinstance(value, Buffer):
        return "truth values" if isinstance(value, Mask) else value.dtype.name
    return f"a Python {type(value).__name__}"


def _marker_of(op: str, found: np.dtype[Any], values: Sequence[Value]) -> type[DType]:
    """Return the marker for NumPy's common dtype. Raises `DTypeError`."""
    if found == np.int64 and not any(
        isinstance(each, Buffer) and each.dtype is u32 for each in values
    ):
        return i32
    if found in _OTHERS:
        return _OTHERS[found]
    if found == np.int64:
        listed = " and ".join(map(_name, values))
        raise DTypeError(
            f"{op}: operands must have a common dtype of at most 32 bits, got {listed}; convert "
            "one of them with astype"
        )
    return dtype_of(found)


def _convert(value: Value, dtype: type[DType]) -> Value:
    """Return an operand in the common dtype; numbers stay Python's, of the dtype's kind."""
    if isinstance(value, Buffer):
        return cast(value, dtype)
    if dtype is c64:
        return complex(value)
    if dtype.numpy.kind == "f" and isinstance(value, int) and abs(value) < 2**127:
        return float(value)
    return value
