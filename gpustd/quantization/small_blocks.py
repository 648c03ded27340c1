"""From weights to blocks of 32, and to 8-bit floats: the arithmetic of ggml's reference code.

Each function takes float32 weights (n, elements) and returns blocks (n, bytes). Quotients are taken
with the scale in float32; the scale is stored as float16. Source: ggml, ``src/ggml-quants.c``, the
functions ``quantize_row_..._ref``.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpustd.quantization.packing import Bytes, Floats, half_bytes, join_fields

__all__ = ["q4_0", "q4_1", "q5_0", "q5_1", "q8_0"]


def q8_0(weights: Floats) -> Bytes:
    """Return blocks of a scale and 32 levels of eight bits."""
    scale = np.abs(weights).max(axis=1, keepdims=True) / np.float32(127)
    quotients = weights * _inverse(scale)
    size = np.abs(quotients)
    whole = np.floor(size)
    # C's roundf: half away from zero
    levels = np.copysign(whole + (size - whole >= np.float32(0.5)), quotients).astype(np.int8)
    return np.concatenate([half_bytes(scale), levels.view(np.uint8)], axis=1)


def q4_0(weights: Floats) -> Bytes:
    """Return blocks of a scale and 32 levels of four bits around 8."""
    scale, levels = _around_zero(weights, 8)
    return np.concatenate([half_bytes(scale), _join_nibbles(levels)], axis=1)


def q5_0(weights: Floats) -> Bytes:
    """Return blocks of a scale and 32 levels of five bits around 16."""
    scale, levels = _around_zero(weights, 16)
    return np.concatenate([half_bytes(scale), _fifth_bits(levels), _join_nibbles(levels)], axis=1)


def q4_1(weights: Floats) -> Bytes:
    """Return blocks of a scale, the least weight and 32 levels of four bits above it."""
    head, levels = _above_least(weights, 15)
    return np.concatenate([head, _join_nibbles(levels)], axis=1)


def q5_1(weights: Floats) -> Bytes:
    """Return blocks of a scale, the least weight and 32 levels of five bits above it."""
    head, levels = _above_least(weights, 31)
    return np.concatenate([head, _fifth_bits(levels), _join_nibbles(levels)], axis=1)


def _around_zero(weights: Floats, middle: int) -> tuple[Floats, Bytes]:
    """Return scales (n, 1) by which the largest weight gets level 0, and the levels."""
    place = np.abs(weights).argmax(axis=1)[:, None]
    scale = np.take_along_axis(weights, place, axis=1) / np.float32(-middle)
    levels = weights * _inverse(scale) + np.float32(middle + 0.5)
    return scale, np.minimum(levels.astype(np.int8), 2 * middle - 1).view(np.uint8)


def _above_least(weights: Floats, most: int) -> tuple[Bytes, Bytes]:
    """Return the bytes of scale and least weight, and levels from 0 to ``most``."""
    least = weights.min(axis=1, keepdims=True)
    scale = (weights.max(axis=1, keepdims=True) - least) / np.float32(most)
    levels = (weights - least) * _inverse(scale) + np.float32(0.5)
    head = half_bytes(np.concatenate([scale, least], axis=1))
    return head, np.minimum(levels.astype(np.uint8), most)


def _inverse(scale: Floats) -> Floats:
    """Return the reciprocals of scales; 0 where a scale is 0, or too small to have one."""
    inverse = np.float32(1) / scale
    return np.where(np.isfinite(inverse), inverse, np.float32(0))


def _join_nibbles(levels: Bytes) -> Bytes:
    """Return 16 bytes of the low four bits of 32 levels."""
    return join_fields((levels & 15).reshape(-1, 2, 16), 4)


def _fifth_bits(levels: Bytes) -> NDArray[Any]:
    """Return 4 bytes of the fifth bits of 32 levels."""
    return np.packbits(levels >> 4, axis=1, bitorder="little")
