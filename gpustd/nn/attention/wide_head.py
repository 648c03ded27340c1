"""Attention of one wide head as two products and a softmax, for matrix units.

A head of some 512 channels (the autoencoder's) leaves no registers for the flash form. Scores are
f32, and of some queries at a time so that they stay small.
"""

from __future__ import annotations

import math

from gpucore import Buffer, T
from gpustd.arrays.elementwise.conversion import cast
from gpustd.arrays.elementwise.linear_combinations import linear_combination
from gpustd.arrays.moving.blocks import concat, slice_axis
from gpustd.arrays.moving.transposing import transpose
from gpustd.matmul.dense import gemm, wide_gemm
from gpustd.nn.probabilities import softmax

__all__ = ["attention_by_products"]

_MOST_SCORES = 2**24


def attention_by_products(
    q: Buffer[T], k: Buffer[T], v: Buffer[T], most_scores: int = _MOST_SCORES
) -> Buffer[T]:
    """Return ``softmax(q k^T / sqrt(D)) v`` of one head: q (B, Sq, D), k and v (B, Sk, D).

    At most ``most_scores`` are in memory at a time, but those of at least 64 queries.
    """
    scaled = linear_combination([(1.0 / math.sqrt(q.shape[2]), q)])
    step = max(most_scores // k.shape[1], 64)
    images = [
        _attend_image(_image(scaled, i), _image(k, i), _image(v, i), step)
        for i in range(q.shape[0])
    ]
    return images[0] if len(images) == 1 else concat(images, 0)


def _image(x: Buffer[T], index: int) -> Buffer[T]:
    """Return one image of a batch, without a copy where there is only one."""
    return x if x.shape[0] == 1 else slice_axis(x, 0, index, index + 1)


def _attend_image(q: Buffer[T], k: Buffer[T], v: Buffer[T], step: int) -> Buffer[T]:
    """Return the attention of one image, ``step`` queries at a time."""
    keys = transpose(k.view(k.shape[1:]), (1, 0))
    values = v.view(v.shape[1:])
    rows = q.shape[1]
    parts = []
    for first in range(0, rows, step):
        queries = slice_axis(q, 1, first, min(first + step, rows)) if step < rows else q
        weights = cast(softmax(wide_gemm(queries, keys)), q.dtype)
        parts.append(gemm(weights, values))
    return parts[0] if len(parts) == 1 else concat(parts, 1)
