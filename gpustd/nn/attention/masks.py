"""Attention on matrix units with a mask, a scale of its own, or heads that share keys."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, T, f16, i32, u32
from gpucore.integers import ceil_div
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import kernel
from gpustd.nn.attention.fused import (
    Sizes,
    attention_params,
    attention_work,
    matrix_shader,
    takes_matrix_units,
)

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
    sizes = Sizes(batch, rows, keys, heads, depth, masking.causal)
    mask = masking.mask
    if mask is not None and mask.dtype in (i32, u32):
        mask = _bits(mask)
    kind, unit = _form(mask, keys)
    shader = matrix_shader(device, sizes, kind)
    words = depth // shader.unit
    params = attention_params(sizes, shader.unit, masking.scale)
    for name, count in (("q", heads), ("k", shared), ("v", shared)):
        params |= {f"{name}_pitch": count * words, f"{name}_first": 0}
    params["share"] = heads // shared
    for name, pitch in zip(("batch", "head", "row"), masking.pitches, strict=True):
        params[f"mask_{name}"] = pitch // keys * ceil_div(keys, unit)
    spec = {**shader.spec, "mask": kind, "mask_unit": unit}
    launch = kernel(device, "nn/attention/matrix.wgsl", scalar="f16", **spec)
    inputs = (query, key, value) if mask is None else (query, key, value, mask)
    y = device.buffer(query.dtype, query.shape)
    work = attention_work(sizes, (*inputs, y))
    launch(*inputs, y, params, grid=shader.grid, work=work)
    return y


def _form(mask: Buffer[Any] | None, keys: int) -> tuple[str, int]:
    """What the kernel makes of a mask, and elements of a row in one of its words."""
    if mask is None:
        return "none", 1
    if mask.dtype is u32:
        return "bits", 32
    if mask.dtype is f16 and keys % 8 == 0:
        return "f16", 8
    return mask.dtype.name, 4 if keys % 4 == 0 else 1


def _bits(mask: Buffer[Any]) -> Buffer[u32]:
    """Where a mask is not 0: (..., keys) as words (..., ceil(keys / 32))."""
    *lead, keys = mask.shape
    rows, words = math.prod(lead), ceil_div(keys, 32)
    y = mask.device.buffer(u32, (*lead, words))
    launch = kernel(mask.device, "nn/attention/bits.wgsl", scalar=mask.dtype.name)
    sizes = {"rows": rows, "keys": keys, "words": words}
    launch(mask, y, sizes, grid=flat_grid(rows * words, 64))
    return y
