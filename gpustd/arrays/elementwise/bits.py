"""Operations on the bits of integers, element by element, broadcast as NumPy does.

A Python number takes the buffer's dtype. All raise `ShapeError`, `DTypeError` (floats, and dtypes
that differ) and `ArgumentError`. Shifts by negative numbers are undefined.
"""

from __future__ import annotations

from gpucore import Buffer, T
from gpustd.arrays.elementwise.operands import INTEGERS, Operand, elementwise

__all__ = [
    "bitwise_and",
    "bitwise_not",
    "bitwise_or",
    "bitwise_xor",
    "left_shift",
    "right_shift",
]


def bitwise_and(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return the bits set in both.

    >>> x = device.buffer_from_array(np.array([5, 6, 7], np.uint8))
    >>> arrays.bitwise_and(x, 4).read()
    array([4, 4, 4], dtype=uint8)
    """
    return elementwise("bitwise_and", [x, y], INTEGERS)


def bitwise_or(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return the bits set in one or both.

    >>> x = device.buffer_from_array([5, 6, 7], u8)
    >>> print(arrays.bitwise_or(x, 4).read())
    [5 6 7]
    """
    return elementwise("bitwise_or", [x, y], INTEGERS)


def bitwise_xor(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return the bits set in exactly one.

    >>> x = device.buffer_from_array([5, 6, 7], u8)
    >>> print(arrays.bitwise_xor(x, 4).read())
    [1 2 3]
    """
    return elementwise("bitwise_xor", [x, y], INTEGERS)


def left_shift(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return ``x`` times 2 to the power of ``y``, wrapped; 0 from the dtype's width on.

    >>> x = device.buffer_from_array([1, 3], u8)
    >>> print(arrays.left_shift(x, 2).read())
    [ 4 12]
    """
    return elementwise("left_shift", [x, y], INTEGERS)


def right_shift(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return ``x`` over 2 to the power of ``y``, rounded down, also from the dtype's width on.

    >>> x = device.buffer_from_array([-8, 9], i32)
    >>> print(arrays.right_shift(x, 2).read())
    [-2  2]
    """
    return elementwise("right_shift", [x, y], INTEGERS)


def bitwise_not(x: Buffer[T]) -> Buffer[T]:
    """Return each bit inverted.

    >>> x = device.buffer_from_array([0, 5], i32)
    >>> print(arrays.bitwise_not(x).read())
    [-1 -6]
    """
    return elementwise("bitwise_not", [x], INTEGERS)
