"""Tiles that were quickest when timed on a device, and the record of what a run launches.

A tile changes how long a matrix product takes, never its result. A table therefore chooses only
among the tiles that a product offers. Its other entries are ignored.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace

from gpucore import Device, PerDevice
from gpustd.matmul.operation import Matmul
from gpustd.matmul.tile_files import TileSize, load_tiles
from gpustd.matmul.tiles import Tile, fits, tile_size

__all__ = [
    "SeenMatmul",
    "key_of_region",
    "matmul_key",
    "matmul_region",
    "recorded_matmuls",
    "tuned_tile",
    "use_tiles",
]

_REGION = "matmul "


@dataclass(frozen=True)
class SeenMatmul:
    """A matrix product that a run launched ``count`` times.

    ``tiles`` are those that it may take, the likely quickest first.
    """

    key: str
    matmul: Matmul
    variant: str
    scalar: str
    tiles: tuple[Tile, ...]
    count: int


_Seen = dict[str, SeenMatmul]

_tables: PerDevice[Mapping[str, TileSize]] = PerDevice(lambda device: load_tiles(device.info))
_recording: ContextVar[_Seen | None] = ContextVar("recording", default=None)


def tuned_tile(
    device: Device,
    matmul: Matmul,
    variant: str,
    scalar: str,
    tiles: Sequence[Tile],
    splits: int = 1,
) -> Tile:
    """Return the one of ``tiles`` that was quickest when timed on ``device``, or the first.

    All ``tiles`` must give the same bits, with K split into ``splits`` parts. The likely quickest
    comes first.
    """
    table = _tables.of(device)
    seen = _recording.get()
    if not table and seen is None:
        return tiles[0]
    key = matmul_key(matmul, variant, scalar, splits)
    if seen is not None:
        known = seen.get(key) or SeenMatmul(key, matmul, variant, scalar, tuple(tiles), 0)
        seen[key] = replace(known, count=known.count + 1)
    size = table.get(key)
    found = (tile for tile in tiles if tile_size(tile) == size and fits(device, variant, tile))
    return next(found, tiles[0])


def use_tiles(device: Device, tiles: Mapping[str, TileSize] | None) -> None:
    """Take these tiles from now on; None reads the device's files again at the next product."""
    if tiles is None:
        _tables.forget(device)
    else:
        _tables.put(device, tiles)


def matmul_key(matmul: Matmul, variant: str, scalar: str, splits: int = 1) -> str:
    """Return the name of a matrix product in tables, made of the sizes that its time depends on.

    ``splits`` is the number of parts of K. Bias, residual and padding are left out: they take next
    to no time.
    """
    channels = "+".join(map(str, matmul.channels))
    words = [variant, scalar, f"m{matmul.m}/{matmul.images}", f"n{matmul.n}", f"k{channels}"]
    if window := matmul.window:
        words.append(f"{window['kernel_height']}x{window['kernel_width']}")
        words += [f"{name}{window[name]}" for name in ("stride", "scale") if window[name] != 1]
    if matmul.activation:
        words.append(matmul.activation)
    if matmul.wide:
        words.append("wide")
    if matmul.batch is not None:
        words.append(f"x{matmul.batch}")
    if splits > 1:
        words.append(f"in {splits}")
    return " ".join(words)


@contextmanager
def recorded_matmuls() -> Iterator[_Seen]:
    """Collect by key the matrix products with a choice of tiles that are launched inside."""
    seen: _Seen = {}
    token = _recording.set(seen)
    try:
        yield seen
    finally:
        _recording.reset(token)


def matmul_region(matmul: Matmul, variant: str, scalar: str, splits: int) -> str:
    """Return the region of a product's launches in profiles: its key in a recorded run, or ""."""
    if _recording.get() is None:
        return ""
    return f"{_REGION}{matmul_key(matmul, variant, scalar, splits)}"


def key_of_region(region: str) -> str:
    """Return the key in a region of `matmul_region`, or "" for any other region."""
    return region.partition(_REGION)[2]
