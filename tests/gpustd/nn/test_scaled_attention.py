"""scaled_dot_product_attention against NumPy float64, by gpustd.attention and by products."""

from __future__ import annotations

from contextlib import nullcontext
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import special

from gpucore import ArgumentError, Device, DType, DTypeError, ShapeError, f16, f32, u8
from gpustd import attention_masks, nn
from gpustd.attention import MatrixTile
from gpustd.rungs import forced_rung
from tests.gpustd.nn.oracle import DTYPES, EPS, check, drawn, up
from tests.gpustd.products import emulated_kernel

Array = NDArray[Any]

RUNGS = pytest.mark.parametrize("rung", [None, "plain", "tiled"])


def run(
    device: Device,
    operands: tuple[Array, Array, Array],
    rung: str | None = None,
    *,
    mask: Array | None = None,
    causal: bool = False,
    scale: float | None = None,
    off: float = 0.0,
) -> None:
    """``off``: what a score may be off because it is f16."""
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
    with forced_rung("nn.attention", rung) if rung else nullcontext():
        buffers = [up(device, x) for x in operands]
        held = None if mask is None else up(device, mask, poison=expected.size * 4)
        result = nn.scaled_dot_product_attention(*buffers, held, causal, scale).read()
    # A score is off by its depth in roundings, which both the power and the sum of powers take on;
    # f16's kernels round powers to f16, whose unit is 2^-10.
    rounding = 2.0**-10 if result.dtype == np.float16 else 0.0
    score = EPS * (depth + 8) * (size.max() + np.abs(scores[np.isfinite(scores)]).max())
    allowed = 2 * (score + off) + EPS * (2 * k.shape[1] + 20) + 2 * rounding
    limit = allowed * np.einsum("bhqk,bkhd->bqhd", shares, np.abs(v))
    check(device, "scaled_dot_product_attention", result, expected, limit)


def some(dtype: type[DType] = f32, heads: int = 3, shared: int = 3, width: int = 8) -> Any:
    return (
        drawn(0, (2, 70, heads, 8), dtype),
        drawn(1, (2, 19, shared, 8), dtype),
        drawn(2, (2, 19, shared, width), dtype),
    )


@RUNGS
@pytest.mark.parametrize("causal", [False, True])
def test_matches_float64(device: Device, causal: bool, rung: Any) -> None:
    run(device, some(), rung, causal=causal)


@DTYPES
def test_each_dtype(device: Device, dtype: type[DType]) -> None:
    run(device, some(dtype), "plain", mask=drawn(3, (70, 19), dtype))


@RUNGS
@pytest.mark.parametrize("lead", [(), (3,), (2, 1), (1, 3), (2, 3)], ids=str)
def test_masks(device: Device, lead: tuple[int, ...], rung: Any) -> None:
    run(device, some(), rung, mask=drawn(3, (*lead, 70, 19)))
    keep = np.random.default_rng(4).integers(0, 2, (*lead, 70, 19)).astype(np.int32)
    keep[..., 5, :] = 0
    run(device, some(), rung, mask=keep, scale=0.7)


@RUNGS
def test_shared_heads_and_other_widths(device: Device, rung: Any) -> None:
    run(device, some(heads=6, shared=3, width=5), rung)
    run(device, some(heads=4, shared=1), rung, causal=True, scale=-0.3)
    run(device, some(), rung, mask=drawn(3, (1, 19)).astype(np.float32))


def on_matrix_units(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let masks go to matrix units, real or emulated."""
    if device.info.engine != "dawn" or not device.has_f16:
        pytest.skip(f"{device!r} is not Dawn with f16, where matrix units are")
    if not device.has_matrix_units:
        monkeypatch.setattr(attention_masks, "takes_matrix_units", lambda *_: True)
        monkeypatch.setattr(attention_masks, "kernel", emulated_kernel)


@pytest.mark.parametrize("keys", [19, 36, 40])
def test_masks_on_matrix_units(device: Device, keys: int, monkeypatch: pytest.MonkeyPatch) -> None:
    on_matrix_units(device, monkeypatch)
    q, k, v = (drawn(i, (2, n, 2, 24), f16) for i, n in enumerate((35, keys, keys)))
    for lead in ((2, 2), (1,), (2, 1)):
        run(device, (q, k, v), mask=drawn(3, (*lead, 35, keys)))
    keep = np.random.default_rng(4).integers(0, 2, (2, 35, keys)).astype(np.int32)
    keep[:, 5] = 0  # sees nothing
    keep[:, 6, :-1] = 0
    run(device, (q, k, v), mask=keep, scale=0.7)
    added = drawn(5, (35, keys), f16)
    added[4], added[6, 1:] = -np.inf, -np.inf
    added[7, :18] = np.float16(-65504)
    run(device, (q, k, v), mask=added)


@pytest.mark.parametrize("kind", ["f16", "i32"])
def test_masks_ahead(device: Device, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Rows that see none of the first keys, nothing at all, or only keys far from them."""
    on_matrix_units(device, monkeypatch)
    q, k, v = (drawn(i, (2, n, 2, 8), f16) for i, n in enumerate((35, 200, 200)))
    mask = drawn(3, (2, 35, 200), f16)
    mask[:, 3, :40], mask[:, 4], mask[:, 5, 1:] = -np.inf, -np.inf, -np.inf
    off = 24 * 2.0**-11 * float(np.log(2))
    tile = MatrixTile(1, 2, 16, ahead=True, lean=kind == "i32")
    with forced_rung("attention", "matrix", tile):
        run(device, (q, k, v), mask=given(mask, kind), off=off)
        mask[:, 4] = 0
        run(device, (q, k, v), mask=given(mask, kind), off=off)
        # All rows see the first keys but one, whose keys have scores of -45.
        mask[:] = -np.inf
        mask[..., :40] = 0
        mask[:, 7, :40], mask[:, 7, 40:] = -np.inf, 0
        q[0, 7], k[0, 40:] = np.sign(k[0, 0]), -16 * np.sign(k[0, 0])
        run(device, (q, k, v), mask=given(mask, kind), off=off)


def given(mask: Array, kind: str) -> Array:
    """A mask that is added, or what it lets see."""
    return mask if kind == "f16" else np.isfinite(mask).astype(np.int32)


@pytest.mark.parametrize("scale", [1e-6, 0.0, -0.3])
def test_scales_ahead(device: Device, scale: float, monkeypatch: pytest.MonkeyPatch) -> None:
    """Products of -96000, which f16 lacks, count where the scale is small: no allowance for it."""
    on_matrix_units(device, monkeypatch)
    q, k, v = (drawn(i, (1, n, 2, 8), f16) for i, n in enumerate((35, 200, 200)))
    if scale == 1e-6:
        q[:], k[:, 96:] = 100, -120
    with forced_rung("attention", "matrix", MatrixTile(1, 2, 16, ahead=True)):
        run(device, (q, k, v), scale=scale)


def test_scales_and_shared_heads_on_matrix_units(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    on_matrix_units(device, monkeypatch)
    q, k, v = (drawn(i, (2, n, h, 8), f16) for i, (n, h) in enumerate(((70, 6), (70, 3), (70, 3))))
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
    with pytest.raises(ShapeError, match=r"wants \(B, S, heads, D\)"):
        attend(device.buffer(f32, (3, 4, 8)), k, k)
    with pytest.raises(ShapeError, match="divide the query's"):
        attend(q, *(device.buffer(f32, (1, 5, 3, 8)) for _ in range(2)))
    with pytest.raises(ShapeError, match="mask"):
        attend(q, k, k, device.buffer(f32, (3, 1)))
    with pytest.raises(ArgumentError, match="is_causal with a mask"):
        attend(q, k, k, device.buffer(f32, (3, 5)), True)
    with pytest.raises(DTypeError, match="mask"):
        attend(q, k, k, device.buffer(u8, (3, 5)))
