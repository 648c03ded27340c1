"""Attention on matrix units with a mask, a scale of its own, or heads that share keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, T
from gpustd.attention import (
    Sizes,
    attention_params,
    attention_work,
    matrix_shader,
    takes_matrix_units,
)
from gpustd.template import kernel

__all__ = ["Masking", "masked_attention", "takes_masks"]


@dataclass(frozen=True)
class Masking:
    """What happens to scores, ``scale q k^T``, before their softmax.

    ``mask`` is added (f16, f32) or tells by 0 what is not seen (i32, u32); ``pitches`` are its
    elements from one batch, head and row to the next, 0 where they share it. ``causal``: row i sees
    keys 0 to i.
    """

    scale: float
    mask: Buffer[Any] | None
    pitches: tuple[int, int, int]
    causal: bool


def takes_masks(query: Buffer[Any], value: Buffer[Any]) -> bool:
    """Whether `masked_attention` can do it."""
    depth = query.shape[3]
    scalar = query.dtype.name
    return value.shape[3] == depth and takes_matrix_units(query.device, scalar, depth)


def masked_attention(
    query: Buffer[T], key: Buffer[T], value: Buffer[T], masking: Masking
) -> Buffer[T]:
    """``softmax(scale q k^T + mask) v``.

    ``query``: (B, Sq, heads, D); ``key`` and ``value``: (B, Sk, shared heads, D).
    """
    device = query.device
    batch, rows, heads, depth = query.shape
    keys, shared = key.shape[1:3]
    sizes = Sizes(batch, rows, keys, heads, depth)
    shader = matrix_shader(device, sizes)
    words = depth // shader.unit
    mask = masking.mask
    quads = keys % 4 == 0
    params = attention_params(sizes, shader.unit, masking.scale, causal=masking.causal)
    for name, count in (("q", heads), ("k", shared), ("v", shared)):
        params |= {f"{name}_pitch": count * words, f"{name}_first": 0}
    params["share"] = heads // shared
    for name, pitch in zip(("batch", "head", "row"), masking.pitches, strict=True):
        params[f"mask_{name}"] = pitch // 4 if quads else pitch
    kind = "none" if mask is None else mask.dtype.name
    spec = {**shader.spec, "mask": kind, "mask_quads": quads}
    launch = kernel(device, "attention/matrix.wgsl", scalar="f16", **spec)
    inputs = (query, key, value) if mask is None else (query, key, value, mask)
    y = device.buffer(query.dtype, query.shape)
    work = attention_work(sizes, (*inputs, y), causal=masking.causal)
    launch(*inputs, y, params, grid=shader.grid, work=work)
    return y
