"""Attention over (B, S, heads, D), with masks, shared heads and any scale."""

from __future__ import annotations

import math
from typing import Any

from gpucore import ArgumentError, Buffer, DTypeError, LimitError, ShapeError, T, f32
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_float, require_buffers
from gpustd.launch.elements import float_scalar
from gpustd.launch.grid import MOST_GROUPS, flat_grid
from gpustd.launch.template import kernel
from gpustd.launch.variants import forced_variant
from gpustd.nn.attention.fused import attention as fused_attention
from gpustd.nn.attention.masks import Masking, MaskPitches, masked_attention, takes_masks
from gpustd.nn.rows import row_plan

__all__ = ["scaled_dot_product_attention"]

_MASKS = ("f16", "f32", "i32", "u32")


def scaled_dot_product_attention(
    query: Buffer[T],
    key: Buffer[T],
    value: Buffer[T],
    attn_mask: Buffer[Any] | None = None,
    is_causal: bool = False,
    scale: float | None = None,
) -> Buffer[T]:
    """Return ``softmax(scale q k^T + mask) v`` for each head.

    Without a mask and with the usual scale this is `gpustd.attention`, with no matrix of scores in
    memory. The same holds for all masks and scales on matrix units (f16, D = Dv a multiple of 8 up
    to 160). Otherwise B * heads * Sq * Sk scores are kept, in f32. `gpustd.self_attention` takes
    q, k and v side by side in one buffer.

    Args:
        query: (B, Sq, heads, D), f16 or f32.
        key: (B, Sk, heads, D), Sk >= 1; or fewer heads that divide those of the query, each shared
            by as many neighbours.
        value: (B, Sk, key heads, Dv).
        attn_mask: (Sq, Sk), (heads, Sq, Sk) or (B, heads, Sq, Sk); extents of 1 are shared. f16 or
            f32 is added to the scores; in i32 or u32, 0 marks what is not seen. A row that sees
            nothing becomes zeros.
        is_causal: query i sees keys 0 to i only; not together with a mask.
        scale: 1 / sqrt(D) by default.

    Returns (B, Sq, heads, Dv). Raises `ShapeError`, `ArgumentError`, `DTypeError`, and
    `LimitError` for more than 65 535 times 65 535 workgroups of scores.

        >>> up = device.buffer_from_array
        >>> x = up(np.ones((1, 2, 1, 4), np.float32))
        >>> v = up(np.array([1, 3], np.float32).reshape(1, 2, 1, 1))
        >>> nn.scaled_dot_product_attention(x, x, v, is_causal=True).read().ravel().tolist()
        [1.0, 2.0]
    """
    _check_operands(query, key, value)
    _check_mask(query, key, attn_mask, is_causal)
    batch, rows, heads, depth = query.shape
    simple = attn_mask is None and scale is None and value.shape == key.shape
    if simple and key.shape[2] == heads and forced_variant("nn.attention") is None:
        q, k, v = (b.view((*b.shape[:2], b.shape[2] * b.shape[3])) for b in (query, key, value))
        return fused_attention(q, k, v, heads=heads, causal=is_causal).view(query.shape)
    factor = 1.0 / math.sqrt(depth)
    if scale is not None:
        factor = as_float("scaled_dot_product_attention", "scale", scale)
    if query.size and forced_variant("nn.attention") is None and takes_masks(query, value):
        masking = Masking(factor, attn_mask, is_causal)
        return masked_attention(query, key, value, masking)
    y = query.device.buffer(query.dtype, (batch, rows, heads, value.shape[3]))
    if not y.size:
        return y
    scores = query.device.buffer(f32, (batch, heads, rows, key.shape[1]))
    _launch_scores(query, key, scores, factor)
    _launch_softmax(scores, attn_mask, is_causal)
    _launch_sums(scores, value, y)
    return y


def _launch_scores(
    query: Buffer[Any], key: Buffer[Any], scores: Buffer[f32], factor: float
) -> None:
    """Record ``scores = factor q k^T`` of each head."""
    _, rows, heads, depth = query.shape
    keys, shared = key.shape[1:3]
    sizes = {
        "a_batch": rows * heads * depth,
        "a_head": depth,
        "a_m": heads * depth,
        "a_k": 1,
        "b_batch": keys * shared * depth,
        "b_head": depth,
        "b_k": 1,
        "b_n": shared * depth,
        "y_batch": heads * rows * keys,
        "y_head": rows * keys,
        "y_m": keys,
    }
    numbers = {"m": rows, "n": keys, "k": depth, "heads": heads, "share": heads // shared}
    _launch_products((query, key, scores), {**numbers, "scale": factor, **sizes})


def _launch_sums(scores: Buffer[f32], value: Buffer[Any], y: Buffer[Any]) -> None:
    """Record ``y = scores v`` of each head."""
    _, heads, rows, keys = scores.shape
    shared, width = value.shape[2:]
    sizes = {
        "a_batch": heads * rows * keys,
        "a_head": rows * keys,
        "a_m": keys,
        "a_k": 1,
        "b_batch": keys * shared * width,
        "b_head": width,
        "b_k": shared * width,
        "b_n": 1,
        "y_batch": rows * heads * width,
        "y_head": width,
        "y_m": heads * width,
    }
    numbers = {"m": rows, "n": width, "k": keys, "heads": heads, "share": heads // shared}
    _launch_products((scores, value, y), {**numbers, "scale": 1.0, **sizes})


def _launch_products(buffers: tuple[Buffer[Any], ...], sizes: dict[str, float]) -> None:
    """Record ``shaders/nn/products.wgsl``; batch and heads are the grid's second dimension.

    Raises `LimitError` where one launch has too few workgroups.
    """
    device = buffers[0].device
    tiled = (forced_variant("nn.attention") or ("plain" if device.is_cpu else "tiled")) == "tiled"
    left, right, out = (b.dtype.name for b in buffers)
    launch = kernel(device, "nn/products.wgsl", tiled=tiled, left=left, right=right, out=out)
    m, n = int(sizes["m"]), int(sizes["n"])
    blocks = ceil_div(m, 64) * ceil_div(n, 64) if tiled else ceil_div(m * n, 64)
    matrices = buffers[0].shape[0] * int(sizes["heads"])
    if blocks > MOST_GROUPS or matrices > MOST_GROUPS:
        raise LimitError(
            f"scaled_dot_product_attention: there must be at most {MOST_GROUPS} matrices of "
            f"{MOST_GROUPS} workgroups, got {matrices} of {m} by {n}; split the batch"
        )
    launch(*buffers, sizes, grid=(blocks, matrices, 1))


def _launch_softmax(scores: Buffer[f32], mask: Buffer[Any] | None, causal: bool) -> None:
    """Record the softmax of the scores in place."""
    batch, heads, rows, keys = scores.shape
    device = scores.device
    lanes, threads, spec = row_plan(device)
    sizes: dict[str, float] = {"rows": batch * heads * rows, "keys": keys, "heads": heads}
    sizes |= {f"{name}_pitch": n for name, n in MaskPitches.of(mask)._asdict().items()}
    sizes |= {"queries": rows, "causal": int(bool(causal)), "never": -math.inf}
    spec["mask"] = "none" if mask is None else mask.dtype.name
    launch = kernel(device, "nn/masked_softmax.wgsl", **spec)
    operands = (scores,) if mask is None else (scores, mask)
    grid = flat_grid(batch * heads * rows, threads // lanes)
    launch(*operands, sizes, grid=grid)


def _check_operands(query: Buffer[Any], key: Buffer[Any], value: Buffer[Any]) -> None:
    """Check that query, key and value fit together. Raises `ShapeError`, `DTypeError`."""
    op = "scaled_dot_product_attention"
    float_scalar(op, query, key, value)
    shapes = f"query {query.shape}, key {key.shape}, value {value.shape}"
    if not len(query.shape) == len(key.shape) == len(value.shape) == 4:
        raise ShapeError(f"{op}: operands must be (B, S, heads, D), got {shapes}")
    batch, _, heads, depth = query.shape
    if key.shape[:3] != value.shape[:3] or (key.shape[0], key.shape[3]) != (batch, depth):
        raise ShapeError(
            f"{op}: query and key must have the same B and D, key and value the same S and heads, "
            f"got {shapes}"
        )
    if key.shape[1] < 1 or depth < 1 or key.shape[2] < 1 or heads % key.shape[2]:
        raise ShapeError(
            f"{op}: there must be keys, and heads of the key that divide the query's, got {shapes}"
        )


def _check_mask(
    query: Buffer[Any], key: Buffer[Any], mask: Buffer[Any] | None, is_causal: bool
) -> None:
    """Check that a mask fits the scores. Raises `ShapeError`, `DTypeError`, `ArgumentError`."""
    op = "scaled_dot_product_attention"
    if mask is None:
        return
    require_buffers(op, mask)
    if is_causal:
        raise ArgumentError(
            f"{op}: is_causal must be False with a mask; put the causal part into the mask"
        )
    if mask.dtype.name not in _MASKS:
        raise DTypeError(f"{op}: attn_mask must be one of {', '.join(_MASKS)}, got {mask!r}")
    batch, rows, heads, _ = query.shape
    scores = (batch, heads, rows, key.shape[1])
    fits = 2 <= len(mask.shape) <= 4 and all(
        n in (1, m) for n, m in zip(mask.shape[:-1], scores[4 - len(mask.shape) : -1], strict=True)
    )
    if not fits or mask.shape[-1] != scores[3]:
        raise ShapeError(
            f"{op}: attn_mask must have the extents of the scores {scores} or 1, and as many keys, "
            f"got {mask.shape}"
        )
