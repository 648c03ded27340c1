"""Computing large arrays in tiles, which are mixed where they overlap."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.catalogue import Catalogue
from diffusion.tasks.choices import Choice
from gpustd.matmul.conv import Wrap

__all__ = [
    "TILINGS",
    "TileSpan",
    "axes_within_tile",
    "compute_in_tiles",
    "needs_tiles",
    "tile_spans",
]

Array = NDArray[np.float32]

TILINGS: Final = Catalogue(
    "vae tiling",
    [Choice("auto", "Automatic", ("automatic",)), Choice("on", "On"), Choice("off", "Off")],
)
MOST_PIXELS: Final = 1024 * 1024
"""Pixels up to which ``auto`` computes a picture at once."""
TILE: Final = 96
"""A tile's side in latents, where the device takes them: 768 pixels with a VAE of factor 8."""
OVERLAP_DIVISOR: Final = 4
"""A tile's side divided by this is its overlap with a neighbour."""


@dataclass(frozen=True)
class TileSpan:
    """A tile's place along one axis of the latents, and whether others lie beside it.

    ``length``: of the whole axis; a tile that reaches beyond it goes on at the start.
    """

    start: int
    extent: int
    before: bool
    after: bool
    length: int

    @property
    def overlap(self) -> int:
        """The least number of latents that it shares with a neighbour."""
        return self.extent // OVERLAP_DIVISOR

    def indices(self, factor: int) -> NDArray[np.intp]:
        """Return the indices in an array ``factor`` times as long."""
        start = self.start * factor
        return np.arange(start, start + self.extent * factor) % (self.length * factor)

    def weights(self, factor: int) -> Array:
        """Return how much each element counts, within (0, 1]: less towards a neighbour."""
        line = np.ones(self.extent * factor)
        overlap = self.overlap * factor
        ramp = (np.arange(overlap) + 0.5) / overlap
        if self.before:
            line[:overlap] *= ramp
        if self.after:
            line[len(line) - overlap :] *= ramp[::-1]
        return line.astype(np.float32)


def tile_spans(extent: int, tile: int, ring: bool = False) -> list[TileSpan]:
    """Return evenly spread tiles of side ``tile`` that cover ``extent``; one where it fits.

    On a ``ring`` the last tile's neighbour is the first.
    """
    if extent <= tile:
        return [TileSpan(0, extent, before=False, after=False, length=extent)]
    overlap = tile // OVERLAP_DIVISOR
    if ring:
        count = math.ceil(extent / (tile - overlap))
        starts = [round(i * extent / count) for i in range(count)]
        return [TileSpan(start, tile, before=True, after=True, length=extent) for start in starts]
    last = math.ceil((extent - overlap) / (tile - overlap)) - 1
    return [
        TileSpan(round(i * (extent - tile) / last), tile, i > 0, i < last, extent)
        for i in range(last + 1)
    ]


def compute_in_tiles(
    compute: Callable[[TileSpan, TileSpan], Array],
    size: tuple[int, int],
    factor: int,
    tile: int = TILE,
    wrap: Wrap = "",
) -> Array:
    """Return an array (height, width, channels), ``factor`` times as large as latents of ``size``.

    ``compute(rows, columns)`` returns one tile of it. ``tile``: a tile's side in latents.
    ``wrap``: axes on which opposite edges meet.
    """
    height, width = (extent * factor for extent in size)
    total: Array = np.zeros((height, width, 0), np.float32)
    weight = np.zeros((height, width, 1), np.float32)
    for rows in tile_spans(size[0], tile, "y" in wrap):
        for columns in tile_spans(size[1], tile, "x" in wrap):
            part = compute(rows, columns)
            if not total.size:
                total = np.zeros((height, width, part.shape[2]), np.float32)
            place = _place(rows, columns, factor)
            share = rows.weights(factor)[:, None, None] * columns.weights(factor)[None, :, None]
            total[place] += part * share
            weight[place] += share
    return total / weight


def _place(rows: TileSpan, columns: TileSpan, factor: int) -> Any:
    """Return the index of a tile in an array ``factor`` times as large as the latents.

    It is of slices unless the tile goes on at the start: adding there is several times as quick.
    """
    if any(each.start + each.extent > each.length for each in (rows, columns)):
        return np.ix_(rows.indices(factor), columns.indices(factor))
    return tuple(
        slice(each.start * factor, (each.start + each.extent) * factor) for each in (rows, columns)
    )


def axes_within_tile(wrap: Wrap, rows: TileSpan, columns: TileSpan) -> Wrap:
    """Return the axes of ``wrap`` that one tile covers from edge to edge."""
    x, y = ("x" in wrap and not columns.after), ("y" in wrap and not rows.after)
    return "xy" if x and y else "x" if x else "y" if y else ""


def needs_tiles(tiling: str, pixels: int, most: int = MOST_PIXELS) -> bool:
    """Tell whether a picture of so many pixels is computed in tiles. Raises `SettingsError`.

    ``most``: pixels that the device takes at once.
    """
    chosen = TILINGS.find(tiling).name
    return chosen == "on" or (chosen == "auto" and pixels > min(MOST_PIXELS, most))
