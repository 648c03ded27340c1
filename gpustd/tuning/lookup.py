"""Tiles of products that were timed on this device: their lookup, and what a run looks up.

A tile changes how long a product takes and never its result. A table therefore may choose only
among the tiles that a product offers; whatever else it says is passed over.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

from gpucore import Device, PerDevice
from gpustd.matmul.tiles import Tile
from gpustd.tuning.files import TileSize, load_tiles

if TYPE_CHECKING:
    from gpustd.matmul.product import Product

__all__ = [
    "SeenProduct",
    "fits",
    "key_of_region",
    "product_key",
    "product_region",
    "recorded_products",
    "tile_size",
    "tuned_tile",
    "use_tiles",
]

_REGION = "product "
_INVOCATIONS = "max_compute_invocations_per_workgroup"
_WORKGROUP_BYTES = "max_compute_workgroup_storage_size"


@dataclass(frozen=True)
class SeenProduct:
    """A product that a run launched ``count`` times, and the tiles it may take, likeliest first."""

    key: str
    product: Product
    variant: str
    scalar: str
    tiles: tuple[Tile, ...]
    count: int


_Seen = dict[str, SeenProduct]

_tables: PerDevice[Mapping[str, TileSize]] = PerDevice(lambda device: load_tiles(device.info))
_recording: ContextVar[_Seen | None] = ContextVar("recording", default=None)


def tuned_tile(
    device: Device,
    product: Product,
    variant: str,
    scalar: str,
    tiles: Sequence[Tile],
    splits: int = 1,
) -> Tile:
    """The one of ``tiles`` that was quickest when timed on ``device``; else the first.

    ``tiles`` must all give the same bits, K being cut into ``splits``; the likeliest comes first.
    """
    table = _tables.of(device)
    seen = _recording.get()
    if not table and seen is None:
        return tiles[0]
    key = product_key(product, variant, scalar, splits)
    if seen is not None:
        known = seen.get(key) or SeenProduct(key, product, variant, scalar, tuple(tiles), 0)
        seen[key] = replace(known, count=known.count + 1)
    wanted = table.get(key)
    found = (tile for tile in tiles if tile_size(tile) == wanted and fits(device, variant, tile))
    return next(found, tiles[0])


@contextmanager
def product_region(
    device: Device, product: Product, variant: str, scalar: str, splits: int
) -> Iterator[None]:
    """Launches inside carry the product's key in profiles, where a run is recorded."""
    if _recording.get() is None:
        yield
        return
    with device.region(f"{_REGION}{product_key(product, variant, scalar, splits)}"):
        yield


def key_of_region(region: str) -> str:
    """The key that `product_region` gave a launch; empty for any other."""
    return region.partition(_REGION)[2]


def product_key(product: Product, variant: str, scalar: str, splits: int = 1) -> str:
    """Name of a product in tables: what its time depends on, the cut of K into ``splits`` too.

    What is fused beside the activation, and the padding, are left out: they weigh next to nothing.
    """
    channels = "+".join(map(str, product.channels))
    words = [variant, scalar, f"m{product.m}/{product.images}", f"n{product.n}", f"k{channels}"]
    if window := product.window:
        words.append(f"{window['kernel_height']}x{window['kernel_width']}")
        words += [f"{name}{window[name]}" for name in ("stride", "scale") if window[name] != 1]
    if product.activation:
        words.append(product.activation)
    if product.wide:
        words.append("wide")
    if product.batch is not None:
        words.append(f"x{product.batch}")
    if splits > 1:
        words.append(f"in {splits}")
    return " ".join(words)


def tile_size(tile: Tile) -> TileSize:
    """A tile as tables hold it: bm, bn, bk, wm, wn; teams where there are several, and loaders."""
    size = tile.bm, tile.bn, tile.bk, tile.wm, tile.wn
    if tile.loaders:
        return (*size, tile.teams, tile.loaders)
    return size if tile.teams == 1 else (*size, tile.teams)


def fits(device: Device, variant: str, tile: Tile) -> bool:
    """Tell whether a workgroup of a tile keeps the device's limits (see shaders/matmul/gemm).

    Loaders need a device on which barriers in two loops of a workgroup meet.
    """
    if tile.loaders and not _barriers_meet_apart(device):
        return False
    parts = (tile.bm // tile.wm) * (tile.bn // tile.wn)
    if variant == "matrix":
        parts *= tile.teams
        invocations = 32 * (parts + tile.loaders)
        stage = tile.bm * (tile.bk + 8) // 8 + tile.bk * (tile.bn + 8) // 8
        nbytes = 16 * max(tile.stages * tile.teams * stage, parts * 16 * (tile.wn + 8) // 4)
    else:
        invocations = tile.bm * tile.bn // (tile.wm * tile.wn)
        nbytes = 4 * tile.stages * tile.bk * (tile.bm + tile.bn)
    return invocations <= device.limits[_INVOCATIONS] and nbytes <= device.limits[_WORKGROUP_BYTES]


def _barriers_meet_apart(device: Device) -> bool:
    """Tell whether barriers in two loops of a workgroup meet, as WGSL does not promise.

    They do where a card counts who comes to one, and the driver leaves them where they are.
    """
    return device.info.api == "vulkan" and device.info.driver.startswith("NVIDIA")


@contextmanager
def recorded_products() -> Iterator[_Seen]:
    """Collect, by key, the distinct products with a choice of tiles that are launched inside."""
    seen: _Seen = {}
    token = _recording.set(seen)
    try:
        yield seen
    finally:
        _recording.reset(token)


def use_tiles(device: Device, tiles: Mapping[str, TileSize] | None) -> None:
    """Take these tiles from now on; None reads the device's files again at the next product."""
    if tiles is None:
        _tables.forget(device)
    else:
        _tables.put(device, tiles)
