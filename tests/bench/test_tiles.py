"""Tiles timed inside a network: what is found, refused and written."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import pytest

from bench import tiles
from bench.tiles import SearchResult, find_tiles, format_result
from gpucore import Buffer, Device, Graph, f32
from gpustd import gemm
from gpustd.launch.variants import force_variant
from gpustd.matmul import launching, tile_choice
from gpustd.matmul.tiles import Tile, tile_size

LARGE, SMALL = Tile(32, 32, 8, 4, 4), Tile(16, 32, 8, 4, 4)
FIRST, SECOND = "tiled f32 m42/2 n13 k20", "tiled f32 m42/2 n7 k13 silu"


class Network:
    """Two matrix products, one after the other, in the variant of GPUs."""

    def __init__(self, device: Device) -> None:
        self.device = device
        random = np.random.default_rng(3)
        self.a, self.w, self.v = (
            device.buffer_from_array(random.standard_normal(shape), f32)
            for shape in ((2, 21, 20), (20, 13), (13, 7))
        )

    def __call__(self) -> tuple[Graph, Buffer[Any]]:
        with self.device.capture() as graph, force_variant("matmul", "tiled"):
            y = gemm(gemm(self.a, self.w), self.v, activation="silu")
        return graph, y


@pytest.fixture
def network(device: Device, monkeypatch: pytest.MonkeyPatch) -> Network:
    if "timestamps" not in device.features:
        pytest.skip(f"{device.info.backend} has no timestamps here")
    for name, value in (("_PROFILES", 1), ("_WARM_UP_S", 0.0), ("_ROUNDS", 1), ("_REPLAYS", 1)):
        monkeypatch.setattr(tiles, name, value)
    monkeypatch.setattr(tile_choice, "TILED_TILES", (LARGE, SMALL))
    return Network(device)


def test_products_are_timed_where_they_stand(
    network: Network, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each graph has the tiles of its rank, and each product its launches' time."""
    heights: list[list[int]] = []
    seen: list[Mapping[str, float]] = []
    real = tiles._profile

    def profile_and_log(device: Device, graph: Graph) -> dict[str, float]:
        heights.append([c.grid[1] * c.grid[0] for c in graph._list.commands])  # type: ignore[union-attr]
        seen.append(real(device, graph))
        return dict(seen[-1])

    monkeypatch.setattr(tiles, "_profile", profile_and_log)
    found = find_tiles(network.device, network, {FIRST: tile_size(SMALL)}, ranks=2)
    assert heights == [[3, 2], [2, 2], [3, 3]]
    assert all(times.keys() == {FIRST, SECOND} for times in seen)
    assert all(seconds > 0 for times in seen for seconds in times.values())
    assert found.products == 2
    assert found.same
    assert found.before > 0
    assert found.after > 0


@pytest.fixture
def fixed_times(monkeypatch: pytest.MonkeyPatch) -> list[dict[str, float]]:
    """Seconds now, with the first tiles and with the second ones."""
    times = [{FIRST: 1.0, SECOND: 1.0}, {FIRST: 1.0, SECOND: 1.0}, {FIRST: 0.5, SECOND: 0.98}]
    monkeypatch.setattr(tiles, "_seconds_inside", lambda *_: times)
    monkeypatch.setattr(tiles, "_seconds_in_turns", lambda *_: [2.0, 1.5])
    return times


@pytest.mark.usefixtures("fixed_times")
def test_what_is_quicker_is_found_with_the_same_results(network: Network) -> None:
    found = find_tiles(network.device, network, {}, ranks=2)
    assert found.tiles == {FIRST: tile_size(SMALL)}
    assert found.gains == {FIRST: (1.0, 0.5)}
    assert (found.refused, found.same, found.is_quicker) == ({}, True, True)
    assert "16x32x8x4x4" in format_result("UNet", found)


@pytest.mark.usefixtures("fixed_times")
def test_a_wrong_tile_is_not_taken(network: Network, monkeypatch: pytest.MonkeyPatch) -> None:
    real = launching.kernel

    def broken(device: Device, name: str, **spec: Any) -> Any:
        return (lambda *_, **__: None) if spec.get("bm") == 16 else real(device, name, **spec)

    monkeypatch.setattr(launching, "kernel", broken)
    found = find_tiles(network.device, network, {}, ranks=2)
    assert found.tiles == {}
    assert found.refused == {FIRST: "its result is wrong"}
    assert not found.is_quicker
    assert "its result is wrong" in format_result("UNet", found)


def test_what_gains_nothing_as_a_whole_is_not_kept() -> None:
    one: dict[str, Any] = {"tiles": {FIRST: (1,) * 5}, "gains": {}, "refused": {}, "products": 1}
    assert SearchResult(**one, before=2.0, after=1.0, same=True).is_quicker
    assert not SearchResult(**one, before=1.0, after=1.0, same=True).is_quicker
    other = SearchResult(**one, before=2.0, after=1.0, same=False)
    assert not other.is_quicker
    assert "other bits" in format_result("VAE", other)
