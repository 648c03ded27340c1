"""Roots, exponentials and logarithms of floats, element by element.

Computed in f32: f16 is rounded once at the end. The shaders compute them with series of their own,
so that they are as good on every device; what WGSL has built in may be good to 2^-11 only (sines)
or to ``|x|`` units (exponentials).
Numbers below 1.2e-38 may be taken for 0, as the device does. All raise `DTypeError`.
"""

from __future__ import annotations

from gpucore import Buffer, T
from gpustd.arrays.elementwise.operands import FLOATS, NUMBERS, elementwise

__all__ = ["exp", "exp2", "expm1", "log", "log1p", "log2", "log10", "sqrt"]


def exp(x: Buffer[T]) -> Buffer[T]:
    """Return e to the power of ``x``, to 2 units in the last place; c64 to 4 of its size.

    >>> x = device.buffer_from_array(np.array([0, 1, 2], np.float32))
    >>> arrays.exp(x).read().astype(float).round(4).tolist()
    [1.0, 2.7183, 7.3891]
    """
    return elementwise("exp", [x], NUMBERS)


def exp2(x: Buffer[T]) -> Buffer[T]:
    """Return 2 to the power of ``x``, to 2 units in the last place; exact for whole numbers.

    >>> x = device.buffer_from_array([0, 3, 0.5], f32)
    >>> print(arrays.exp2(x).read().round(3))
    [1.    8.    1.414]
    """
    return elementwise("exp2", [x], FLOATS)


def expm1(x: Buffer[T]) -> Buffer[T]:
    """Return ``exp(x) - 1``, to 3 units in the last place, for small ``x`` too.

    >>> x = device.buffer_from_array([0, 1], f32)
    >>> print(arrays.expm1(x).read().round(3))
    [0.    1.718]
    """
    return elementwise("expm1", [x], FLOATS)


def log(x: Buffer[T]) -> Buffer[T]:
    """Return the natural logarithm, to 2 units in the last place.

    -inf for 0, NaN below 0; for c64 the principal value.

    >>> x = device.buffer_from_array([1, 10], f32)
    >>> print(arrays.log(x).read().round(3))
    [0.    2.303]
    """
    return elementwise("log", [x], NUMBERS)


def log1p(x: Buffer[T]) -> Buffer[T]:
    """Return ``log(1 + x)``, to 3 units in the last place, for small ``x`` too.

    >>> x = device.buffer_from_array([0, 1], f32)
    >>> print(arrays.log1p(x).read().round(3))
    [0.    0.693]
    """
    return elementwise("log1p", [x], FLOATS)


def log2(x: Buffer[T]) -> Buffer[T]:
    """Return the logarithm to base 2, to 3 units in the last place; exact for powers of 2.

    >>> x = device.buffer_from_array([1, 8, 10], f32)
    >>> print(arrays.log2(x).read().round(3))
    [0.    3.    3.322]
    """
    return elementwise("log2", [x], FLOATS)


def log10(x: Buffer[T]) -> Buffer[T]:
    """Return the logarithm to base 10, to 3 units in the last place.

    >>> x = device.buffer_from_array([1, 1000], f32)
    >>> print(arrays.log10(x).read().round(3))
    [0. 3.]
    """
    return elementwise("log10", [x], FLOATS)


def sqrt(x: Buffer[T]) -> Buffer[T]:
    """Return the square root, to 2.5 units in the last place; NaN below 0.

    >>> x = device.buffer_from_array([1, 4, 2], f32)
    >>> print(arrays.sqrt(x).read().round(3))
    [1.    2.    1.414]
    """
    return elementwise("sqrt", [x], FLOATS)
