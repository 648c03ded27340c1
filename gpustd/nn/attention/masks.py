"""Attention on matrix units with a mask, a scale of its own, or heads that share keys."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from gpucore import Array, Buffer, T, f16, global_id, i32, u32
from gpucore.integers import ceil_div
from gpustd.launch.plain_kernels import plain_kernel
from gpustd.launch.template import kernel
from gpustd.nn.attention.matrix import matrix_shader, takes_matrix_units
from gpustd.nn.attention.sizes import AttentionSizes, attention_params, attention_work

__all__ = ["MaskPitches", "Masking", "masked_attention", "takes_masks"]


class MaskPitches(NamedTuple):
    """Elements of a mask from one batch, head and row to the next; 0 where they share it."""

    batch: int
    head: int
    row: int

    @classmethod
    def of(cls, mask: Buffer[Any] | None) -> MaskPitches:
        """Return the pitches of a mask (Sq, Sk), (heads, Sq, Sk) or (B, heads, Sq, Sk)."""
        if mask is None:
            return cls(0, 0, 0)
        *lead, rows, keys = mask.shape
        batch, heads = (1,) * (2 - len(lead)) + tuple(lead)
        return cls(
            heads * rows * keys if batch > 1 else 0,
            rows * keys if heads > 1 else 0,
            keys if rows > 1 else 0,
        )


@dataclass(frozen=True)
class Masking:
    """The factor and the mask of scores ``q k^T`` before their softmax.

    A ``mask`` of f16 or f32 is added; in one of i32 or u32, 0 marks what is not seen. ``causal``:
    row i sees keys 0 to i.
    """

    scale: float
    mask: Buffer[Any] | None
    causal: bool


def takes_masks(query: Buffer[Any], value: Buffer[Any]) -> bool:
    """Tell whether `masked_attention` takes these heads on this device."""
    depth = query.shape[3]
    scalar = query.dtype.name
    return value.shape[3] == depth and takes_matrix_units(query.device, scalar, depth)


def masked_attention(
    query: Buffer[T], key: Buffer[T], value: Buffer[T], masking: Masking
) -> Buffer[T]:
    """Return ``softmax(scale q k^T + mask) v``, computed on matrix units.

    ``query``: (B, Sq, heads, D); ``key`` and ``value``: (B, Sk, shared heads, D).
    """
    device = query.device
    batch, rows, heads, depth = query.shape
    keys, shared = key.shape[1:3]
    sizes = AttentionSizes(batch, rows, keys, heads, depth, masking.causal)
    mask = masking.mask
    if mask is not None and mask.dtype in (i32, u32):
        mask = _pack_bits(mask)
    kind, unit = _mask_words(mask, keys)
    shader = matrix_shader(device, sizes, kind)
    words = depth // shader.unit
    params = attention_params(sizes, shader.unit, masking.scale)
    for name, count in (("q", heads), ("k", shared), ("v", shared)):
        params |= {f"{name}_pitch": count * words, f"{name}_first": 0}
    params["share"] = heads // shared
    for name, pitch in MaskPitches.of(masking.mask)._asdict().items():
        params[f"mask_{name}"] = pitch // keys * ceil_div(keys, unit)
    spec = {**shader.spec, "mask": kind, "mask_unit": unit}
    launch = kernel(device, "nn/attention/matrix.wgsl", scalar="f16", **spec)
    inputs = (query, key, value) if mask is None else (query, key, value, mask)
    y = device.buffer(query.dtype, query.shape)
    work = attention_work(sizes, (*inputs, y))
    launch(*inputs, y, params, grid=shader.grid, work=work)
    return y


def _mask_words(mask: Buffer[Any] | None, keys: int) -> tuple[str, int]:
    """Return the kind of mask that the kernel reads, and the elements in one of its words."""
    if mask is None:
        return "none", 1
    if mask.dtype is u32:
        return "bits", 32
    if mask.dtype is f16 and keys % 8 == 0:
        return "f16", 8
    return mask.dtype.name, 4 if keys % 4 == 0 else 1


def _pack_bits(mask: Buffer[Any]) -> Buffer[u32]:
    """Return a bit for each element, set where it is not 0: (..., ceil(keys / 32)) words."""
    *lead, keys = mask.shape
    words = ceil_div(keys, 32)
    y = mask.device.buffer(u32, (*lead, words))
    mask_bits(mask, y, keys, words)
    return y


@plain_kernel()
def mask_bits(x: Array[T], y: Array[u32], keys: u32, words: u32) -> None:
    """Set a bit for each element of x (rows, keys) that is not 0, the first lowest: a word each."""
    at = global_id.x
    if at < len(y):
        first = at % words * 32
        start = at // words * keys + first
        bits = u32(0)
        bit = u32(1)
        for i in range(min(keys - first, 32)):
            if x[start + i] != 0:  # type: ignore[comparison-overlap]
                bits |= bit
            bit += bit
        y[at] = bits
