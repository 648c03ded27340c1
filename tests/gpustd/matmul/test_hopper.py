"""Products in CUDA C++ for Hopper: what compiles, what is launched, and results on a card."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from gpucore import Device, ShapeError, f16, f32, u32
from gpucore.backends import TileMap
from gpustd import fused_conv2d, gemm, upsampling_conv2d, upsampling_weights, wide_gemm
from gpustd.launch.template import native_code
from gpustd.launch.variants import force_variant
from gpustd.matmul.conv import Padding, Window, conv_matmul
from gpustd.matmul.dense import multiply_batch
from gpustd.matmul.epilogue import Epilogue
from gpustd.matmul.hopper_tiles import HOPPER_TILES, HopperTile
from gpustd.matmul.operation import Operands
from gpustd.matmul.variants.hopper import plan_hopper
from tests.gpucore.backends.cuda.fake_cuda import FakeDriverLibrary
from tests.gpustd.hopper_cards import (
    ARCHITECTURE,
    compiler_or_skip,
    fake_card,
    skip_without_wgmma,
)
from tests.gpustd.matmul.native_products import EPS, close, convolution, normal, wide
from tests.gpustd.reference import gemm as oracle

Array = NDArray[Any]

MOST_MEMORY = 232448
GATED = [tile for tile in HOPPER_TILES if tile.parts == 1 and tile.bn % 128 == 0]
# One of each number of parts.
FEW = list({tile.parts: tile for tile in HOPPER_TILES}.values())


@pytest.fixture
def card(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Device]:
    """Return a device on a fake driver."""
    device, _ = fake_card(monkeypatch, tmp_path)
    yield device
    device.close()


def planned(device: Device, tile: HopperTile, activation: str | None, *, kind: str) -> Any:
    """Return the launch of a product, of a convolution of two sources, or of an enlarging one."""
    bias, x = device.buffer(f32, 128), device.buffer(f16, (2, 16, 16, 64))
    if kind == "rows":
        with force_variant("matmul", "hopper", tile):
            (launch,) = plan_hopper(
                conv_matmul("gemm", x, None, (1, 1, 64, 128), Window(), activation, 0),
                Operands(x, None, device.buffer(f16, (64, 128)), Epilogue(bias), x),
            )
        return launch
    window = Window(padding=Padding(1, 1, 1, 1))
    matmul = conv_matmul("conv", x, x, (3, 3, 128, 128), window, activation, 0)
    per_image = device.buffer(f16, (2, 128))
    w, y = device.buffer(f16, (9 * 128, 128)), device.buffer(f16, (2, 16, 16, 128))
    with force_variant("matmul", "hopper", tile):
        return plan_hopper(matmul, Operands(x, x, w, Epilogue(bias, per_image, y), y))[0]


@pytest.mark.parametrize("tile", HOPPER_TILES, ids=str)
def test_tiles_fit_the_card(tile: HopperTile) -> None:
    assert tile.memory(gates=False) <= MOST_MEMORY
    assert tile.bn // tile.parts % tile.chunk(gates=False) == 0
    assert tile.bn % (8 * tile.parts) == 0


@pytest.mark.slow
@pytest.mark.parametrize("tile", HOPPER_TILES, ids=str)
def test_every_tile_compiles(
    card: Device, tile: HopperTile, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = compiler_or_skip(monkeypatch, tmp_path)
    launch = planned(card, tile, "silu", kind="pixels")
    code = native_code(launch.shader, launch.spec)
    assert b"w_kernel" in compiler.compile(code.text, ARCHITECTURE)


def test_one_of_each_kind_compiles(
    card: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    compiler = compiler_or_skip(monkeypatch, tmp_path)
    for tile, activation, kind in (
        (HopperTile(128, 6), "gelu", "rows"),
        (HopperTile(64, 8, parts=2), None, "pixels"),
    ):
        launch = planned(card, tile, activation, kind=kind)
        code = native_code(launch.shader, launch.spec)
        assert (code.threads, code.cluster) == (384, tile.parts)
        assert b"w_kernel" in compiler.compile(code.text, ARCHITECTURE)


def test_narrow_half_of_a_low_rank_update(
    card: Device, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """It is a product with the weights of a slot, in as many parts of K for any number of ranks."""
    compiler = compiler_or_skip(monkeypatch, tmp_path)
    parts = set()
    for ranks in (16, 32, 96, 256):
        matmul = conv_matmul(
            "low_rank_update",
            card.buffer(f16, (2, 1024, 1, 1280)),
            None,
            (1, 1, 1280, ranks),
            Window(),
            None,
            0,
        )
        operands = Operands(
            card.buffer(f16, (2, 1024, 1, 1280)),
            None,
            card.buffer(f16, (3, 1280, ranks)),
            Epilogue(),
            card.buffer(f16, (2048, ranks)),
            slots=card.buffer(u32, 2),
        )
        (launch,) = plan_hopper(matmul, operands)
        parts.add(launch.spec["parts"])
        assert launch.arguments[1].tiles.extents == (ranks, 3 * 1280)
        assert launch.arguments[-1]["rows_of_image"] == 1024
        assert launch.arguments[-1]["depth"] == 1280
    assert len(parts) == 1
    code = native_code(launch.shader, launch.spec)
    assert "u32* slots" in code.text
    assert b"w_kernel" in compiler.compile(code.text, ARCHITECTURE)


def windows_of(tiles: TileMap, image: Array, count: int, tap: tuple[int, int]) -> Array:
    """Return the pixels that a map takes one after the other, as the copy engine does."""
    assert tiles.corners is not None
    left, top, right, bottom = tiles.corners
    channels, width, height, images = tiles.extents
    places = [
        (n, y + tap[0], x + tap[1])
        for n in range(images)
        for y in range(top, height + bottom, tiles.step)
        for x in range(left, width + right, tiles.step)
    ]
    found = np.zeros((count, channels), image.dtype)
    for row, (n, y, x) in zip(found, places, strict=True):
        if 0 <= y < height and 0 <= x < width:
            row[:] = image[n, y, x]
    return found


@pytest.mark.parametrize(
    ("size", "stride", "kernel", "pads"),
    [
        ((8, 8), 1, 3, (1, 1, 1, 1)),
        ((9, 7), 1, 5, (2, 2, 2, 2)),
        ((15, 33), 2, 3, (1, 1, 1, 1)),
        ((16, 10), 2, 3, (0, 1, 0, 1)),
        ((7, 11), 3, 2, (0, 0, 1, 0)),
    ],
)
def test_windows_take_the_pixels_of_a_convolution(
    card: Device,
    size: tuple[int, int],
    stride: int,
    kernel: int,
    pads: tuple[int, int, int, int],
) -> None:
    """The map of the left operand, run on the host, gives each tap's rows of the matrix."""
    rng = np.random.default_rng(1)
    image = normal(rng, 2, *size, 64)
    x = card.buffer_from_array(image)
    window = Window(stride, Padding(*pads))
    matmul = conv_matmul("conv", x, None, (kernel, kernel, 64, 64), window, None, 0)
    w, y = card.buffer(f16, (kernel * kernel * 64, 64)), card.buffer(f16, (matmul.m, 64))
    (launch,) = plan_hopper(matmul, Operands(x, None, w, Epilogue(), y))
    padded = np.pad(image, ((0, 0), pads[:2], pads[2:], (0, 0)))
    height, width = matmul.sizes["out_height"], matmul.sizes["out_width"]
    for ky, kx in np.ndindex(kernel, kernel):
        rows = slice(ky, ky + stride * (height - 1) + 1, stride)
        columns = slice(kx, kx + stride * (width - 1) + 1, stride)
        expected = padded[:, rows, columns].reshape(-1, 64)
        taken = windows_of(launch.arguments[0].tiles, image, matmul.m, (ky, kx))
        assert np.array_equal(taken, expected), (ky, kx)


def launched_parts(library: FakeDriverLibrary) -> tuple[int, ...]:
    """Return the cluster of the last launch."""
    return library.launches[-1].attributes.get(4, (1, 1, 1))


@pytest.mark.parametrize(("rows", "n", "k"), [(64, 1280, 1280), (256, 1280, 5120), (1024, 640, 64)])
def test_parts_of_k_do_not_depend_on_the_batch(
    rows: int, n: int, k: int, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    card, library = fake_card(monkeypatch, tmp_path)
    w = card.buffer(f16, (k, n))
    parts = set()
    for images in (1, 2, 3, 8, 33):
        gemm(card.buffer(f16, (images, rows, k)), w)
        card.synchronize()
        parts.add(launched_parts(library))
    assert len(parts) == 1
    card.close()


def test_the_variant_is_taken_by_widths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    card, library = fake_card(monkeypatch, tmp_path)

    def maps() -> int:
        card.synchronize()
        count = sum(call.startswith("cuTensorMap") for call in library.calls)
        library.calls.clear()
        return count

    x = card.buffer(f16, (1, 8, 8, 64))
    gemm(card.buffer(f16, (5, 72)), card.buffer(f16, (72, 24)))
    assert maps() == 2
    fused_conv2d(x, card.buffer(f16, (3, 3, 128, 64)), second=x, padding=1)
    assert maps() == 3
    gemm(card.buffer(f16, (5, 68)), card.buffer(f16, (68, 24)))  # rows of 8 numbers are copied
    gemm(card.buffer(f32, (5, 72)), card.buffer(f32, (72, 24)))
    w = card.buffer(f16, (3, 3, 64, 64))
    fused_conv2d(x, w, padding=1, wrap="x")
    fused_conv2d(x, w, padding=1, upsample=(16, 16))
    fused_conv2d(card.buffer(f16, (1, 8, 8, 32)), card.buffer(f16, (3, 3, 32, 64)), padding=1)
    assert maps() == 0
    fused_conv2d(card.buffer(f16, (1, 8, 8, 4)), card.buffer(f16, (3, 3, 4, 64)), padding=1)
    assert maps() == 2, "its windows are written out"
    card.close()


def test_a_tile_that_does_not_fit_is_refused(card: Device) -> None:
    a, w = card.buffer(f16, (8, 64)), card.buffer(f16, (64, 64))
    for tile, activation in ((HopperTile(96, 6), "geglu"), (HopperTile(64, 8, parts=2), None)):
        with (
            force_variant("matmul", "hopper", tile),
            pytest.raises(ShapeError, match="must fit the product"),
        ):
            gemm(a, w, activation=activation)


# On a card


@pytest.mark.parametrize("tile", HOPPER_TILES, ids=str)
def test_products_match_float64(device: Device, tile: HopperTile) -> None:
    skip_without_wgmma(device)
    rng = np.random.default_rng(2)
    up = device.buffer_from_array
    for m, n, k in ((1, 16, 64 * tile.parts), (130, 328, 8 + 128 * tile.parts), (257, 640, 1280)):
        a, w, r = normal(rng, m, k), normal(rng, k, n), normal(rng, m, n)
        bias = rng.standard_normal(n).astype(np.float32)
        with force_variant("matmul", "hopper", tile):
            y = gemm(up(a), up(w), bias=up(bias), residual=up(r), activation="silu").read()
        expected = oracle.reference(wide(a), wide(w), wide(bias), "silu", wide(r))
        assert close(y, a, w, expected), (m, n, k)


@pytest.mark.parametrize("tile", GATED, ids=str)
@pytest.mark.parametrize("has_bias", [True, False])
def test_gates_match_float64(device: Device, tile: HopperTile, has_bias: bool) -> None:
    skip_without_wgmma(device)
    rng = np.random.default_rng(3)
    up = device.buffer_from_array
    m, n, k = 200, 136, 320
    a, w, r = normal(rng, m, k), normal(rng, k, 2 * n, scale=0.06), normal(rng, m, n)
    bias = rng.standard_normal(2 * n).astype(np.float32) if has_bias else None
    with force_variant("matmul", "hopper", tile):
        given = None if bias is None else up(bias)
        y = gemm(up(a), up(w), bias=given, activation="geglu", residual=up(r)).read()
    added = None if bias is None else wide(bias)
    expected = oracle.reference(wide(a), wide(w), added, "geglu", wide(r))
    assert close(y, a, w, expected)


def test_results_in_f32_and_batches_match_float64(device: Device) -> None:
    skip_without_wgmma(device)
    rng = np.random.default_rng(4)
    a, w = normal(rng, 300, 72), normal(rng, 72, 144)
    y = wide_gemm(device.buffer_from_array(a), device.buffer_from_array(w)).read()
    assert y.dtype == np.float32
    expected = wide(a) @ wide(w)
    assert close(y, a, w, expected, eps=2.0**-20)
    a, w = normal(rng, 5, 150, 128), normal(rng, 5, 128, 72)
    many = device.buffer(f16, (5, 150, 72))
    with force_variant("matmul", "hopper"):
        left = device.buffer_from_array(a, f16)
        multiply_batch("test", left, device.buffer_from_array(w, f16), many)
    for result, one, other in zip(many.read(), a, w, strict=True):
        assert close(result, one, other, wide(one) @ wide(other))


@pytest.mark.parametrize("tile", FEW, ids=str)
@pytest.mark.parametrize(
    ("shape", "second", "n", "kernel", "stride", "pads"),
    [
        ((3, 20, 28, 128), 64, 96, 3, 1, (1, 1, 1, 1)),
        ((1, 15, 33, 64), 0, 80, 3, 2, (1, 1, 1, 1)),
        ((2, 64, 64, 64), 0, 64, 3, 2, (0, 1, 0, 1)),
        ((2, 9, 7, 192), 0, 48, 5, 1, (2, 2, 2, 2)),
        ((2, 12, 12, 256), 256, 72, 1, 1, (0, 0, 0, 0)),
    ],
)
def test_convolutions_match_float64(
    device: Device,
    tile: HopperTile,
    shape: tuple[int, ...],
    second: int,
    n: int,
    kernel: int,
    stride: int,
    pads: tuple[int, int, int, int],
) -> None:
    skip_without_wgmma(device)
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
    with force_variant("matmul", "hopper", tile):
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


@pytest.mark.parametrize(
    ("shape", "n", "kernel", "stride", "pads"),
    [
        ((2, 13, 9, 4), 320, 3, 1, (1, 1, 1, 1)),
        ((3, 8, 20, 3), 48, 4, 2, (0, 2, 1, 1)),
        ((1, 64, 64, 1), 64, 8, 3, (3, 3, 4, 4)),
    ],
)
def test_windows_that_are_written_out_match_float64(
    device: Device,
    shape: tuple[int, ...],
    n: int,
    kernel: int,
    stride: int,
    pads: tuple[int, int, int, int],
) -> None:
    skip_without_wgmma(device)
    rng = np.random.default_rng(9)
    up = device.buffer_from_array
    x, k = normal(rng, *shape), kernel * kernel * shape[3]
    w, bias = normal(rng, kernel, kernel, shape[3], n, scale=k**-0.5), normal(rng, n)
    expected = convolution(x, w, stride, pads) + wide(bias)
    with force_variant("matmul", "hopper"):
        added = up(bias.astype(np.float32))
        y = fused_conv2d(up(x), up(w), bias=added, stride=stride, padding=pads).read()
    assert np.max(np.abs(y - expected) / (1 + np.abs(expected))) <= EPS


def test_enlarging_matches_float64(device: Device) -> None:
    skip_without_wgmma(device)
    rng = np.random.default_rng(6)
    up = device.buffer_from_array
    x, w = normal(rng, 2, 10, 14, 128), normal(rng, 3, 3, 128, 96, scale=0.03)
    residual = normal(rng, 2, 20, 28, 96)
    with force_variant("matmul", "hopper"):
        y = upsampling_conv2d(up(x), upsampling_weights(up(w)), residual=up(residual)).read()
    twice = x.repeat(2, 1).repeat(2, 2)
    expected = convolution(twice, w, 1, (1, 1, 1, 1)) + residual
    # Sums of up to four weights are rounded, too.
    assert np.linalg.norm(y - expected) <= 2 * EPS * np.linalg.norm(expected)


@pytest.mark.parametrize(("n", "k"), [(640, 1280), (1280, 5120), (320, 328)])
def test_bits_depend_on_parts_alone(device: Device, n: int, k: int) -> None:
    """The same bits in each tile with as many parts, for each batch, and in each of 20 runs."""
    skip_without_wgmma(device)
    rng = np.random.default_rng(7)
    up = device.buffer_from_array
    w, a, r = up(normal(rng, k, n, scale=0.03)), normal(rng, 4, 256, k), normal(rng, 4, 256, n)
    for parts in sorted({tile.parts for tile in HOPPER_TILES}):
        results = []
        for tile in HOPPER_TILES:
            if tile.parts == parts and k // 64 >= parts:
                with force_variant("matmul", "hopper", tile):
                    results.append(gemm(up(a), w, residual=up(r)).read())
        assert all(np.array_equal(each, results[0]) for each in results), parts
    whole = gemm(up(a), w, residual=up(r)).read()
    for images in (1, 2):
        some = gemm(up(a[:images]), w, residual=up(r[:images])).read()
        assert np.array_equal(some, whole[:images])
    runs = [gemm(up(a), w, residual=up(r)) for _ in range(20)]
    assert all(np.array_equal(each.read(), whole) for each in runs)


def test_convolutions_of_a_batch_have_the_bits_of_one(device: Device) -> None:
    skip_without_wgmma(device)
    rng = np.random.default_rng(8)
    up = device.buffer_from_array
    x, w = normal(rng, 4, 16, 16, 640), up(normal(rng, 3, 3, 640, 320, scale=0.02))
    whole = fused_conv2d(up(x), w, padding=1).read()
    for images in (1, 2):
        assert np.array_equal(fused_conv2d(up(x[:images]), w, padding=1).read(), whole[:images])
