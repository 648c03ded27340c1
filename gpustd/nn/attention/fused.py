"""Scaled dot-product attention, with no matrix of scores in memory."""

from __future__ import annotations

import math
from typing import Any, NamedTuple

from gpucore import Buffer, ShapeError, T
from gpustd.launch.checks import as_int, require_buffers
from gpustd.launch.elements import float_scalar
from gpustd.launch.template import kernel
from gpustd.launch.variants import forced_variant
from gpustd.nn.attention.hopper import launch_hopper
from gpustd.nn.attention.sizes import AttentionSizes, attention_params, attention_work
from gpustd.nn.attention.variants import VARIANTS, best_variant
from gpustd.nn.attention.wide_head import attention_by_products

__all__ = ["attention", "self_attention"]


class _Operand(NamedTuple):
    """A buffer of q, k or v, and the column in which its heads begin."""

    buffer: Buffer[Any]
    first: int = 0


def attention(
    q: Buffer[T], k: Buffer[T], v: Buffer[T], *, heads: int, causal: bool = False
) -> Buffer[T]:
    """Return ``softmax(q k^T / sqrt(D)) v`` for each head, with scores and sums in f32.

    On matrix units used from WGSL, scores of more than 128 keys are f16. They are relative to
    their row's greatest among the first keys; in many rows of heads of up to 48 channels, to the
    greatest so far. This is done where scores, q and the first keys are so small that f16 loses
    little: 2^-11 of the sums on the way to a score. Keys much longer than the first ones may lose
    more.

    Args:
        q: (B, Sq, heads * D), f16 or f32.
        k: (B, Sk, heads * D) of the same dtype, Sk >= 1.
        v: like k.
        heads: how many heads share the channels; head h has channels h * D to h * D + D - 1.
        causal: row i sees keys 0 to i only.

    Returns (B, Sq, heads * D). An infinity or NaN in k may also make the result of the key before
    it NaN. Raises `ShapeError`, `DTypeError`, and `LimitError` for heads that are too wide.

    >>> q = device.buffer_from_array(np.zeros((1, 2, 4), np.float32))
    >>> v = device.buffer_from_array(np.eye(4, dtype=np.float32)[None, :2])
    >>> gpustd.attention(q, v, v, heads=1).read().tolist()
    [[[0.5, 0.5, 0.0, 0.0], [0.5, 0.5, 0.0, 0.0]]]
    """
    sizes = _check_operands(q, k, v, heads, causal=causal)
    scalar = float_scalar("attention", q, k, v)
    forced = forced_variant("attention")
    variant = None if forced == "products" and causal else forced
    variant = variant or best_variant(q.device, scalar, sizes, separate=not causal)
    if variant == "products":
        return attention_by_products(q, k, v)
    y = q.device.buffer(q.dtype, q.shape)
    _launch(variant, (_Operand(q), _Operand(k), _Operand(v)), y, sizes)
    return y


def self_attention(qkv: Buffer[T], *, heads: int, causal: bool = False) -> Buffer[T]:
    """Return the `attention` of q, k and v that lie side by side in each row, as of one product.

    Args:
        qkv: (B, S, 3 * heads * D), f16 or f32: q, then k, then v.
        heads: as in `attention`.
        causal: as in `attention`.

    Returns (B, S, heads * D). Raises as `attention`: `ShapeError`, `DTypeError`, `LimitError`.

    >>> qkv = device.buffer_from_array(np.ones((1, 5, 3 * 8), np.float32))
    >>> gpustd.self_attention(qkv, heads=2).shape
    (1, 5, 8)
    """
    require_buffers("self_attention", qkv)
    heads = as_int("self_attention", "heads", heads)
    if len(qkv.shape) != 3 or qkv.shape[1] < 1 or heads < 1 or qkv.shape[2] % (3 * heads):
        raise ShapeError(
            f"self_attention: qkv must be (B, S, 3 * heads * D), got {qkv.shape} for {heads} heads"
        )
    batch, rows, columns = qkv.shape
    width = columns // 3
    y = qkv.device.buffer(qkv.dtype, (batch, rows, width))
    sizes = AttentionSizes(batch, rows, rows, heads, width // heads, causal)
    scalar = float_scalar("self_attention", qkv)
    forced = forced_variant("attention")
    variant = None if forced == "products" else forced
    variant = variant or best_variant(qkv.device, scalar, sizes, separate=False)
    _launch(variant, tuple(_Operand(qkv, n * width) for n in range(3)), y, sizes)
    return y


def _launch(
    variant: str, operands: tuple[_Operand, ...], y: Buffer[Any], sizes: AttentionSizes
) -> None:
    """Record a variant over the operands q, k and v."""
    if variant == "hopper":
        launch_hopper(operands, y, sizes)
        return
    device, scalar = y.device, y.dtype.name
    shader = VARIANTS[variant](device, scalar, sizes)
    params = attention_params(sizes, shader.unit, 1.0 / math.sqrt(sizes.head))
    for name, (buffer, first) in zip("qkv", operands, strict=True):
        params[f"{name}_pitch"] = buffer.shape[2] // shader.unit
        params[f"{name}_first"] = first // shader.unit
    launch = kernel(device, f"nn/attention/{variant}{shader.suffix}", scalar=scalar, **shader.spec)
    buffers = (*(operand.buffer for operand in operands), y)
    launch(*buffers, params, grid=shader.grid, work=attention_work(sizes, buffers))


def _check_operands(
    q: Buffer[T], k: Buffer[T], v: Buffer[T], heads: int, *, causal: bool
) -> AttentionSizes:
    """Return the sizes of operands that fit. Raises `ShapeError`, `ArgumentError`."""
    require_buffers("attention", q, k, v)
    heads = as_int("attention", "heads", heads)
    shapes = f"q {q.shape}, k {k.shape}, v {v.shape}"
    if not len(q.shape) == len(k.shape) == len(v.shape) == 3:
        raise ShapeError(
            f"attention: q, k and v must be (B, Sq, C), (B, Sk, C), (B, Sk, C), got {shapes}"
        )
    batch, rows, channels = q.shape
    if k.shape != v.shape or (k.shape[0], k.shape[2]) != (batch, channels):
        raise ShapeError(
            f"attention: k and v must be alike, with the batch and channels of q, got {shapes}"
        )
    if k.shape[1] < 1:
        raise ShapeError(f"attention: there must be at least one key, got {shapes}")
    if heads < 1 or channels < heads or channels % heads:
        raise ShapeError(f"attention: heads must divide the {channels} channels, got {heads}")
    return AttentionSizes(batch, rows, k.shape[1], heads, channels // heads, causal)
