"""Comparisons, tests and choice, element by element, broadcast as NumPy does.

Truth values are 0 and 1 in u8, in a `gpustd.arrays.masks.Mask`. A Python number takes the buffer's
dtype. All raise `ShapeError`, `DTypeError`, `ArgumentError` as
`gpustd.arrays.elementwise.arithmetic` does.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpucore import Buffer, T, u8
from gpustd.arrays.elementwise.operands import (
    ALL,
    NUMBERS,
    REALS,
    Operand,
    apply,
    common_dtype,
    elementwise,
)
from gpustd.arrays.masks import as_mask

__all__ = [
    "equal",
    "greater",
    "greater_equal",
    "isfinite",
    "isinf",
    "isnan",
    "less",
    "less_equal",
    "logical_and",
    "logical_not",
    "logical_or",
    "logical_xor",
    "not_equal",
    "where",
]


def equal(x: Operand[T], y: Operand[T]) -> Buffer[u8]:
    """Return 1 where ``x == y``, else 0; NaN equals nothing.

    >>> x = device.buffer_from_array([1, 5, 3], i32)
    >>> print(arrays.equal(x, 3).read())
    [0 0 1]
    """
    return _flags("equal", [x, y], ALL)


def not_equal(x: Operand[T], y: Operand[T]) -> Buffer[u8]:
    """Return 1 where ``x != y``, else 0.

    >>> x = device.buffer_from_array([1, 5, 3], i32)
    >>> print(arrays.not_equal(x, 3).read())
    [1 1 0]
    """
    return _flags("not_equal", [x, y], ALL)


def less(x: Operand[T], y: Operand[T]) -> Buffer[u8]:
    """Return 1 where ``x < y``, else 0.

    >>> x = device.buffer_from_array(np.array([1, 5, 3], np.float32))
    >>> arrays.less(x, 4).read()
    array([1, 0, 1], dtype=uint8)
    """
    return _flags("less", [x, y], REALS)


def less_equal(x: Operand[T], y: Operand[T]) -> Buffer[u8]:
    """Return 1 where ``x <= y``, else 0.

    >>> x = device.buffer_from_array([1, 5, 3], i32)
    >>> print(arrays.less_equal(x, 3).read())
    [1 0 1]
    """
    return _flags("less_equal", [x, y], REALS)


def greater(x: Operand[T], y: Operand[T]) -> Buffer[u8]:
    """Return 1 where ``x > y``, else 0.

    >>> x = device.buffer_from_array([1, 5, 3], i32)
    >>> print(arrays.greater(x, 3).read())
    [0 1 0]
    """
    return _flags("greater", [x, y], REALS)


def greater_equal(x: Operand[T], y: Operand[T]) -> Buffer[u8]:
    """Return 1 where ``x >= y``, else 0.

    >>> x = device.buffer_from_array([1, 5, 3], i32)
    >>> print(arrays.greater_equal(x, 3).read())
    [0 1 1]
    """
    return _flags("greater_equal", [x, y], REALS)


def logical_and(x: Operand[T], y: Operand[T]) -> Buffer[u8]:
    """Return 1 where both are other than 0, else 0.

    >>> x = device.buffer_from_array([0, 1, 2], i32)
    >>> print(arrays.logical_and(x, 1).read())
    [0 1 1]
    """
    return _flags("logical_and", [x, y], REALS)


def logical_or(x: Operand[T], y: Operand[T]) -> Buffer[u8]:
    """Return 1 where one or both are other than 0, else 0.

    >>> x = device.buffer_from_array([0, 1, 2], i32)
    >>> print(arrays.logical_or(x, 1).read())
    [1 1 1]
    """
    return _flags("logical_or", [x, y], REALS)


def logical_xor(x: Operand[T], y: Operand[T]) -> Buffer[u8]:
    """Return 1 where just one is other than 0, else 0.

    >>> x = device.buffer_from_array([0, 1, 2], i32)
    >>> print(arrays.logical_xor(x, 1).read())
    [1 0 0]
    """
    return _flags("logical_xor", [x, y], REALS)


def logical_not(x: Buffer[T]) -> Buffer[u8]:
    """Return 1 where ``x`` is 0, else 0.

    >>> x = device.buffer_from_array([0, 1, 2], i32)
    >>> print(arrays.logical_not(x).read())
    [1 0 0]
    """
    return _flags("logical_not", [x], REALS)


def isnan(x: Buffer[T]) -> Buffer[u8]:
    """Return 1 where ``x``, or a part of it, is not a number, else 0.

    >>> x = device.buffer_from_array([1, float("inf"), float("nan")], f32)
    >>> print(arrays.isnan(x).read())
    [0 0 1]
    """
    return _flags("isnan", [x], NUMBERS)


def isinf(x: Buffer[T]) -> Buffer[u8]:
    """Return 1 where ``x``, or a part of it, is infinite, else 0.

    >>> x = device.buffer_from_array([1, float("inf"), float("nan")], f32)
    >>> print(arrays.isinf(x).read())
    [0 1 0]
    """
    return _flags("isinf", [x], NUMBERS)


def isfinite(x: Buffer[T]) -> Buffer[u8]:
    """Return 1 where ``x`` is neither infinite nor NaN, else 0.

    >>> x = device.buffer_from_array([1, float("inf"), float("nan")], f32)
    >>> print(arrays.isfinite(x).read())
    [1 0 0]
    """
    return _flags("isfinite", [x], NUMBERS)


def _flags(op: str, operands: Sequence[Operand[Any]], dtypes: tuple[str, ...]) -> Buffer[u8]:
    """Return the truth values of ``op``, as a `Mask`."""
    return as_mask(elementwise(op, operands, dtypes, u8))


def where(condition: Buffer[Any], x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return ``x`` where ``condition`` is other than 0, else ``y``; all three broadcast.

    ``condition`` is of any real dtype (NaN counts as other than 0), ``x`` and ``y`` of any one
    dtype, at least one of them a buffer.

    >>> x = device.buffer_from_array([1, 5, 2], i32)
    >>> print(arrays.where(arrays.less(x, 3), x, 0).read())
    [1 0 2]
    """
    dtype = common_dtype("where", [x, y], ALL)
    tested = common_dtype("where", [condition], REALS)
    return apply("where", [condition, x, y], [tested, dtype, dtype], dtype)
