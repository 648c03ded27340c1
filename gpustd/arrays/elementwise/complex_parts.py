"""Parts of complex numbers, element by element. All raise `DTypeError` unless c64."""

from __future__ import annotations

from gpucore import Buffer, c64, f32
from gpustd.arrays.elementwise.operands import elementwise

__all__ = [
    "conjugate",
    "imag",
    "real",
]


def real(x: Buffer[c64]) -> Buffer[f32]:
    """Return the real parts.

    >>> x = device.buffer_from_array([1 + 2j, 3], c64)
    >>> print(arrays.real(x).read())
    [1. 3.]
    """
    return elementwise("real", [x], ("c64",), f32)


def imag(x: Buffer[c64]) -> Buffer[f32]:
    """Return the imaginary parts.

    >>> x = device.buffer_from_array([1 + 2j, 3], c64)
    >>> print(arrays.imag(x).read())
    [2. 0.]
    """
    return elementwise("imag", [x], ("c64",), f32)


def conjugate(x: Buffer[c64]) -> Buffer[c64]:
    """Return the complex conjugates.

    >>> x = device.buffer_from_array([1 + 2j, 3], c64)
    >>> print(arrays.conjugate(x).read())
    [1.-2.j 3.-0.j]
    """
    return elementwise("conjugate", [x], ("c64",))
