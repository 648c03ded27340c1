"""Time tiles of products inside a whole model, for the tables in ``gpustd/tuning/tables``.

    python -m bench.tiles FOLDER [--size PIXELS] --json gpustd/tuning/tables/CARD.json

``avila tune`` times a product by itself, and tiles that are near each other there may change places
between other launches. Here one UNet call of a latent with guidance and one decoding are captured
with each product's likeliest tile, with its second, and so on; timestamps tell what each product's
launches take. Tiles that are quicker by 3 % are checked against the naive one. Then the model with
them and the one without are timed in turns, and their results compared bit by bit: FILE gets the
tiles of those parts that are quicker as a whole, beside what it has.
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

from bench.full_size import inputs, unet_graph, vae_graph
from bench.measure import open_device
from diffusion.checkpoints import ModelFolder
from diffusion.pipeline.networks import load_networks
from gpucore import Buffer, Device, Graph
from gpustd.matmul.tiles import Tile, tile_size
from gpustd.matmul.tuned_tiles import SeenMatmul, key_of_region, recorded_matmuls, use_tiles
from gpustd.tuning.files import TileSize, read_tiles, write_tiles
from gpustd.tuning.timing import refusals

__all__ = ["Found", "find_tiles", "main"]

Make = Callable[[], tuple[Graph, Buffer[Any]]]
"""GraphCache a network; gives the graph and its output."""

_RANKS = 8
_PROFILES = 7
_BUSY_S = 0.5
_ROUNDS = 12
_REPLAYS = 4
_QUICKER = 0.97


@dataclass(frozen=True)
class Found:
    """What `find_tiles` came to.

    ``tiles``: those that are better, with seconds of a product's launches before and after;
    ``refused``: better ones that are wrong; ``before``, ``after``: seconds of the network;
    ``same``: whether its results kept their bits; ``products``: how many have a choice.
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
        """Whether the tiles are worth having."""
        return bool(self.tiles) and self.same and self.after < self.before


def find_tiles(
    device: Device, make: Make, table: Mapping[str, TileSize], ranks: int = _RANKS
) -> Found:
    """The tiles that are quicker inside a network than those of ``table``.

    Raises `FeatureError` where the device has no timestamps.
    """
    try:
        graphs, seen = _captured(device, make, table, ranks)
        now, *tried = _seconds_inside(device, graphs)
        del graphs
        tiles, gains = _better(seen, now, tried)
        refused = _refused(device, seen, tiles)
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
    return Found(sizes, gains, refused, before, after, same, len(now))


def _captured(
    device: Device, make: Make, table: Mapping[str, TileSize], ranks: int
) -> tuple[list[Graph], dict[str, SeenMatmul]]:
    """The network with the tiles of ``table``, and with those of each rank; its products."""
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
    """Seconds of each product's launches in a replay of each graph: medians, in turns."""
    for graph in graphs:
        graph.replay()
        device.synchronize()
    end = time.perf_counter() + _BUSY_S
    while time.perf_counter() < end:
        graphs[0].replay()
        device.synchronize()
    samples: list[dict[str, list[float]]] = [{} for _ in graphs]
    for _ in range(_PROFILES):
        for graph, each in zip(graphs, samples, strict=True):
            for key, seconds in _profiled(device, graph).items():
                each.setdefault(key, []).append(seconds)
    return [{key: statistics.median(times) for key, times in each.items()} for each in samples]


def _profiled(device: Device, graph: Graph) -> dict[str, float]:
    with device.profile() as profile:
        graph.replay()
    found: dict[str, float] = {}
    for record in profile.records:
        if key := key_of_region(record.region):
            found[key] = found.get(key, 0.0) + (record.duration_ns or 0) * 1e-9
    return found


def _better(
    seen: Mapping[str, SeenMatmul], now: Mapping[str, float], tried: Sequence[Mapping[str, float]]
) -> tuple[dict[str, Tile], dict[str, tuple[float, float]]]:
    """Tiles that beat those taken now, and the seconds of both."""
    tiles, gains = {}, {}
    for key, before in now.items():
        offered = seen[key].tiles
        times = [each[key] for each in tried[: len(offered)]]
        best = min(times, default=before)
        if best < _QUICKER * before:
            tiles[key] = offered[times.index(best)]
            gains[key] = before, best
    return tiles, gains


def _refused(
    device: Device, seen: Mapping[str, SeenMatmul], tiles: Mapping[str, Tile]
) -> dict[str, str]:
    """Why tiles are not to be taken: wrong, or of other bits than the likeliest of the product."""
    found = {}
    for key, tile in tiles.items():
        first = seen[key].tiles[0]
        told = refusals(device, seen[key], [first, tile] if tile != first else [tile])
        device.trim()
        if reason := told.get(tile):
            found[key] = reason
    return found


def _seconds_in_turns(device: Device, graphs: Sequence[Graph]) -> list[float]:
    """Median seconds of a replay of each; they take turns, the device busy throughout."""
    samples: list[list[float]] = [[] for _ in graphs]
    for _ in range(_ROUNDS):
        for graph, each in zip(graphs, samples, strict=True):
            graph.replay()
            begun = device.new_event().record()
            for _ in range(_REPLAYS):
                graph.replay()
            ended = device.new_event().record()
            begun.wait()
            start = time.perf_counter()
            ended.wait()
            each.append((time.perf_counter() - start) / _REPLAYS)
    return [statistics.median(each) for each in samples]


def told(name: str, found: Found) -> str:
    """Lines for people."""
    times = f"{found.before * 1e3:.3f} ms before, {found.after * 1e3:.3f} ms with them"
    lines = [f"{name}: {len(found.tiles)} of {found.products} products have better tiles: {times}"]
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
    parser.add_argument("--json", type=Path, help="the table: read, and written with more")
    chosen = parser.parse_args(arguments)
    device = open_device(chosen.device)
    table = {}
    if chosen.json and chosen.json.exists():
        table = read_tiles(chosen.json, device.info, shipped=True)
    networks = load_networks(ModelFolder(chosen.folder), device)
    arrays = inputs(networks, chosen.size)
    parts: dict[str, Make] = {
        "UNet": lambda: unet_graph(networks, arrays, chosen.size, parts=2),
        "VAE": lambda: vae_graph(networks, arrays["code"]),
    }
    for name, make in parts.items():
        found = find_tiles(device, make, table)
        print(told(name, found), flush=True)
        if found.is_quicker:
            table = {**table, **found.tiles}
            if chosen.json:
                write_tiles(chosen.json, device.info, table)


if __name__ == "__main__":
    main()
