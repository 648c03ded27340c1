"""From blocks to weights: the arithmetic of ggml's reference code, in float32.

Each function takes blocks (n, bytes) and returns weights (n, elements). Products of a scale and
integers are exact in float32, but for the last one of q6_k. So a fused multiply-add gives the same
bits. Source: ggml, ``src/ggml-quants.c``, the functions ``dequantize_row_...``.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from gpustd.quantization.float8 import from_e4m3fn, from_e5m2
from gpustd.quantization.packing import (
    Bytes,
    Floats,
    Integers,
    halves,
    split_fields,
    split_q3_scales,
    split_q4_scales,
)

__all__ = ["EXPANDERS", "IQ4_VALUES"]

IQ4_VALUES: Final = np.array(
    [-127, -104, -83, -65, -49, -35, -22, -10, 1, 13, 25, 38, 53, 69, 89, 113], np.int8
)
"""The sixteen levels of iq4_nl and iq4_xs."""


def _q8_0(blocks: Bytes) -> Floats:
    return halves(blocks[:, :2]) * blocks[:, 2:].view(np.int8)


def _q4_0(blocks: Bytes) -> Floats:
    return halves(blocks[:, :2]) * (_nibbles(blocks[:, 2:]).view(np.int8) - np.int8(8))


def _q4_1(blocks: Bytes) -> Floats:
    return halves(blocks[:, :2]) * _nibbles(blocks[:, 4:]) + halves(blocks[:, 2:4])


def _q5_0(blocks: Bytes) -> Floats:
    levels = _five_bits(blocks[:, 2:6], blocks[:, 6:]).view(np.int8) - np.int8(16)
    return halves(blocks[:, :2]) * levels


def _q5_1(blocks: Bytes) -> Floats:
    levels = _five_bits(blocks[:, 4:8], blocks[:, 8:])
    return halves(blocks[:, :2]) * levels + halves(blocks[:, 2:4])


def _iq4_nl(blocks: Bytes) -> Floats:
    return halves(blocks[:, :2]) * IQ4_VALUES[_nibbles(blocks[:, 2:])]


def _nibbles(stored: Bytes) -> Bytes:
    """Return 32 levels: the low halves of 16 bytes, then the high halves."""
    return split_fields(stored, 4).reshape(len(stored), 32)


def _five_bits(high: Bytes, low: Bytes) -> Bytes:
    """Return 32 levels whose fifth bits stand in 4 bytes, in order."""
    fifth = np.unpackbits(high, axis=1, bitorder="little")
    return (_nibbles(low) | (fifth << 4)).astype(np.uint8)


def _q2_k(blocks: Bytes) -> Floats:
    scales, factors = blocks[:, :16], halves(blocks[:, 80:84])
    levels = split_fields(blocks[:, 16:80].reshape(-1, 2, 32), 2)
    return _affine(factors, scales & 15, scales >> 4, levels)


def _q3_k(blocks: Bytes) -> Floats:
    low = split_fields(blocks[:, 32:96].reshape(-1, 2, 32), 2).reshape(-1, 256)
    high = split_fields(blocks[:, :32], 1).reshape(-1, 256)
    levels = (low | (high << 2)).view(np.int8) - np.int8(4)
    scales = split_q3_scales(blocks[:, 96:108]).view(np.int8) - np.int8(32)
    return _symmetric(halves(blocks[:, 108:110]), scales, levels)


def _q4_k(blocks: Bytes) -> Floats:
    scales, minima = split_q4_scales(blocks[:, 4:16])
    levels = split_fields(blocks[:, 16:].reshape(-1, 4, 32), 4)
    return _affine(halves(blocks[:, :4]), scales, minima, levels)


def _q5_k(blocks: Bytes) -> Floats:
    scales, minima = split_q4_scales(blocks[:, 4:16])
    low = split_fields(blocks[:, 48:].reshape(-1, 4, 32), 4).reshape(-1, 8, 32)
    levels = low | (split_fields(blocks[:, 16:48], 1) << 4)
    return _affine(halves(blocks[:, :4]), scales, minima, levels)


def _q6_k(blocks: Bytes) -> Floats:
    low = split_fields(blocks[:, :128].reshape(-1, 2, 64), 4).reshape(-1, 256)
    high = split_fields(blocks[:, 128:192].reshape(-1, 2, 32), 2).reshape(-1, 256)
    levels = (low | (high << 4)).view(np.int8) - np.int8(32)
    return _symmetric(halves(blocks[:, 208:210]), blocks[:, 192:208].view(np.int8), levels)


def _iq4_xs(blocks: Bytes) -> Floats:
    high = split_fields(blocks[:, 2:4], 2).swapaxes(1, 2).reshape(-1, 8)
    low = split_fields(blocks[:, 4:8], 4).swapaxes(1, 2).reshape(-1, 8)
    scales = (low | (high << 4)).view(np.int8) - np.int8(32)
    levels = IQ4_VALUES[split_fields(blocks[:, 8:].reshape(-1, 8, 16), 4)]
    return _symmetric(halves(blocks[:, :2]), scales, levels)


def _symmetric(factor: Floats, scales: Integers, levels: Integers) -> Floats:
    """Return ``factor * scale * level``, where each scale is for as many levels as the others."""
    count, groups = scales.shape
    steps = (factor * scales)[:, :, None]
    weights: Floats = steps * levels.reshape(count, groups, -1)
    return weights.reshape(count, -1)


def _affine(factors: Floats, scales: Integers, minima: Integers, levels: Integers) -> Floats:
    """Return ``d * scale * level - dmin * minimum``; ``factors`` (n, 2) are d and dmin."""
    count, groups = scales.shape
    steps = (factors[:, :1] * scales)[:, :, None]
    lows = (factors[:, 1:] * minima)[:, :, None]
    weights: Floats = steps * levels.reshape(count, groups, -1) - lows
    return weights.reshape(count, -1)


EXPANDERS: Final[Mapping[str, Callable[[Bytes], Floats]]] = MappingProxyType(
    {
        "fp8_e4m3fn": lambda blocks: from_e4m3fn(blocks).astype(np.float32),
        "fp8_e5m2": lambda blocks: from_e5m2(blocks).astype(np.float32),
        "iq4_nl": _iq4_nl,
        "iq4_xs": _iq4_xs,
        "q2_k": _q2_k,
        "q3_k": _q3_k,
        "q4_0": _q4_0,
        "q4_1": _q4_1,
        "q4_k": _q4_k,
        "q5_0": _q5_0,
        "q5_1": _q5_1,
        "q5_k": _q5_k,
        "q6_k": _q6_k,
        "q8_0": _q8_0,
    }
)
"""The function of each format."""
