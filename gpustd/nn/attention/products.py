"""Attention of one wide head as two products and a softmax, for matrix units.

A head of some 512 channels (the autoencoder's) leaves no registers for the flash form. Scores are
f32, made for some queries at a time so that they stay small.
"""

from __future__ import annotations

import math

from gpucore import Buffer, T
from gpustd.arrays.casting import cast
from gpustd.arrays.combination import linear_combination
from gpustd.arrays.layout import concat, slice_axis, transpose
from gpustd.matmul.dense import gemm, wide_gemm
from gpustd.nn.row_softmax import softmax

__all__ = ["attention_by_products"]

_MOST_SCORES = 2**24


def attention_by_products(q: Buffer[T], k: Buffer[T], v: Buffer[T]) -> Buffer[T]:
    """``softmax(q k^T / sqrt(D)) v`` of one head: q (B, Sq, D), k and v (B, Sk, D)."""
    scaled = linear_combination([(1.0 / math.sqrt(q.shape[2]), q)])
    return _joined([_one(*(_image(x, i) for x in (scaled, k, v))) for i in range(q.shape[0])])


def _image(x: Buffer[T], index: int) -> Buffer[T]:
    return x if x.shape[0] == 1 else slice_axis(x, 0, index, index + 1)


def _one(q: Buffer[T], k: Buffer[T], v: Buffer[T]) -> Buffer[T]:
    """Attention of one image."""
    keys = transpose(k.view(k.shape[1:]), (1, 0))
    values = v.view(v.shape[1:])
    rows, step = q.shape[1], max(_MOST_SCORES // k.shape[1], 64)
    parts = [
        _some(slice_axis(q, 1, i, min(i + step, rows)) if step < rows else q, keys, values)
        for i in range(0, rows, step)
    ]
    return parts[0] if len(parts) == 1 else concat(parts, 1)


def _some(q: Buffer[T], keys: Buffer[T], values: Buffer[T]) -> Buffer[T]:
    """Attention of some queries."""
    return gemm(cast(softmax(wide_gemm(q, keys)), q.dtype), values)


def _joined(images: list[Buffer[T]]) -> Buffer[T]:
    return images[0] if len(images) == 1 else concat(images, 0)
