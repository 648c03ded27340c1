"""scaled_dot_product_attention against NumPy float64, by gpustd.attention and by products."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from scipy import special

from gpucore import ArgumentError, Device, DType, DTypeError, ShapeError, f16, f32, u8
from gpustd import nn
from gpustd.launch.variants import force_variant
from gpustd.nn.attention import masks
from gpustd.nn.attention.matrix import MatrixTile
from tests.draws import draws
from tests.gpustd.emulated_units import emulated_kernel, need_matrix_units
from tests.gpustd.nn.oracle import EPS, check, draw_normal, strided_view, supported_dtype, up

# Cases are sizes, dtypes, tiles and variants.
pytestmark = pytest.mark.sampled

Array = NDArray[Any]


def run(
    device: Device,
    operands: tuple[Array, Array, Array],
    variant: str | None = None,
    *,
    mask: Array | None = None,
    causal: bool = False,
    scale: float | None = None,
    off: float = 0.0,
) -> None:
    """``off``: what a score may be off because it is f16."""
    expected, limit = reference(operands, mask=mask, causal=causal, scale=scale, off=off)
    with force_variant("nn.attention", variant) if variant else nullcontext():
        buffers = [up(device, x) for x in operands]
        held = None if mask is None else up(device, mask, poison=expected.size * 4)
        result = nn.scaled_dot_product_attention(*buffers, held, causal, scale).read()
    check(device, "scaled_dot_product_attention", result, expected, limit)


def reference(
    operands: tuple[Array, Array, Array],
    *,
    mask: Array | None = None,
    causal: bool = False,
    scale: float | None = None,
    off: float = 0.0,
) -> tuple[Array, Array]:
    """In float64, and what it may be off."""
    q, k, v = (x.astype(np.float64) for x in operands)
    rows, heads, depth = q.shape[1:]
    factor = 1 / np.sqrt(depth) if scale is None else scale
    k, v = (x.repeat(heads // x.shape[2], axis=2) for x in (k, v))
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) * factor
    size = np.einsum("bqhd,bkhd->bhqk", np.abs(q), np.abs(k)) * abs(factor)
    if causal:
        scores[..., ~np.tri(rows, k.shape[1], dtype=bool)] = -np.inf
    if mask is not None and mask.dtype.kind == "f":
        scores = scores + mask
    elif mask is not None:
        scores = np.where(mask != 0, scores, -np.inf)
    shares = special.softmax(np.where(np.isfinite(scores), scores, -1e30), axis=-1)
    shares = np.where(np.isfinite(scores), shares, 0)
    expected = np.einsum("bhqk,bkhd->bqhd", shares, v)
    # A score is off by its depth in roundings, which both the power and the sum of powers take on;
    # f16's kernels round powers to f16, whose unit is 2^-10.
    rounding = 2.0**-10 if operands[0].dtype == np.float16 else 0.0
    largest = np.abs(scores[np.isfinite(scores)]).max(initial=0)
    score = EPS * (depth + 8) * (size.max(initial=0) + largest)
    allowed = 2 * (score + off) + EPS * (2 * k.shape[1] + 20) + 2 * rounding
    return expected, allowed * np.einsum("bhqk,bkhd->bqhd", shares, np.abs(v))


MASKS = ("none", "causal", "added", "hidden")


@st.composite
def operands(draw: st.DrawFn, device: Device) -> tuple[Array, Array, Array]:
    """Query, key and value: any extents, heads that are shared, a width of their own."""
    batch, rows, keys = (draw(st.sampled_from(s)) for s in ([1, 2, 3], [1, 5, 19], [1, 2, 7, 19]))
    shared, share = draw(st.sampled_from([(1, 1), (1, 3), (3, 1), (2, 2)]))
    depth, width = draw(st.sampled_from([(8, 8), (1, 1), (8, 5), (3, 4)]))
    dtype = supported_dtype(device, draw(st.sampled_from([f32, f32, f16])))
    shapes = (rows, shared * share, depth), (keys, shared, depth), (keys, shared, width)
    q, k, v = (
        strided_view(draw_normal(i, (batch, *shape), dtype)) for i, shape in enumerate(shapes)
    )
    return q, k, v


@given(
    data=st.data(),
    kind=st.sampled_from(MASKS),
    variant=st.sampled_from([None, "plain", "tiled"]),
    scale=st.sampled_from([None, 0.7, -0.3, 0.0]),
)
@settings(max_examples=draws(40), deadline=None)
def test_matches_float64(
    device: Device, data: st.DataObject, kind: str, variant: str | None, scale: float | None
) -> None:
    """Masks of all ranks and shared extents, also such as let some rows see nothing."""
    q, k, v = data.draw(operands(device))
    full = (q.shape[0], q.shape[2], q.shape[1], k.shape[1])
    lead = [data.draw(st.sampled_from([1, n])) for n in full[:3]]
    shape = (*lead[data.draw(st.integers(0, 2)) :], full[3])
    mask: Array | None = None
    if kind == "added":
        dtype = data.draw(st.sampled_from([f32, supported_dtype(device, f16)]))
        mask = strided_view(draw_normal(3, shape, dtype))
        mask[np.random.default_rng(5).random(shape) < 0.2] = -np.inf
    if kind == "hidden":
        dtype = data.draw(st.sampled_from([np.int32, np.uint32]))
        mask = strided_view(np.random.default_rng(4).integers(0, 2, shape).astype(dtype))
        mask[..., :1, :] *= data.draw(st.sampled_from([0, 1]))
    run(device, (q, k, v), variant, mask=mask, causal=kind == "causal", scale=scale)


@pytest.mark.parametrize("variant", ["plain", "tiled"])
@pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
def test_more_rows_than_a_tile_has(device: Device, variant: str, dtype: type[DType]) -> None:
    q, k, v = (draw_normal(i, (2, n, 3, 8), dtype) for i, n in enumerate((70, 19, 19)))
    run(device, (q, k, v), variant, mask=draw_normal(3, (2, 3, 70, 19), dtype))
    run(device, (q, k, v), variant, causal=True)


@given(
    batch=st.sampled_from([1, 3, 0]),
    rows=st.sampled_from([1, 2, 7, 19]),
    heads=st.sampled_from([1, 2, 5]),
    depth=st.sampled_from([1, 4, 8]),
    causal=st.booleans(),
)
@settings(max_examples=draws(15), deadline=None)
def test_attention_of_rows_side_by_side(
    device: Device, batch: int, rows: int, heads: int, depth: int, causal: bool
) -> None:
    """`attention` and `self_attention`, whose heads lie in one axis."""
    x = draw_normal(0, (batch, rows, 3 * heads * depth))
    q, k, v = (part.reshape(batch, rows, heads, depth) for part in np.split(x, 3, axis=-1))
    expected, limit = reference((q, k, v), causal=causal)
    one = (batch, rows, heads * depth)
    separate = (up(device, np.ascontiguousarray(part).reshape(one)) for part in (q, k, v))
    for result in (
        nn.attention(*separate, heads=heads, causal=causal),
        nn.self_attention(up(device, x), heads=heads, causal=causal),
    ):
        found = result.read().reshape(q.shape)
        check(device, "scaled_dot_product_attention", found, expected, limit)


def on_matrix_units(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let masks go to matrix units, real or emulated."""
    need_matrix_units(device)
    if not device.has_matrix_units:
        monkeypatch.setattr(masks, "takes_matrix_units", lambda *_: True)
        monkeypatch.setattr(masks, "kernel", emulated_kernel)


@pytest.mark.parametrize("keys", [19, 36, 40])
def test_masks_on_matrix_units(device: Device, keys: int, monkeypatch: pytest.MonkeyPatch) -> None:
    on_matrix_units(device, monkeypatch)
    q, k, v = (draw_normal(i, (2, n, 2, 24), f16) for i, n in enumerate((35, keys, keys)))
    for lead in ((2, 2), (1,), (2, 1)):
        run(device, (q, k, v), mask=draw_normal(3, (*lead, 35, keys)))
    keep = np.random.default_rng(4).integers(0, 2, (2, 35, keys)).astype(np.int32)
    keep[:, 5] = 0  # sees nothing
    keep[:, 6, :-1] = 0
    run(device, (q, k, v), mask=keep, scale=0.7)
    added = draw_normal(5, (35, keys), f16)
    added[4], added[6, 1:] = -np.inf, -np.inf
    added[7, :18] = np.float16(-65504)
    run(device, (q, k, v), mask=added)


@pytest.mark.parametrize("kind", ["f16", "i32"])
def test_masks_ahead(device: Device, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that see none of the first keys, nothing at all, or only keys far from them."""
    on_matrix_units(device, monkeypatch)
    q, k, v = (draw_normal(i, (2, n, 2, 8), f16) for i, n in enumerate((35, 200, 200)))
    mask = draw_normal(3, (2, 35, 200), f16)
    mask[:, 3, :40], mask[:, 4], mask[:, 5, 1:] = -np.inf, -np.inf, -np.inf
    off = 24 * 2.0**-11 * float(np.log(2))
    tile = MatrixTile(1, 2, 16, ahead=True, lean=kind == "i32")
    with force_variant("attention", "matrix", tile):
        run(device, (q, k, v), mask=visible_keys(mask, kind), off=off)
        mask[:, 4] = 0
        run(device, (q, k, v), mask=visible_keys(mask, kind), off=off)
        # All rows see the first keys but one, whose keys have scores of -45.
        mask[:] = -np.inf
        mask[..., :40] = 0
        mask[:, 7, :40], mask[:, 7, 40:] = -np.inf, 0
        q[0, 7], k[0, 40:] = np.sign(k[0, 0]), -16 * np.sign(k[0, 0])
        run(device, (q, k, v), mask=visible_keys(mask, kind), off=off)


def visible_keys(mask: Array, kind: str) -> Array:
    """Return a mask that is added, or its visible keys."""
    return mask if kind == "f16" else np.isfinite(mask).astype(np.int32)


@pytest.mark.parametrize("scale", [1e-6, 0.0, -0.3])
def test_scales_ahead(device: Device, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of -96000, which f16 lacks, count where the scale is small: no allowance for it."""
    on_matrix_units(device, monkeypatch)
    q, k, v = (draw_normal(i, (1, n, 2, 8), f16) for i, n in enumerate((35, 200, 200)))
    if scale == 1e-6:
        q[:], k[:, 96:] = 100, -120
    with force_variant("attention", "matrix", MatrixTile(1, 2, 16, ahead=True)):
        run(device, (q, k, v), scale=scale)


def test_scales_and_shared_heads_on_matrix_units(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_matrix_units(device, monkeypatch)
    q, k, v = (
        draw_normal(i, (2, n, h, 8), f16) for i, (n, h) in enumerate(((70, 6), (70, 3), (70, 3)))
    )
    run(device, (q, k, v), causal=True)
    run(device, (q, k, v), scale=-0.3)
    least = np.full((1, 70), np.finfo(np.float32).min)  # all alike: every key counts as much
    buffers = [up(device, x) for x in (q, k, v, least)]
    result = nn.scaled_dot_product_attention(*buffers).read()
    means = v.astype(np.float64).mean(axis=1, keepdims=True).repeat(2, axis=2)
    np.testing.assert_allclose(result, np.broadcast_to(means, q.shape), atol=2.0**-10)


def test_empty(device: Device) -> None:
    q, k = device.buffer(f32, (0, 3, 2, 4)), device.buffer(f32, (0, 5, 2, 4))
    assert nn.scaled_dot_product_attention(q, k, k, scale=1.0).read().shape == (0, 3, 2, 4)


def test_refuses(device: Device) -> None:
    q, k = device.buffer(f32, (1, 3, 4, 8)), device.buffer(f32, (1, 5, 4, 8))
    attend = nn.scaled_dot_product_attention
    with pytest.raises(ShapeError, match=r"must be \(B, S, heads, D\)"):
        attend(device.buffer(f32, (3, 4, 8)), k, k)
    with pytest.raises(ShapeError, match="divide the query's"):
        attend(q, *(device.buffer(f32, (1, 5, 3, 8)) for _ in range(2)))
    with pytest.raises(ShapeError, match="mask"):
        attend(q, k, k, device.buffer(f32, (3, 1)))
    with pytest.raises(ArgumentError, match="is_causal must be False"):
        attend(q, k, k, device.buffer(f32, (3, 5)), True)
    with pytest.raises(DTypeError, match="mask"):
        attend(q, k, k, device.buffer(u8, (3, 5)))
