"""Bits of blocks: fields of two and four bits in bytes, six-bit scales, and halves of float32.

Arrays are (blocks, ...). A byte's low bits are the earlier weights.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "Bytes",
    "Floats",
    "Integers",
    "half_bytes",
    "halves",
    "join_fields",
    "join_q3_scales",
    "join_q4_scales",
    "split_fields",
    "split_q3_scales",
    "split_q4_scales",
]

Bytes = NDArray[np.uint8]
Floats = NDArray[np.float32]
Integers = NDArray[np.integer[Any]]


def halves(stored: Bytes) -> Floats:
    """Return the float16 numbers in bytes (..., 2 n) as float32 (..., n)."""
    return np.ascontiguousarray(stored).view("<f2").astype(np.float32)


def half_bytes(values: Floats) -> Bytes:
    """Return numbers (..., n), rounded to float16, as bytes (..., 2 n)."""
    with np.errstate(over="ignore", under="ignore"):
        return np.ascontiguousarray(values.astype("<f2")).view(np.uint8)


def split_fields(stored: Bytes, bits: int) -> Bytes:
    """Return the fields of bytes (..., m) as (..., 8 / bits, m), the low bits first."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    fields: Bytes = (stored[..., None, :] >> shifts) & np.uint8(2**bits - 1)
    return fields


def join_fields(fields: Integers, bits: int) -> Bytes:
    """Return the bytes (..., m) of fields (..., 8 / bits, m); the opposite of `split_fields`."""
    shifts = np.arange(0, 8, bits, dtype=np.uint8)[:, None]
    joined: Bytes = np.bitwise_or.reduce(fields.astype(np.uint8) << shifts, axis=-2)
    return joined


def split_q4_scales(stored: Bytes) -> tuple[Bytes, Bytes]:
    """Return the eight scales and minima (n, 8), six bits each, of 12 bytes (n, 12)."""
    first, second, third = stored[:, 0:4], stored[:, 4:8], stored[:, 8:12]
    scales = np.concatenate([first & 63, (third & 15) | ((first >> 6) << 4)], axis=1)
    minima = np.concatenate([second & 63, (third >> 4) | ((second >> 6) << 4)], axis=1)
    return scales.astype(np.uint8), minima.astype(np.uint8)


def join_q4_scales(scales: Bytes, minima: Bytes) -> Bytes:
    """Return the 12 bytes of eight scales and minima; the opposite of `split_q4_scales`."""
    first = scales[:, :4] | ((scales[:, 4:] >> 4) << 6)
    second = minima[:, :4] | ((minima[:, 4:] >> 4) << 6)
    third = (scales[:, 4:] & 15) | ((minima[:, 4:] & 15) << 4)
    return np.concatenate([first, second, third], axis=1).astype(np.uint8)


def split_q3_scales(stored: Bytes) -> Bytes:
    """Return the sixteen scales (n, 16), six bits each, of 12 bytes (n, 12)."""
    count = len(stored)
    low = split_fields(stored[:, :8], 4).reshape(count, 16)
    return (low | (split_fields(stored[:, 8:], 2).reshape(count, 16) << 4)).astype(np.uint8)


def join_q3_scales(scales: Integers) -> Bytes:
    """Return the 12 bytes of sixteen scales; the opposite of `split_q3_scales`."""
    count = len(scales)
    low = join_fields((scales & 15).reshape(count, 2, 8), 4)
    return np.concatenate([low, join_fields((scales >> 4).reshape(count, 4, 4), 2)], axis=1)
