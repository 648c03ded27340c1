"""Large arrays in overlapping tiles, mixed where they overlap."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diffusion.catalogue import Catalogue
from diffusion.tasks.choices import Choice
from gpustd.matmul.conv import Wrap

__all__ = ["TILINGS", "Span", "in_tiles", "spans", "tiled"]

Array = NDArray[np.float32]

TILINGS: Final = Catalogue(
    "vae tiling",
    [Choice("auto", "Automatic", ("automatic",)), Choice("on", "On"), Choice("off", "Off")],
)
WHOLE: Final = 1024 * 1024
"""Pixels up to which ``auto`` takes a picture whole."""
TILE: Final = 96
"""Latents of a tile's side, where the device takes them: 768 pixels with a VAE of factor 8."""
SHARED: Final = 4
"""A tile shares one part in so many of its side with its neighbour."""


@dataclass(frozen=True)
class Span:
    """A tile's place along one axis of the latents, and whether others lie beside it.

    ``whole``: the axis's length; a tile that reaches beyond it goes on at the start.
    """

    start: int
    extent: int
    before: bool
    after: bool
    whole: int

    @property
    def overlap(self) -> int:
        """How much of it a neighbour has too, at least."""
        return self.extent // SHARED

    def place(self, factor: int) -> NDArray[np.intp]:
        """The indices in an array ``factor`` times as long."""
        start = self.start * factor
        return np.arange(start, start + self.extent * factor) % (self.whole * factor)

    def weights(self, factor: int) -> Array:
        """How much each element there counts, within (0, 1]: less towards a neighbour."""
        line = np.ones(self.extent * factor)
        overlap = self.overlap * factor
        ramp = (np.arange(overlap) + 0.5) / overlap
        if self.before:
            line[:overlap] *= ramp
        if self.after:
            line[len(line) - overlap :] *= ramp[::-1]
        return line.astype(np.float32)


def spans(extent: int, tile: int, ring: bool = False) -> list[Span]:
    """Tiles of side ``tile`` that cover ``extent``, evenly spread; one where it fits.

    On a ``ring`` the last one's neighbour is the first.
    """
    if extent <= tile:
        return [Span(0, extent, before=False, after=False, whole=extent)]
    overlap = tile // SHARED
    if ring:
        count = math.ceil(extent / (tile - overlap))
        starts = [round(i * extent / count) for i in range(count)]
        return [Span(start, tile, before=True, after=True, whole=extent) for start in starts]
    last = math.ceil((extent - overlap) / (tile - overlap)) - 1
    return [
        Span(round(i * (extent - tile) / last), tile, i > 0, i < last, extent)
        for i in range(last + 1)
    ]


def tiled(
    compute: Callable[[Span, Span], Array],
    size: tuple[int, int],
    factor: int,
    tile: int = TILE,
    wrap: Wrap = "",
) -> Array:
    """An array (height, width, channels), ``factor`` times as large as latents of ``size``.

    ``tile``: a tile's side in latents. ``wrap``: axes on which opposite edges meet.
    ``compute(rows, columns)`` gives the part of it at that place.
    """
    height, width = (extent * factor for extent in size)
    total: Array = np.zeros((height, width, 0), np.float32)
    weight = np.zeros((height, width, 1), np.float32)
    for rows in spans(size[0], tile, "y" in wrap):
        for columns in spans(size[1], tile, "x" in wrap):
            part = compute(rows, columns)
            if not total.size:
                total = np.zeros((height, width, part.shape[2]), np.float32)
            place = np.ix_(rows.place(factor), columns.place(factor))
            share = rows.weights(factor)[:, None, None] * columns.weights(factor)[None, :, None]
            total[place] += part * share
            weight[place] += share
    return total / weight


def in_tiles(tiling: str, pixels: int, most: int = WHOLE) -> bool:
    """Tell whether a picture of so many pixels is computed in tiles. Raises `SettingsError`.

    ``most``: pixels that the device takes at once.
    """
    chosen = TILINGS.find(tiling).name
    return chosen == "on" or (chosen == "auto" and pixels > min(WHOLE, most))
