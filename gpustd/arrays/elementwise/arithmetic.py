"""Arithmetic element by element: f16 in f32 rounded once, i8 and u8 in 32 bits wrapped.

An operand is a `Buffer` or a Python number; shapes broadcast as NumPy's do. Buffers have one dtype,
and a number takes it: nothing is promoted. All raise `ShapeError` where shapes do not broadcast,
`DTypeError` where dtypes differ or are not supported, `ArgumentError` for a number that the dtype
does not hold. Sums, differences and products of f32 are rounded to nearest, quotients to 2.5 units
in the last place (WGSL, 15.7.4).
"""

from __future__ import annotations

from typing import Any, overload

from gpucore import Buffer, T, c64, f32
from gpustd.arrays.elementwise.operands import (
    ALL,
    NUMBERS,
    REALS,
    Numeric,
    Operand,
    common_dtype,
    elementwise,
)

__all__ = [
    "absolute",
    "add",
    "clip",
    "divide",
    "floor_divide",
    "fmax",
    "fmin",
    "maximum",
    "minimum",
    "multiply",
    "negative",
    "power",
    "reciprocal",
    "remainder",
    "sign",
    "square",
    "subtract",
]


def add(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return ``x + y``; integers wrap.

    >>> x = device.buffer_from_array(np.array([[1], [2]], np.int32))
    >>> arrays.add(x, device.buffer_from_array(np.array([10, 20, 30], np.int32))).read()
    array([[11, 21, 31],
           [12, 22, 32]], dtype=int32)
    """
    return elementwise("add", [x, y], ALL)


def subtract(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return ``x - y``; integers wrap.

    >>> x = device.buffer_from_array([1, 2, 3], i32)
    >>> print(arrays.subtract(x, 1).read())
    [0 1 2]
    """
    return elementwise("subtract", [x, y], ALL)


def multiply(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return ``x * y``; integers wrap.

    >>> x = device.buffer_from_array([1, 2, 3], i32)
    >>> print(arrays.multiply(x, 10).read())
    [10 20 30]
    """
    return elementwise("multiply", [x, y], ALL)


def divide(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return ``x / y`` of floats or complex numbers (for integers: `floor_divide`, or cast).

    >>> x = device.buffer_from_array([1, 2, 3], f32)
    >>> print(arrays.divide(x, 4).read().round(3))
    [0.25 0.5  0.75]
    """
    return elementwise("divide", [x, y], NUMBERS)


def floor_divide(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return the quotient rounded down, as Python's ``//``. Integers over 0 give 0.

    >>> x = device.buffer_from_array([7, -7], i32)
    >>> print(arrays.floor_divide(x, 2).read())
    [ 3 -4]
    """
    return elementwise("floor_divide", [x, y], REALS)


def remainder(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return the remainder of `floor_divide`, with the sign of ``y``, as Python's ``%``.

    For floats it is exact, except for one addition where signs differ. Integers over 0 give 0.

    >>> x = device.buffer_from_array([7, -7], i32)
    >>> print(arrays.remainder(x, 3).read())
    [1 2]
    """
    return elementwise("remainder", [x, y], REALS)


def power(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return ``x`` to the power of ``y``.

    Integers wrap; negative powers of most integers are 0. Floats err by at most
    ``2^-23 (4 + |y| + |y log2 x|)`` of the result; negative numbers have whole powers only, else
    NaN.

    >>> x = device.buffer_from_array([1, 2, 3], i32)
    >>> print(arrays.power(x, 3).read())
    [ 1  8 27]
    """
    if isinstance(x, Buffer) and isinstance(y, Numeric) and y == 2:
        return square(x)
    return elementwise("power", [x, y], REALS)


def maximum(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return the larger of each two; NaN if either is.

    >>> x = device.buffer_from_array([1, 5, 3], i32)
    >>> print(arrays.maximum(x, 3).read())
    [3 5 3]
    """
    return elementwise("maximum", [x, y], REALS)


def minimum(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return the smaller of each two; NaN if either is.

    >>> x = device.buffer_from_array([1, 5, 3], i32)
    >>> print(arrays.minimum(x, 3).read())
    [1 3 3]
    """
    return elementwise("minimum", [x, y], REALS)


def fmax(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return the larger of each two; NaN only if both are.

    >>> x = device.buffer_from_array([1, float("nan")], f32)
    >>> print(arrays.fmax(x, 0).read().round(3))
    [1. 0.]
    """
    return elementwise("fmax", [x, y], REALS)


def fmin(x: Operand[T], y: Operand[T]) -> Buffer[T]:
    """Return the smaller of each two; NaN only if both are.

    >>> x = device.buffer_from_array([1, float("nan")], f32)
    >>> print(arrays.fmin(x, 0).read().round(3))
    [0. 0.]
    """
    return elementwise("fmin", [x, y], REALS)


def negative(x: Buffer[T]) -> Buffer[T]:
    """Return ``-x``; integers wrap.

    >>> x = device.buffer_from_array([1, -2], i32)
    >>> print(arrays.negative(x).read())
    [-1  2]
    """
    return elementwise("negative", [x], ALL)


def sign(x: Buffer[T]) -> Buffer[T]:
    """Return -1, 0 or 1 where ``x`` is below, at or above 0; NaN for NaN.

    >>> x = device.buffer_from_array([5, 0, -3], i32)
    >>> print(arrays.sign(x).read())
    [ 1  0 -1]
    """
    return elementwise("sign", [x], REALS)


def square(x: Buffer[T]) -> Buffer[T]:
    """``x * x``; integers wrap.

    >>> x = device.buffer_from_array([1, -2, 3], i32)
    >>> print(arrays.square(x).read())
    [1 4 9]
    """
    return elementwise("square", [x], ALL)


def reciprocal(x: Buffer[T]) -> Buffer[T]:
    """Return ``1 / x`` of floats or complex numbers.

    >>> x = device.buffer_from_array([1, 2, 4], f32)
    >>> print(arrays.reciprocal(x).read().round(3))
    [1.   0.5  0.25]
    """
    return elementwise("reciprocal", [x], NUMBERS)


def clip(
    x: Buffer[T],
    min: Operand[T] | None = None,  # noqa: A002
    max: Operand[T] | None = None,  # noqa: A002
) -> Buffer[T]:
    """Limit ``x`` to the numbers from ``min`` to ``max``.

    None leaves that side open. NaN stays.

    >>> x = device.buffer_from_array([-5, 2, 9], i32)
    >>> print(arrays.clip(x, 0, 4).read())
    [0 2 4]
    """
    common_dtype("clip", [x], REALS)
    if min is None or max is None:
        bounded = x if min is None else maximum(x, min)
        return negative(negative(bounded)) if max is None else minimum(bounded, max)
    return elementwise("clip", [x, min, max], REALS)


@overload
def absolute(x: Buffer[c64]) -> Buffer[f32]: ...
@overload
def absolute(x: Buffer[T]) -> Buffer[T]: ...
def absolute(x: Buffer[Any]) -> Buffer[Any]:
    """Return the absolute values; those of c64 in f32, without overflow. The least integer wraps.

    >>> x = device.buffer_from_array([-5, 2], i32)
    >>> print(arrays.absolute(x).read())
    [5 2]
    """
    return elementwise("absolute", [x], ALL, f32 if getattr(x, "dtype", None) is c64 else None)
