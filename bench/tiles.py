"""Time tiles of matrix products inside a model, for the tables in ``gpustd/matmul/tile_tables``.

    python -m bench.tiles FOLDER [--size PIXELS] --json gpustd/matmul/tile_tables/CARD.json

``avila tune`` times a matrix product alone. Inside a model, another tile may be the fastest. So one
UNet call with guidance and one decoding are captured several times: with the tile that is probably
the fastest for each matrix product, with the second, and so on. Timestamps give the time of each
product's launches. A tile that is faster by 3 % is compared with the naive variant. Then the model
is timed with and without these tiles, in turns, and the results are compared bit by bit. FILE gets
the tiles of each part (UNet, VAE) that is faster as a whole.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from bench.devices import open_device
from bench.full_size import inputs, unet_graph, vae_graph
from diffusion.checkpoints import ModelFolder
from diffusion.pipeline.loading import load_networks
from gpucore import Buffer, Device, Graph
from gpustd.matmul.tile_files import TileSize, read_tiles, write_tiles
from gpustd.matmul.tiles import Tile, tile_size
from gpustd.matmul.tuned_tiles import SeenMatmul, key_of_region, recorded_matmuls, use_tiles
from gpustd.tuning.timing import refusals

__all__ = ["SearchResult", "find_tiles", "main"]

Make = Callable[[], tuple[Graph, Buffer[Any]]]
"""Captures a network, and returns the graph and its output."""

_RANKS = 8
_PROFILES = 7
_WARM_UP_S = 0.5
_ROUNDS = 12
_REPLAYS = 4
_QUICKER = 0.97


@dataclass(frozen=True)
class SearchResult:
    """The result of `find_tiles`.

    Attributes:
        tiles: better tiles, by the key of a matrix product.
        gains: seconds of a product's launches before and after.
        refused: reasons why other, quicker tiles are wrong.
        before: seconds of the network with the old tiles.
        after: seconds of the network with the new tiles.
        same: true where the network's results keep their bits.
        products: matrix products with a choice of tiles.
    """

    tiles: Mapping[str, TileSize]
    gains: Mapping[str, tuple[float, float]]
    refused: Mapping[str, str]
    before: float
    after: float
    same: bool
    products: int

    @property
    def is_quicker(self) -> bool:
        """True where the tiles are worth writing."""
        return bool(self.tiles) and self.same and self.after < self.before


def find_tiles(
    device: Device, make: Make, table: Mapping[str, TileSize], ranks: int = _RANKS
) -> SearchResult:
    """Return the tiles that are quicker inside a network than those of ``table``.

    Raises `FeatureError` where the device has no timestamps.
    """
    try:
        graphs, seen = _capture_ranks(device, make, table, ranks)
        now, *tried = _seconds_inside(device, graphs)
        del graphs
        tiles, gains = _better_tiles(seen, now, tried)
        refused = _refusal_reasons(device, seen, tiles)
        sizes = {key: tile_size(tile) for key, tile in tiles.items() if key not in refused}
        pair = []
        for each in (table, {**table, **sizes}):
            use_tiles(device, each)
            pair.append(make())
    finally:
        use_tiles(device, None)
    bits = []
    for graph, output in pair:
        graph.replay()
        bits.append(output.read())
    same = bool(np.array_equal(bits[0], bits[1], equal_nan=True))
    before, after = _seconds_in_turns(device, [graph for graph, _ in pair])
    return SearchResult(sizes, gains, refused, before, after, same, len(now))


def _capture_ranks(
    device: Device, make: Make, table: Mapping[str, TileSize], ranks: int
) -> tuple[list[Graph], dict[str, SeenMatmul]]:
    """Capture the network with the tiles of ``table`` and with those of each rank.

    Return the graphs, and the matrix products that were launched.
    """
    use_tiles(device, table)
    with recorded_matmuls() as seen:
        graphs = [make()[0]]
    for rank in range(ranks):
        choice = {
            key: tile_size(each.tiles[min(rank, len(each.tiles) - 1)]) for key, each in seen.items()
        }
        use_tiles(device, choice)
        with recorded_matmuls():  # for the names in profiles
            graphs.append(make()[0])
    return graphs, seen


def _seconds_inside(device: Device, graphs: Sequence[Graph]) -> list[dict[str, float]]:
    """Return the median seconds of each product's launches in each graph, measured in turns."""
    for graph in graphs:
        graph.replay()
        device.synchronize()
    end = time.perf_counter() + _WARM_UP_S
    while time.perf_counter() < end:
        graphs[0].replay()
        device.synchronize()
    samples: list[dict[str, list[float]]] = [{} for _ in graphs]
    for _ in range(_PROFILES):
        for graph, each in zip(graphs, samples, strict=True):
            for key, seconds in _profile(device, graph).items():
                each.setdefault(key, []).append(seconds)
    return [{key: statistics.median(times) for key, times in each.items()} for each in samples]


def _profile(device: Device, graph: Graph) -> dict[str, float]:
    with device.profile() as profile:
        graph.replay()
    found: dict[str, float] = {}
    for record in profile.records:
        if key := key_of_region(record.region):
            found[key] = found.get(key, 0.0) + (record.duration_ns or 0) * 1e-9
    return found


def _better_tiles(
    seen: Mapping[str, SeenMatmul], now: Mapping[str, float], tried: Sequence[Mapping[str, float]]
) -> tuple[dict[str, Tile], dict[str, tuple[float, float]]]:
    """Return the tiles that are faster than those in use now, and the seconds of both."""
    tiles, gains = {}, {}
    for key, before in now.items():
        candidates = seen[key].tiles
        times = [each[key] for each in tried[: len(candidates)]]
        best = min(times, default=before)
        if best < _QUICKER * before:
            tiles[key] = candidates[times.index(best)]
            gains[key] = before, best
    return tiles, gains


def _refusal_reasons(
    device: Device, seen: Mapping[str, SeenMatmul], tiles: Mapping[str, Tile]
) -> dict[str, str]:
    """Return why tiles must not be used: wrong results, or other bits than the first tile's."""
    found = {}
    for key, tile in tiles.items():
        first = seen[key].tiles[0]
        reasons = refusals(device, seen[key], [first, tile] if tile != first else [tile])
        device.trim()
        if reason := reasons.get(tile):
            found[key] = reason
    return found


def _seconds_in_turns(device: Device, graphs: Sequence[Graph]) -> list[float]:
    """Return the median seconds of a replay of each graph, in turns on a busy device."""
    samples: list[list[float]] = [[] for _ in graphs]
    for _ in range(_ROUNDS):
        for graph, each in zip(graphs, samples, strict=True):
            graph.replay()
            start_event = device.new_event().record()
            for _ in range(_REPLAYS):
                graph.replay()
            end_event = device.new_event().record()
            start_event.wait()
            start = time.perf_counter()
            end_event.wait()
            each.append((time.perf_counter() - start) / _REPLAYS)
    return [statistics.median(each) for each in samples]


def format_result(name: str, found: SearchResult) -> str:
    """Return lines of text about a part of a model."""
    times = f"{found.before * 1e3:.3f} ms before, {found.after * 1e3:.3f} ms with them"
    lines = [
        f"{name}: {len(found.tiles)} of {found.products} matrix products have better tiles: {times}"
    ]
    for key, (before, after) in sorted(found.gains.items(), key=lambda g: g[1][1] - g[1][0]):
        size = "x".join(map(str, found.tiles[key])) if key in found.tiles else found.refused[key]
        lines.append(f"  {key}: {before * 1e6:.1f} to {after * 1e6:.1f} µs, {size}")
    if not found.is_quicker:
        lines.append("not kept" if found.same else "not kept: the results have other bits")
    return "\n".join(lines)


def main(arguments: list[str] | None = None) -> None:
    """Find the tiles of the model named on the command line, and write them."""
    parser = argparse.ArgumentParser(
        prog="python -m bench.tiles",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--device", default="", help="such as dawn, wgpu-vulkan")
    parser.add_argument("--size", type=int, default=512, help="pixels of a side (512)")
    parser.add_argument(
        "--json", type=Path, help="the table of tiles: read, then written with new tiles"
    )
    options = parser.parse_args(arguments)
    device = open_device(options.device)
    table = {}
    if options.json and options.json.exists():
        table = read_tiles(options.json, device.info, shipped=True)
    networks = load_networks(ModelFolder(options.folder), device)
    arrays = inputs(networks, options.size)
    parts: dict[str, Make] = {
        "UNet": lambda: unet_graph(networks, arrays, options.size, parts=2),
        "VAE": lambda: vae_graph(networks, arrays["code"]),
    }
    for name, make in parts.items():
        found = find_tiles(device, make, table)
        print(format_result(name, found), flush=True)
        if found.is_quicker:
            table = {**table, **found.tiles}
            if options.json:
                write_tiles(options.json, device.info, table)


if __name__ == "__main__":
    main()
