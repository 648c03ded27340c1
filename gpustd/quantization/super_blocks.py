"""From weights to blocks of 256, whose groups have scales of few bits; and to iq4_nl.

Each function takes float32 weights (n, elements) and returns blocks (n, bytes). Source: ggml,
``src/ggml-quants.c``, the functions ``quantize_...`` without weights of importance.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from gpustd.quantization.packing import (
    Bytes,
    Floats,
    Integers,
    half_bytes,
    halves,
    join_fields,
    join_q3_scales,
    join_q4_scales,
)
from gpustd.quantization.searches import (
    AffineSearch,
    affine_scales,
    nearest,
    nearest_iq4,
    refined_scales,
    sum_rows,
    symmetric_scales,
    value_scales,
)

__all__ = ["iq4_nl", "iq4_xs", "q2_k", "q3_k", "q4_k", "q5_k", "q6_k"]

_Q2_SEARCH: Final = AffineSearch(most=3, start=-0.5, steps=15, absolute=True)
_Q4_SEARCH: Final = AffineSearch(most=15, start=-1.0, steps=20, absolute=False)
_Q5_SEARCH: Final = AffineSearch(most=31, start=-0.5, steps=15, absolute=False)
_TINY: Final = np.float32(1e-15)


def q2_k(weights: Floats) -> Bytes:
    """Return blocks of 16 groups with scales and minima of four bits, and levels of two."""
    columns = _columns(weights, 16)
    found = affine_scales(columns, np.abs(columns), _Q2_SEARCH)
    scales, minima = found.scale.reshape(-1, 16), found.minimum.reshape(-1, 16)
    steps, d = _low_bits(scales, 15)
    lows, dmin = _low_bits(minima, 15)
    head = half_bytes(np.concatenate([d, dmin], axis=1))
    factors = halves(head)
    levels = _affine_levels(columns, factors, steps, lows, found.levels, 3)
    packed = join_fields(levels.reshape(-1, 2, 4, 32), 2).reshape(-1, 64)
    return np.concatenate([steps | (lows << 4), packed, head], axis=1)


def q4_k(weights: Floats) -> Bytes:
    """Return blocks of 8 groups with scales and minima of six bits, and levels of four."""
    head, levels = _affine_blocks(weights, _Q4_SEARCH)
    packed = join_fields(levels.reshape(-1, 4, 2, 32), 4).reshape(-1, 128)
    return np.concatenate([head, packed], axis=1)


def q5_k(weights: Floats) -> Bytes:
    """Return blocks of 8 groups with scales and minima of six bits, and levels of five."""
    head, levels = _affine_blocks(weights, _Q5_SEARCH)
    high = join_fields(levels.reshape(-1, 8, 32) >> 4, 1)
    low = join_fields((levels & 15).reshape(-1, 4, 2, 32), 4).reshape(-1, 128)
    return np.concatenate([head, high, low], axis=1)


def _affine_blocks(weights: Floats, search: AffineSearch) -> tuple[Bytes, Bytes]:
    """Return the 16 bytes of factors, scales and minima (n, 16), and the levels (n, 256)."""
    columns = _columns(weights, 32)
    mean = np.sqrt(sum_rows(columns * columns) / np.float32(32))
    found = affine_scales(columns, mean + np.abs(columns), search)
    scales, minima = found.scale.reshape(-1, 8), found.minimum.reshape(-1, 8)
    (steps, d), (lows, dmin) = _low_bits(scales, 63), _low_bits(minima, 63)
    head = half_bytes(np.concatenate([d, dmin], axis=1))
    levels = _affine_levels(columns, halves(head), steps, lows, found.levels, search.most)
    return np.concatenate([head, join_q4_scales(steps, lows)], axis=1), levels


def _low_bits(scales: Floats, most: int) -> tuple[Bytes, Floats]:
    """Return scales (n, groups) as integers up to ``most``, and the factor (n, 1) of each block."""
    largest = np.maximum(scales.max(axis=1, keepdims=True), np.float32(0))
    inverse = np.where(largest > 0, np.float32(most) / largest, np.float32(0))
    steps = np.minimum(nearest(inverse * scales).astype(np.uint8), most)
    return steps, largest / np.float32(most)


def _affine_levels(
    columns: Floats, factors: Floats, steps: Bytes, lows: Bytes, found: Integers, most: int
) -> Bytes:
    """Return levels (n, elements) for scales as they are stored.

    A group whose scale is stored as zero keeps the levels that the search ``found``.
    """
    scale = (factors[:, :1] * steps).reshape(-1)
    low = (factors[:, 1:] * lows).reshape(-1)
    levels = np.clip(nearest((columns + low) / scale), 0, most)
    return _rows(np.where(scale == 0, found, levels), len(factors))


def q3_k(weights: Floats) -> Bytes:
    """Return blocks of 16 groups with scales of six bits, and levels of three."""
    columns = _columns(weights, 16)
    found, levels = refined_scales(columns, 4)
    inverse = np.float32(-32) / _largest_scale(found.reshape(-1, 16))
    used = np.isfinite(inverse)
    steps = np.clip(nearest(inverse * found.reshape(-1, 16)), -32, 31) + 32
    steps = np.where(used, steps, 0)
    head = half_bytes(np.where(used, np.float32(1) / inverse, np.float32(0)))
    stored = _symmetric_levels(columns, halves(head), steps - 32, levels, 4)
    high = join_fields(stored.reshape(-1, 8, 32) >> 2, 1)
    low = join_fields((stored & 3).reshape(-1, 2, 4, 32), 2).reshape(-1, 64)
    return np.concatenate([high, low, join_q3_scales(steps), head], axis=1)


def q6_k(weights: Floats) -> Bytes:
    """Return blocks of 16 groups with scales of eight bits, and levels of six."""
    columns = _columns(weights, 16)
    found, levels = symmetric_scales(columns, 32)
    largest = _largest_scale(found.reshape(-1, 16))
    inverse = np.float32(-128) / largest
    steps = np.minimum(nearest(inverse * found.reshape(-1, 16)), 127)
    head = half_bytes(np.float32(1) / inverse)
    stored = _symmetric_levels(columns, halves(head), steps, levels, 32)
    low = join_fields((stored & 15).reshape(-1, 2, 2, 64), 4).reshape(-1, 128)
    high = join_fields((stored >> 4).reshape(-1, 2, 4, 32), 2).reshape(-1, 64)
    blocks = np.concatenate([low, high, steps.astype(np.int8).view(np.uint8), head], axis=1)
    return np.where(np.abs(largest) < _TINY, np.uint8(0), blocks)


def _largest_scale(scales: Floats) -> Floats:
    """Return the first scale of the largest magnitude in each row, as (n, 1)."""
    return np.take_along_axis(scales, np.abs(scales).argmax(axis=1)[:, None], axis=1)


def _symmetric_levels(
    columns: Floats, factor: Floats, steps: Integers, found: Integers, most: int
) -> Bytes:
    """Return levels (n, elements) for scales as they are stored; see `_affine_levels`."""
    scale = (factor * steps.astype(np.float32)).reshape(-1)
    levels = np.clip(nearest(columns / scale), -most, most - 1) + most
    return _rows(np.where(scale == 0, found, levels), len(factor))


def iq4_nl(weights: Floats) -> Bytes:
    """Return blocks of a scale and 32 of sixteen unequal levels."""
    columns = _columns(weights, 32)
    scale = value_scales(columns)
    inverse = np.where(scale != 0, np.float32(1) / scale, np.float32(0))
    levels = _rows(nearest_iq4(inverse * columns), len(weights))
    return np.concatenate([half_bytes(scale[:, None]), _join_iq4(levels, 1)], axis=1)


def iq4_xs(weights: Floats) -> Bytes:
    """Return blocks of 8 groups with scales of six bits, and sixteen unequal levels."""
    columns = _columns(weights, 32)
    scales = value_scales(columns).reshape(-1, 8)
    factor = -_largest_scale(scales) / np.float32(32)
    inverse = np.where(factor != 0, np.float32(1) / factor, np.float32(0))
    steps = np.clip(nearest(inverse * scales), -32, 31)
    scale = (factor * steps.astype(np.float32)).reshape(-1)
    inverse = np.where(scale != 0, np.float32(1) / scale, np.float32(0))
    levels = _rows(nearest_iq4(inverse * columns), len(weights))
    packed = (steps + 32).astype(np.uint8)
    high = join_fields((packed >> 4).reshape(-1, 2, 4).swapaxes(1, 2), 2)
    low = join_fields((packed & 15).reshape(-1, 4, 2).swapaxes(1, 2), 4)
    return np.concatenate([half_bytes(factor), high, low, _join_iq4(levels, 8)], axis=1)


def _join_iq4(levels: Bytes, groups: int) -> Bytes:
    """Return the bytes of levels (n, 32 groups): low and high halves of 16 bytes in each group."""
    return join_fields(levels.reshape(-1, groups, 2, 16), 4).reshape(-1, 16 * groups)


def _columns(weights: Floats, group: int) -> Floats:
    """Return weights (n, elements) as (group, groups)."""
    return np.ascontiguousarray(weights.reshape(-1, group).T)


def _rows(levels: Integers, count: int) -> Bytes:
    """Return levels (group, groups) as bytes (``count``, elements)."""
    return np.ascontiguousarray(levels.T).astype(np.uint8).reshape(count, -1)
