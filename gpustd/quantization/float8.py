"""8-bit floats (Micikevicius et al. 2022, arXiv 2209.05433) as bytes, and their values.

E4M3 is the variant without infinities: 4 bits of exponent (bias 7), 3 of mantissa, up to 448. E5M2
is the upper byte of a float16, up to 57344. A float16 has each value of both.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["E4M3FN_MAX", "E5M2_MAX", "from_e4m3fn", "from_e5m2", "to_e4m3fn", "to_e5m2"]

E4M3FN_MAX: Final = 448.0
E5M2_MAX: Final = 57344.0


def from_e4m3fn(stored: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return the values of bytes; S.1111.111 is NaN."""
    return np.asarray(_E4M3[stored])


def from_e5m2(stored: NDArray[np.uint8]) -> NDArray[np.float16]:
    """Return the values of bytes."""
    return (stored.astype(np.uint16) << np.uint16(8)).view(np.float16)


def to_e4m3fn(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the nearest bytes, ties to even; a number that is too large becomes NaN."""
    return _to_bytes(values, 7, 3, 127)


def to_e5m2(values: NDArray[Any]) -> NDArray[np.uint8]:
    """Return the nearest bytes, ties to even; a number that is too large becomes infinite."""
    return _to_bytes(values, 15, 2, 124)


def _e4m3_values() -> NDArray[np.float16]:
    """Return the value of each byte."""
    codes = np.arange(128)
    exponent, mantissa = codes >> 3, codes & 7
    values = np.where(
        exponent == 0, mantissa * 2.0**-9, (8 + mantissa) * 2.0 ** (exponent.astype(float) - 10)
    )
    values[127] = np.nan
    return np.concatenate([values, -values]).astype(np.float16)


_E4M3: Final = _e4m3_values()
_E5M2: Final = from_e5m2(np.arange(256, dtype=np.uint8))


def _to_bytes(values: NDArray[Any], bias: int, mantissa: int, largest: int) -> NDArray[np.uint8]:
    """Return the nearest bytes; ``bias`` of the exponent, bits of the ``mantissa``.

    ``largest``: the byte of numbers that are too large.
    """
    bits = _single_bits(values)
    shift = np.uint32(23 - mantissa)
    # Half a step, less one where the last bit that stays is 0; a carry goes to the exponent.
    half = ((bits >> shift) & np.uint32(1)) + np.uint32(2 ** (22 - mantissa) - 1)
    with np.errstate(over="ignore"):
        normal = (bits + half - np.uint32((127 - bias) << 23)) >> shift
    sizes = bits.view(np.float32)
    small = sizes < np.float32(2.0 ** (1 - bias))
    steps = np.where(small, sizes, np.float32(0)) * np.float32(2.0 ** (bias - 1 + mantissa))
    codes = np.where(small, np.rint(steps).astype(np.uint32), np.minimum(normal, largest))
    codes = np.where(np.isnan(sizes), 127, codes)
    return (codes + np.where(np.signbit(values), 128, 0)).astype(np.uint8)


def _single_bits(values: NDArray[Any]) -> NDArray[np.uint32]:
    """Return the bits of magnitudes in float32.

    Numbers of float64 are cut, and the last bit notes that: they are then rounded once.
    """
    with np.errstate(over="ignore", invalid="ignore"):
        sizes = np.abs(values).astype(np.float32)
    bits = np.ascontiguousarray(sizes).view(np.uint32).reshape(values.shape)
    if values.dtype.itemsize <= 4:
        return bits
    wide = sizes.astype(np.float64)
    exact = np.abs(values)
    inexact = (wide != exact) & ~np.isnan(wide)
    odd: NDArray[np.uint32] = (bits - (wide > exact)) | inexact
    return odd
