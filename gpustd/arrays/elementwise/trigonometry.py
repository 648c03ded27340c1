"""Trigonometric and hyperbolic functions of floats, element by element.

Computed in f32: f16 is rounded once at the end. The shaders compute them with series of their own,
so that they are as good on every device; what WGSL has built in may be good to 2^-11 only (sines)
or to ``|x|`` units (exponentials). Where no other error is
named, it is at most 8 units in the last place (of pi / 2 for angles). All raise `DTypeError`.
"""

from __future__ import annotations

from gpucore import Buffer, T
from gpustd.arrays.elementwise.operands import FLOATS, Operand, elementwise

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "cos",
    "cosh",
    "sin",
    "sinh",
    "tan",
    "tanh",
]


def acos(x: Buffer[T]) -> Buffer[T]:
    """Return the angle in [0, pi] whose cosine is ``x``; NaN beyond [-1, 1].

    >>> x = device.buffer_from_array([1, 0], f32)
    >>> print(arrays.acos(x).read().round(3))
    [0.    1.571]
    """
    return elementwise("acos", [x], FLOATS)


def acosh(x: Buffer[T]) -> Buffer[T]:
    """Return the number >= 0 whose hyperbolic cosine is ``x``; NaN below 1.

    >>> x = device.buffer_from_array([1, 2], f32)
    >>> print(arrays.acosh(x).read().round(3))
    [0.    1.317]
    """
    return elementwise("acosh", [x], FLOATS)


def asin(x: Buffer[T]) -> Buffer[T]:
    """Return the angle in [-pi/2, pi/2] whose sine is ``x``; NaN beyond [-1, 1].

    >>> x = device.buffer_from_array([0, 1], f32)
    >>> print(arrays.asin(x).read().round(3))
    [0.    1.571]
    """
    return elementwise("asin", [x], FLOATS)


def asinh(x: Buffer[T]) -> Buffer[T]:
    """Return the number whose hyperbolic sine is ``x``.

    >>> x = device.buffer_from_array([0, 1], f32)
    >>> print(arrays.asinh(x).read().round(3))
    [0.    0.881]
    """
    return elementwise("asinh", [x], FLOATS)


def atan(x: Buffer[T]) -> Buffer[T]:
    """Return the angle in [-pi/2, pi/2] whose tangent is ``x``.

    >>> x = device.buffer_from_array([0, 1], f32)
    >>> print(arrays.atan(x).read().round(3))
    [0.    0.785]
    """
    return elementwise("atan", [x], FLOATS)


def atan2(y: Operand[T], x: Operand[T]) -> Buffer[T]:
    """Return the angle in [-pi, pi] of the point (``x``, ``y``); signs of zeros count.

    >>> x = device.buffer_from_array([1, -1], f32)
    >>> print(arrays.atan2(x, 1).read().round(3))
    [ 0.785 -0.785]
    """
    return elementwise("atan2", [y, x], FLOATS)


def atanh(x: Buffer[T]) -> Buffer[T]:
    """Return the number whose hyperbolic tangent is ``x``; infinite at -1 and 1, NaN beyond.

    >>> x = device.buffer_from_array([0, 0.5], f32)
    >>> print(arrays.atanh(x).read().round(3))
    [0.    0.549]
    """
    return elementwise("atanh", [x], FLOATS)


def cos(x: Buffer[T]) -> Buffer[T]:
    """Return the cosine of radians, to ``3 2^-24``.

    >>> x = device.buffer_from_array([0, 1], f32)
    >>> print(arrays.cos(x).read().round(3))
    [1.   0.54]
    """
    return elementwise("cos", [x], FLOATS)


def cosh(x: Buffer[T]) -> Buffer[T]:
    """Return the hyperbolic cosine.

    >>> x = device.buffer_from_array([0, 1], f32)
    >>> print(arrays.cosh(x).read().round(3))
    [1.    1.543]
    """
    return elementwise("cosh", [x], FLOATS)


def sin(x: Buffer[T]) -> Buffer[T]:
    """Return the sine of radians, to ``3 2^-24`` however large ``x`` is.

    >>> x = device.buffer_from_array([0, 1], f32)
    >>> print(arrays.sin(x).read().round(3))
    [0.    0.841]
    """
    return elementwise("sin", [x], FLOATS)


def sinh(x: Buffer[T]) -> Buffer[T]:
    """Return the hyperbolic sine.

    >>> x = device.buffer_from_array([0, 1], f32)
    >>> print(arrays.sinh(x).read().round(3))
    [0.    1.175]
    """
    return elementwise("sinh", [x], FLOATS)


def tan(x: Buffer[T]) -> Buffer[T]:
    """Return the tangent of radians, to ``2^-21 (1 + y^2)`` where y is the result.

    >>> x = device.buffer_from_array([0, 1], f32)
    >>> print(arrays.tan(x).read().round(3))
    [0.    1.557]
    """
    return elementwise("tan", [x], FLOATS)


def tanh(x: Buffer[T]) -> Buffer[T]:
    """Return the hyperbolic tangent.

    >>> x = device.buffer_from_array([0, 1], f32)
    >>> print(arrays.tanh(x).read().round(3))
    [0.    0.762]
    """
    return elementwise("tanh", [x], FLOATS)
