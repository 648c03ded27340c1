"""Functions of floats, element by element, computed in f32: f16 is rounded once at the end.

The shaders compute them with series of their own, so that they are as good on every device; what
WGSL has built in may be good to 2^-11 only (sines) or to ``|x|`` units (exponentials). Where no
other is named, the error is at most 8 units in the last place (of pi / 2 for angles). Numbers below
1.2e-38 may be taken for 0, as the device does. All raise `DTypeError`.
"""

from __future__ import annotations

from gpucore import ArgumentError, Buffer, T
from gpustd.arrays.arithmetic import divide, multiply
from gpustd.arrays.operands import FLOATS, NUMBERS, Operand, common_dtype, elementwise
from gpustd.launch.checks import as_int

__all__ = [
    "acos",
    "acosh",
    "asin",
    "asinh",
    "atan",
    "atan2",
    "atanh",
    "ceil",
    "cos",
    "cosh",
    "exp",
    "exp2",
    "expm1",
    "floor",
    "log",
    "log1p",
    "log2",
    "log10",
    "round",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
]

_MOST_DECIMALS = {"f16": 4, "f32": 38}
"""The largest powers of ten."""


def sqrt(x: Buffer[T]) -> Buffer[T]:
    """Square root, to 2.5 units in the last place; NaN below 0.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 4, 2], f32)
    >>> print(arrays.sqrt(x).read().round(3))
    [1.    2.    1.414]
    """
    return elementwise("sqrt", [x], FLOATS)


def exp(x: Buffer[T]) -> Buffer[T]:
    """e to the power of ``x``, to 2 units in the last place; c64 to 4 of its size.

    >>> import numpy as np; from gpucore import Device; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array(np.array([0, 1, 2], np.float32))
    >>> arrays.exp(x).read().astype(float).round(4).tolist()
    [1.0, 2.7183, 7.3891]
    """
    return elementwise("exp", [x], NUMBERS)


def exp2(x: Buffer[T]) -> Buffer[T]:
    """2 to the power of ``x``, to 2 units in the last place; exact for whole numbers.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0, 3, 0.5], f32)
    >>> print(arrays.exp2(x).read().round(3))
    [1.    8.    1.414]
    """
    return elementwise("exp2", [x], FLOATS)


def expm1(x: Buffer[T]) -> Buffer[T]:
    """``exp(x) - 1``, to 3 units in the last place, for small ``x`` too.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0, 1], f32)
    >>> print(arrays.expm1(x).read().round(3))
    [0.    1.718]
    """
    return elementwise("expm1", [x], FLOATS)


def log(x: Buffer[T]) -> Buffer[T]:
    """Natural logarithm, to 2 units in the last place; -inf of 0, NaN below; of c64 the main one.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 10], f32)
    >>> print(arrays.log(x).read().round(3))
    [0.    2.303]
    """
    return elementwise("log", [x], NUMBERS)


def log2(x: Buffer[T]) -> Buffer[T]:
    """Logarithm to base 2, to 3 units in the last place; exact for powers of 2.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 8, 10], f32)
    >>> print(arrays.log2(x).read().round(3))
    [0.    3.    3.322]
    """
    return elementwise("log2", [x], FLOATS)


def log10(x: Buffer[T]) -> Buffer[T]:
    """Logarithm to base 10, to 3 units in the last place.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 1000], f32)
    >>> print(arrays.log10(x).read().round(3))
    [0. 3.]
    """
    return elementwise("log10", [x], FLOATS)


def log1p(x: Buffer[T]) -> Buffer[T]:
    """``log(1 + x)``, to 3 units in the last place, for small ``x`` too.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0, 1], f32)
    >>> print(arrays.log1p(x).read().round(3))
    [0.    0.693]
    """
    return elementwise("log1p", [x], FLOATS)


def sin(x: Buffer[T]) -> Buffer[T]:
    """Sine of radians, to ``3 2^-24`` however large ``x`` is.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0, 1], f32)
    >>> print(arrays.sin(x).read().round(3))
    [0.    0.841]
    """
    return elementwise("sin", [x], FLOATS)


def cos(x: Buffer[T]) -> Buffer[T]:
    """Cosine of radians, to ``3 2^-24``.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0, 1], f32)
    >>> print(arrays.cos(x).read().round(3))
    [1.   0.54]
    """
    return elementwise("cos", [x], FLOATS)


def tan(x: Buffer[T]) -> Buffer[T]:
    """Tangent of radians, to ``2^-21 (1 + y^2)`` where y is the result.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0, 1], f32)
    >>> print(arrays.tan(x).read().round(3))
    [0.    1.557]
    """
    return elementwise("tan", [x], FLOATS)


def asin(x: Buffer[T]) -> Buffer[T]:
    """Angle in [-pi/2, pi/2] whose sine is ``x``; NaN beyond [-1, 1].

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0, 1], f32)
    >>> print(arrays.asin(x).read().round(3))
    [0.    1.571]
    """
    return elementwise("asin", [x], FLOATS)


def acos(x: Buffer[T]) -> Buffer[T]:
    """Angle in [0, pi] whose cosine is ``x``; NaN beyond [-1, 1].

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 0], f32)
    >>> print(arrays.acos(x).read().round(3))
    [0.    1.571]
    """
    return elementwise("acos", [x], FLOATS)


def atan(x: Buffer[T]) -> Buffer[T]:
    """Angle in [-pi/2, pi/2] whose tangent is ``x``.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0, 1], f32)
    >>> print(arrays.atan(x).read().round(3))
    [0.    0.785]
    """
    return elementwise("atan", [x], FLOATS)


def sinh(x: Buffer[T]) -> Buffer[T]:
    """Hyperbolic sine.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0, 1], f32)
    >>> print(arrays.sinh(x).read().round(3))
    [0.    1.175]
    """
    return elementwise("sinh", [x], FLOATS)


def cosh(x: Buffer[T]) -> Buffer[T]:
    """Hyperbolic cosine.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0, 1], f32)
    >>> print(arrays.cosh(x).read().round(3))
    [1.    1.543]
    """
    return elementwise("cosh", [x], FLOATS)


def tanh(x: Buffer[T]) -> Buffer[T]:
    """Hyperbolic tangent.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0, 1], f32)
    >>> print(arrays.tanh(x).read().round(3))
    [0.    0.762]
    """
    return elementwise("tanh", [x], FLOATS)


def asinh(x: Buffer[T]) -> Buffer[T]:
    """Number whose hyperbolic sine is ``x``.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0, 1], f32)
    >>> print(arrays.asinh(x).read().round(3))
    [0.    0.881]
    """
    return elementwise("asinh", [x], FLOATS)


def acosh(x: Buffer[T]) -> Buffer[T]:
    """Number >= 0 whose hyperbolic cosine is ``x``; NaN below 1.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 2], f32)
    >>> print(arrays.acosh(x).read().round(3))
    [0.    1.317]
    """
    return elementwise("acosh", [x], FLOATS)


def atanh(x: Buffer[T]) -> Buffer[T]:
    """Number whose hyperbolic tangent is ``x``; infinite at -1 and 1, NaN beyond.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0, 0.5], f32)
    >>> print(arrays.atanh(x).read().round(3))
    [0.    0.549]
    """
    return elementwise("atanh", [x], FLOATS)


def floor(x: Buffer[T]) -> Buffer[T]:
    """The largest whole number not above ``x``.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1.5, -1.5], f32)
    >>> print(arrays.floor(x).read().round(3))
    [ 1. -2.]
    """
    return elementwise("floor", [x], FLOATS)


def ceil(x: Buffer[T]) -> Buffer[T]:
    """The least whole number not below ``x``.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1.5, -1.2], f32)
    >>> print(arrays.ceil(x).read().round(3))
    [ 2. -1.]
    """
    return elementwise("ceil", [x], FLOATS)


def trunc(x: Buffer[T]) -> Buffer[T]:
    """``x`` without its fraction.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1.5, -1.5], f32)
    >>> print(arrays.trunc(x).read().round(3))
    [ 1. -1.]
    """
    return elementwise("trunc", [x], FLOATS)


def round(x: Buffer[T], decimals: int = 0) -> Buffer[T]:  # noqa: A001
    """The nearest number of so many decimals, the even one of two.

    As NumPy: the nearest whole number of ``x`` times their power of ten, divided by it; negative
    decimals are places before the point. Raises `ArgumentError` where ten to their power is beyond
    the dtype.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([0.5, 1.5, 2.4], f32)
    >>> print(arrays.round(x).read().round(3))
    [0. 2. 2.]
    """
    decimals = as_int("round", "decimals", decimals)
    dtype = common_dtype("round", [x], FLOATS).name
    most = _MOST_DECIMALS[dtype]
    if abs(decimals) > most:
        raise ArgumentError(f"round: {decimals} decimals: {dtype} takes -{most} to {most}")
    if not decimals:
        return elementwise("round", [x], FLOATS)
    scale = 10.0 ** abs(decimals)
    there, back = (multiply, divide) if decimals > 0 else (divide, multiply)
    return back(elementwise("round", [there(x, scale)], FLOATS), scale)


def atan2(y: Operand[T], x: Operand[T]) -> Buffer[T]:
    """Angle in [-pi, pi] of the point whose sides are ``x`` and ``y``; signs of zeros count.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, -1], f32)
    >>> print(arrays.atan2(x, 1).read().round(3))
    [ 0.785 -0.785]
    """
    return elementwise("atan2", [y, x], FLOATS)
