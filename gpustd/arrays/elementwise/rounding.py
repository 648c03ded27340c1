"""Rounding of floats, element by element: f16 or f32. All raise `DTypeError`."""

from __future__ import annotations

from gpucore import ArgumentError, Buffer, T
from gpustd.arrays.elementwise.arithmetic import divide, multiply
from gpustd.arrays.elementwise.operands import FLOATS, common_dtype, elementwise
from gpustd.launch.checks import as_int

__all__ = ["ceil", "floor", "round", "trunc"]

# The largest power of ten that a dtype holds.
_MOST_DECIMALS = {"f16": 4, "f32": 38}


def ceil(x: Buffer[T]) -> Buffer[T]:
    """Return the least whole number not below ``x``.

    >>> x = device.buffer_from_array([1.5, -1.2], f32)
    >>> print(arrays.ceil(x).read().round(3))
    [ 2. -1.]
    """
    return elementwise("ceil", [x], FLOATS)


def floor(x: Buffer[T]) -> Buffer[T]:
    """Return the largest whole number not above ``x``.

    >>> x = device.buffer_from_array([1.5, -1.5], f32)
    >>> print(arrays.floor(x).read().round(3))
    [ 1. -2.]
    """
    return elementwise("floor", [x], FLOATS)


def round(x: Buffer[T], decimals: int = 0) -> Buffer[T]:  # noqa: A001
    """Round to the nearest number with ``decimals`` decimals; of two, to the even one.

    As NumPy: ``x`` times a power of ten is rounded to a whole number, then divided by that power.
    Negative decimals are places before the point. Raises `ArgumentError` where the power of ten is
    beyond the dtype.

    >>> x = device.buffer_from_array([0.5, 1.5, 2.4], f32)
    >>> print(arrays.round(x).read().round(3))
    [0. 2. 2.]
    """
    decimals = as_int("round", "decimals", decimals)
    dtype = common_dtype("round", [x], FLOATS).name
    most = _MOST_DECIMALS[dtype]
    if abs(decimals) > most:
        raise ArgumentError(
            f"round: decimals must be -{most} to {most} for {dtype}, got {decimals}"
        )
    if not decimals:
        return elementwise("round", [x], FLOATS)
    scale = 10.0 ** abs(decimals)
    enlarge, reduce = (multiply, divide) if decimals > 0 else (divide, multiply)
    return reduce(elementwise("round", [enlarge(x, scale)], FLOATS), scale)


def trunc(x: Buffer[T]) -> Buffer[T]:
    """Return ``x`` without its fraction.

    >>> x = device.buffer_from_array([1.5, -1.5], f32)
    >>> print(arrays.trunc(x).read().round(3))
    [ 1. -1.]
    """
    return elementwise("trunc", [x], FLOATS)
