"""The split of K and the choice of tiles: sums keep their order for every batch and tile."""

from __future__ import annotations

from dataclasses import replace

import pytest

from gpucore import Device, ShapeError, f16
from gpucore.backends.null import NullBackend
from gpustd import gemm
from gpustd.launch.variants import force_variant
from gpustd.matmul.operation import Matmul
from gpustd.matmul.tile_choice import best_teams, choose_tile
from gpustd.matmul.tiles import MATRIX_TILES, Tile
from gpustd.matmul.tuned_tiles import recorded_matmuls

WINDOW = {"kernel_height": 3, "kernel_width": 3, "stride": 1, "scale": 1}
# Rows of an image, columns, channels of each source, taps.
SIZES = (
    (256, 1280, (1280,), 1),
    (64, 1280, (1280,), 1),
    (64, 1280, (2560, 1280), 1),
    (64, 1280, (5120,), 1),
    (64, 1280, (1280,), 9),
    (64, 1280, (1280, 640), 9),
    (256, 1280, (200, 184), 1),
    (77, 768, (768,), 1),
    (1, 1280, (320,), 1),
    (1024, 640, (640,), 1),
    (4096, 320, (320,), 1),
)


NULL = Device.null()
NVIDIA = Device(NullBackend(replace(NULL.info, api="vulkan", driver="NVIDIA: 580.1")))


def sized(rows: int, n: int, channels: tuple[int, ...], taps: int, images: int) -> Matmul:
    window = WINDOW if taps == 9 else {}
    return Matmul("test", "", rows * images, images, n, channels, {}, window, None)


def starts(channels: tuple[int, ...], taps: int, bk: int, splits: int) -> list[tuple[int, ...]]:
    """Tap, source and channel where each part of K begins, as the shader walks."""
    slices = [
        (tap, source, first)
        for tap in range(taps)
        for source, count in enumerate(channels)
        for first in range(0, count, bk)
    ]
    most = -(-len(slices) // splits)
    return [slices[part * most] for part in range(splits) if part * most < len(slices)]


def offered(device: Device, matmul: Matmul) -> tuple[tuple[Tile, ...], int]:
    with recorded_matmuls() as seen:
        tile, splits = choose_tile(matmul, device, "matrix", "f16", splittable=True)
    (only,) = seen.values()
    assert tile in only.tiles
    return only.tiles, splits


@pytest.mark.parametrize("card", [NULL, NVIDIA], ids=["null", "with loaders"])
@pytest.mark.parametrize(("rows", "n", "channels", "taps"), SIZES, ids=str)
def test_the_split_of_k_depends_on_neither_batch_nor_tile(
    rows: int, n: int, channels: tuple[int, ...], taps: int, card: Device
) -> None:
    found = set()
    for images in (1, 2, 3, 16, 100):
        tiles, splits = offered(card, sized(rows, n, channels, taps, images))
        for tile in tiles:
            assert splits % tile.teams == 0
            found.add(tuple(starts(channels, taps, tile.bk, splits)))
    assert len(found) == 1


def test_few_tiles_have_teams_and_many_have_none() -> None:
    device = Device.null()
    for rows in (256, 1024):
        for images in (2, 100):
            tiles, splits = offered(device, sized(rows, 1280, (1280,), 1, images))
            assert splits == 2
            assert images > 2 or tiles[0].teams == 2
    tiles, splits = offered(device, sized(4096, 320, (320,), 1, 2))
    assert splits == tiles[0].teams == 1
    assert best_teams(256, 1280, 1290) == 1


def test_loaders_are_offered_for_plain_products() -> None:
    """K must be whole turns of the loaders, on a card where barriers in two loops meet."""
    tiles, _ = offered(NVIDIA, sized(1024, 10240, (1280,), 1, 2))
    assert tiles[0].loaders
    tiles, _ = offered(NULL, sized(1024, 10240, (1280,), 1, 2))
    assert not any(tile.loaders for tile in tiles)
    tiles, splits = offered(NVIDIA, sized(1024, 1280, (1280,), 1, 2))
    assert (splits, tiles[0].loaders > 0) == (1, True)
    assert offered(NULL, sized(1024, 1280, (1280,), 1, 2))[1] == 2
    for channels, taps in (((1280,), 9), ((640, 640), 1), ((1256,), 1), ((32,), 1)):
        tiles, _ = offered(NVIDIA, sized(1024, 10240, channels, taps, 2))
        assert not any(tile.loaders for tile in tiles)
    tiles, splits = offered(NVIDIA, sized(64, 1280, (5120,), 1, 2))
    assert splits > 1
    assert not any(tile.loaders for tile in tiles)


def test_loaders_refuse_what_they_cannot_fill() -> None:
    for bm, bn, bk, loaders in (
        (128, 256, 32, 4),
        (128, 256, 16, 5),
        (128, 256, 16, 2),
        (112, 256, 16, 4),
        (128, 240, 16, 4),
    ):
        with pytest.raises(ValueError, match="loaders fill evenly"):
            Tile(bm, bn, bk, 16, 16, stages=3, loaders=loaders)
    assert not Tile(128, 160, 32, 64, 80, stages=2, loaders=6).fills_turns(64)
    assert Tile(128, 160, 32, 64, 80, stages=2, loaders=6).fills_turns(96)
    null = Device.null()
    a, w = null.buffer(f16, (64, 80)), null.buffer(f16, (80, 64))
    loaded = next(tile for tile in MATRIX_TILES if tile.loaders)
    with force_variant("matmul", "matrix", loaded), pytest.raises(ShapeError, match="plain"):
        gemm(a, w)


def test_k_is_whole_where_no_tile_has_teams(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two workgroups would have to be added up, which takes longer than it saves."""
    monkeypatch.setattr(
        "gpustd.matmul.tile_choice.MATRIX_TILES", tuple(t for t in MATRIX_TILES if t.teams == 1)
    )
    assert offered(Device.null(), sized(256, 1280, (1280,), 1, 2))[1] == 1
