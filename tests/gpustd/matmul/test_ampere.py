"""Products in CUDA C++ for cards from 8.0 on: what compiles, what is taken, results on a card."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from gpucore import Device, ShapeError, f16, f32
from gpustd import fused_conv2d, gemm, wide_gemm
from gpustd.launch.template import native_code
from gpustd.launch.variants import force_variant
from gpustd.matmul.ampere_tiles import AMPERE_TILES, AmpereTile
from gpustd.matmul.conv import Padding, Window, conv_matmul
from gpustd.matmul.dense import multiply_batch
from gpustd.matmul.epilogue import Epilogue
from gpustd.matmul.hopper_tiles import HopperTile
from gpustd.matmul.operation import Operands
from gpustd.matmul.variants.ampere import plan_ampere
from tests.gpustd.hopper_cards import compiler_or_skip, fake_card, skip_without_native_kernels
from tests.gpustd.matmul.native_products import EPS, close, convolution, normal, wide
from tests.gpustd.reference import gemm as oracle

ARCHITECTURES = ("sm_80", "sm_89", "sm_90a")
MOST_MEMORY = 101376  # of a block on compute capability 8.6 and 8.9
LARGE, SMALL = AMPERE_TILES[0], AMPERE_TILES[-1]


@pytest.mark.parametrize("tile", AMPERE_TILES, ids=str)
def test_tiles_fit_every_card(tile: AmpereTile) -> None:
    assert tile.memory <= MOST_MEMORY
    assert 4 * tile.bm % tile.threads == 0, "each thread loads as many words of the left slice"
    assert 4 * tile.bn % tile.threads == 0, "and of the weights"
    assert tile.bn % 64 == 0, "words of eight rows of weights lie in different banks"


@pytest.mark.parametrize(
    ("architecture", "tile"),
    [("sm_80", LARGE), ("sm_89", SMALL)],
    ids=str,
)
def test_kernels_compile(
    architecture: str, tile: AmpereTile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = compiler_or_skip(monkeypatch, tmp_path)
    card, _ = fake_card(monkeypatch, tmp_path)
    x, w = card.buffer(f16, (2, 16, 16, 64)), card.buffer(f16, (9 * 128, 128))
    bias, per_image = card.buffer(f32, 128), card.buffer(f16, (2, 128))
    y = card.buffer(f16, (2, 16, 16, 128))
    matmul = conv_matmul(
        "conv", x, x, (3, 3, 128, 128), Window(padding=Padding(1, 1, 1, 1)), "silu", 0
    )
    with force_variant("matmul", "ampere", tile):
        (launch,) = plan_ampere(matmul, Operands(x, x, w, Epilogue(bias, per_image, y), y))
    code = native_code(launch.shader, launch.spec)
    assert not code.follows, "the launch attribute is one of 9.0"
    assert (code.threads, code.memory) == (tile.threads, tile.memory)
    assert b"w_kernel" in compiler.compile(code.text, architecture)
    card.close()


@pytest.mark.slow
@pytest.mark.parametrize("architecture", ARCHITECTURES)
@pytest.mark.parametrize("tile", AMPERE_TILES, ids=str)
def test_every_tile_compiles(
    architecture: str, tile: AmpereTile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = compiler_or_skip(monkeypatch, tmp_path)
    spec = {"bm": tile.bm, "bn": tile.bn, "wm": tile.wm, "wn": tile.wn, "stages": tile.stages}
    spec |= {"threads": tile.threads, "memory": tile.memory, "parts": 1, "bias": True}
    for kind in (
        {"pixels": True, "two": True, "activation": "silu", "out": "f16", "per_image": True},
        {"pixels": False, "two": False, "activation": "geglu", "out": "f16", "per_image": False},
        {"pixels": False, "two": True, "activation": "none", "out": "f32", "per_image": False},
    ):
        code = native_code("matmul/gemm/ampere.cu", spec | kind | {"residual": True})  # type: ignore[operator]
        assert b"w_kernel" in compiler.compile(code.text, architecture)


def test_it_is_taken_by_force_alone(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """It is not quicker than WGSL's variant on any card that was tried."""
    card, library = fake_card(monkeypatch, tmp_path, capability=(8, 6))
    a, w = card.buffer(f16, (2, 4096, 1032)), card.buffer(f16, (1032, 640))
    gemm(a, w)
    with force_variant("matmul", "ampere"):
        gemm(a, w)
    card.synchronize()
    known = {tile.memory for tile in AMPERE_TILES}
    assert [launch.memory in known for launch in library.launches] == [False, True]
    card.close()


def test_products_that_it_does_not_make_are_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    card, _ = fake_card(monkeypatch, tmp_path)
    x, w = card.buffer(f16, (2, 8, 8, 64)), card.buffer(f16, (3, 3, 64, 64))
    thin = card.buffer(f16, (2, 8, 8, 4)), card.buffer(f16, (3, 3, 4, 64))
    with force_variant("matmul", "ampere"):
        for call in (
            lambda: fused_conv2d(x, w, padding=1, wrap="x"),
            lambda: fused_conv2d(x, w, padding=1, upsample=(16, 16)),
            lambda: fused_conv2d(*thin, padding=1),
            lambda: gemm(card.buffer(f16, (8, 68)), card.buffer(f16, (68, 64))),
        ):
            with pytest.raises(ShapeError, match="ampere makes no such product"):
                call()
    card.close()


def test_a_tile_of_another_variant_is_refused(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    card, _ = fake_card(monkeypatch, tmp_path)
    with (
        force_variant("matmul", "ampere", HopperTile(64, 8)),
        pytest.raises(ShapeError, match="a tile of ampere must be given"),
    ):
        gemm(card.buffer(f16, (8, 64)), card.buffer(f16, (64, 64)))
    card.close()


# On a card


@pytest.mark.parametrize("tile", AMPERE_TILES, ids=str)
def test_products_match_float64(device: Device, tile: AmpereTile) -> None:
    skip_without_native_kernels(device)
    rng = np.random.default_rng(2)
    up = device.buffer_from_array
    for m, n, k in ((1, 16, 8), (130, 328, 136), (257, 640, 1280)):
        a, w, r = normal(rng, m, k), normal(rng, k, n), normal(rng, m, n)
        bias = rng.standard_normal(n).astype(np.float32)
        with force_variant("matmul", "ampere", tile):
            y = gemm(up(a), up(w), bias=up(bias), residual=up(r), activation="silu").read()
        expected = oracle.reference(wide(a), wide(w), wide(bias), "silu", wide(r))
        assert close(y, a, w, expected), (m, n, k)


@pytest.mark.parametrize("tile", AMPERE_TILES, ids=str)
@pytest.mark.parametrize("has_bias", [True, False])
def test_gates_match_float64(device: Device, tile: AmpereTile, has_bias: bool) -> None:
    skip_without_native_kernels(device)
    rng = np.random.default_rng(3)
    up = device.buffer_from_array
    m, n, k = 200, 136, 320
    a, w, r = normal(rng, m, k), normal(rng, k, 2 * n, scale=0.06), normal(rng, m, n)
    bias = rng.standard_normal(2 * n).astype(np.float32) if has_bias else None
    with force_variant("matmul", "ampere", tile):
        given = None if bias is None else up(bias)
        y = gemm(up(a), up(w), bias=given, activation="geglu", residual=up(r)).read()
    added = None if bias is None else wide(bias)
    expected = oracle.reference(wide(a), wide(w), added, "geglu", wide(r))
    assert close(y, a, w, expected)


def test_results_in_f32_and_batches_match_float64(device: Device) -> None:
    skip_without_native_kernels(device)
    rng = np.random.default_rng(4)
    a, w = normal(rng, 300, 72), normal(rng, 72, 144)
    with force_variant("matmul", "ampere"):
        y = wide_gemm(device.buffer_from_array(a), device.buffer_from_array(w)).read()
    assert y.dtype == np.float32
    assert close(y, a, w, wide(a) @ wide(w), eps=2.0**-20)
    a, w = normal(rng, 5, 150, 72), normal(rng, 5, 72, 72)
    many = device.buffer(f16, (5, 150, 72))
    with force_variant("matmul", "ampere"):
        left = device.buffer_from_array(a, f16)
        multiply_batch("test", left, device.buffer_from_array(w, f16), many)
    for result, one, other in zip(many.read(), a, w, strict=True):
        assert close(result, one, other, wide(one) @ wide(other))


@pytest.mark.parametrize("tile", AMPERE_TILES, ids=str)
@pytest.mark.parametrize(
    ("shape", "second", "n", "kernel", "stride", "pads"),
    [
        ((3, 20, 28, 128), 64, 96, 3, 1, (1, 1, 1, 1)),
        ((1, 15, 33, 32), 0, 80, 3, 2, (1, 1, 1, 1)),
        ((2, 64, 64, 64), 0, 64, 3, 2, (0, 1, 0, 1)),
        ((2, 9, 7, 96), 0, 48, 5, 1, (2, 2, 2, 2)),
        ((2, 12, 12, 256), 256, 72, 1, 1, (0, 0, 0, 0)),
    ],
)
def test_convolutions_match_float64(
    device: Device,
    tile: AmpereTile,
    shape: tuple[int, ...],
    second: int,
    n: int,
    kernel: int,
    stride: int,
    pads: tuple[int, int, int, int],
) -> None:
    skip_without_native_kernels(device)
    rng = np.random.default_rng(5)
    up = device.buffer_from_array
    x, more = normal(rng, *shape), normal(rng, *shape[:3], second)
    k = kernel * kernel * (shape[3] + second)
    w = normal(rng, kernel, kernel, shape[3] + second, n, scale=k**-0.5)
    expected = convolution(np.concatenate([x, more], -1), w, stride, pads)
    time, bias = normal(rng, shape[0], n + 16), rng.standard_normal(n).astype(np.float32)
    residual = normal(rng, *expected.shape)
    expected += bias + time[:, None, None, 8 : 8 + n].astype(np.float64)
    expected = expected / (1 + np.exp(-expected)) + residual
    with force_variant("matmul", "ampere", tile):
        y = fused_conv2d(
            up(x),
            up(w),
            second=up(more) if second else None,
            bias=up(bias),
            per_image=up(time),
            per_image_first=8,
            residual=up(residual),
            activation="silu",
            stride=stride,
            padding=pads,
        ).read()
    # Rounding the result, and f32 sums of k products of about 1 / sqrt(k).
    assert np.max(np.abs(y - expected) / (1 + np.abs(expected))) <= EPS


def test_tiles_batches_and_runs_have_the_same_bits(device: Device) -> None:
    skip_without_native_kernels(device)
    rng = np.random.default_rng(7)
    up = device.buffer_from_array
    w, a = up(normal(rng, 1288, 640, scale=0.03)), normal(rng, 4, 256, 1288)
    r = normal(rng, 4, 256, 640)
    results = []
    for tile in AMPERE_TILES:
        with force_variant("matmul", "ampere", tile):
            results.append(gemm(up(a), w, residual=up(r)).read())
            one = gemm(up(a[:1]), w, residual=up(r[:1])).read()
            runs = [gemm(up(a), w, residual=up(r)) for _ in range(5)]
        assert np.array_equal(one, results[0][:1])
        assert all(np.array_equal(run.read(), results[0]) for run in runs)
    assert all(np.array_equal(each, results[0]) for each in results)
