"""Tiles of the variant ``hopper``, their predicted times, and the parts that K is cut into.

An element's sum runs over K in the same order in every tile with the same number of parts. That
number follows from the sizes of one image.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from typing import NamedTuple

from gpucore import ShapeError
from gpucore.integers import ceil_div
from gpustd.launch.variants import forced_tile
from gpustd.matmul.operation import Matmul

__all__ = ["GROUP", "HOPPER_TILES", "SLICE", "HopperTile", "choose_hopper_tile"]

SLICE = 64
"""Length of a slice of K."""

GROUP = 64
"""Columns of weights in a row of shared memory."""

_ROWS = 128
_BARRIERS = 16  # bytes of each stage
_ALIGNMENT = 1024
_CHUNKS = (80, 64, 48, 32, 16)
# Clusters of so many blocks that an H200 runs at once.
_CLUSTERS = {1: 132, 2: 66, 4: 30, 5: 22, 8: 15}
# Cycles on an H200, measured: of a launch, of a slice by columns of a tile, of a tile's end, and of
# adding parts. Weights lie transposed, which is slow where columns are no multiple of 64.
_LAUNCH = 3500
_STEP = {64: 440, 80: 720, 96: 800, 128: 650, 160: 930, 192: 1000, 256: 1290}
_END = {64: 940, 80: 2600, 96: 2800, 128: 1600, 160: 6400, 192: 2800, 256: 3000}
_JOIN = {1: 0, 2: 2400, 4: 7000, 5: 8000, 8: 9600}
# Steps are quicker where a third of the card is idle.
_FEW_BLOCKS, _SHARE_OF_STEP = 88, 0.85
# They are slower with parts of K in several turns, and by the share of columns that are of no use.
_WITH_PARTS, _BY_UNUSED = 1.2, 2.0


@dataclass(frozen=True)
class HopperTile:
    """Columns of weights of a tile of 128 rows, slices that are loaded ahead, parts of K."""

    bn: int
    stages: int
    parts: int = 1

    def width(self, *, gates: bool) -> int:
        """Return the columns of results of a tile, half of which are gates in the weights."""
        return self.bn // 2 if gates else self.bn

    def chunk(self, *, gates: bool) -> int:
        """Return the columns that leave at once."""
        own = self.width(gates=gates) // self.parts
        return next(chunk for chunk in _CHUNKS if own % chunk == 0)

    def memory(self, *, gates: bool) -> int:
        """Return the bytes of shared memory."""
        stage = 2 * SLICE * (_ROWS + ceil_div(self.bn, GROUP) * GROUP) + _BARRIERS
        if self.parts > 1:
            staging = 2 * (self.parts - 1) * (self.bn // self.parts) * 256
        else:
            staging = 2 * _ROWS * (self.chunk(gates=gates) + 8)
        return _ALIGNMENT + self.stages * stage + staging

    def fits(self, *, gates: bool, batched: bool) -> bool:
        """Tell whether it can make a product: gates lie in whole groups, batches in one part."""
        if gates and self.bn % (2 * GROUP):
            return False
        return self.parts == 1 or not (gates or batched)

    def cost(self, m: int, columns: int, slices: int, batch: int = 1) -> float:
        """Return the predicted cycles on an H200."""
        tiles = ceil_div(m, _ROWS) * ceil_div(columns, self.bn) * batch
        steps = float(ceil_div(slices, self.parts) * _STEP[self.bn])
        turns = ceil_div(tiles, _CLUSTERS[self.parts])
        if tiles * self.parts <= _FEW_BLOCKS:
            steps *= _SHARE_OF_STEP
        if turns > 1 and self.parts > 1:
            steps *= _WITH_PARTS
        unused = -columns % self.bn
        if unused >= GROUP:
            steps *= 1 + _BY_UNUSED * unused / (columns + unused)
        return _LAUNCH + turns * (steps + _END[self.bn] + _JOIN[self.parts])


HOPPER_TILES = (
    HopperTile(64, 8),
    HopperTile(80, 6),
    HopperTile(96, 6),
    HopperTile(128, 6),
    HopperTile(160, 5),
    HopperTile(192, 5),
    HopperTile(256, 4),
    HopperTile(64, 8, parts=2),
    HopperTile(96, 6, parts=2),
    HopperTile(128, 6, parts=2),
    HopperTile(160, 4, parts=2),
    HopperTile(64, 8, parts=4),
    HopperTile(128, 5, parts=4),
    HopperTile(160, 4, parts=5),
    HopperTile(128, 5, parts=8),
)


def choose_hopper_tile(matmul: Matmul, slices: int, *, narrow: bool = False) -> HopperTile:
    """Return the likely quickest tile. Raises `ShapeError` for a forced tile that does not fit.

    ``narrow``: the half of a low-rank update whose columns are ranks. The parts of K are then those
    for one group, however many zeros fill a slot up.
    """
    gates = matmul.activation == "geglu"
    forced = forced_tile("matmul")
    if isinstance(forced, HopperTile):
        batched = matmul.batch is not None
        if not forced.fits(gates=gates, batched=batched) or slices < forced.parts:
            raise ShapeError(f"{matmul.op}: {forced} must fit the product, got {matmul}")
        return forced
    rows = matmul.m // max(matmul.images, 1)
    sizes = _Sizes(matmul.m, matmul.columns, slices, matmul.batch)
    return _best_tile(sizes, (rows, GROUP if narrow else matmul.columns), gates=gates)


class _Sizes(NamedTuple):
    """Rows, columns of weights, slices of K, products of a batch."""

    m: int
    columns: int
    slices: int
    batch: int | None


@functools.lru_cache(4096)
def _best_tile(sizes: _Sizes, image: tuple[int, int], *, gates: bool) -> HopperTile:
    """Return the quickest tile with the parts of K that suit one image's rows and columns."""
    m, columns, slices, batch = sizes
    fitting = [tile for tile in HOPPER_TILES if tile.fits(gates=gates, batched=batch is not None)]
    # With two images, as guidance has them, the parts are quickest.
    able = [tile for tile in fitting if tile.parts == 1 or slices >= 2 * tile.parts]
    rows, width = image
    parts = min(able, key=lambda tile: tile.cost(2 * rows, width, slices)).parts
    same = (tile for tile in fitting if tile.parts == parts)
    return min(same, key=lambda tile: tile.cost(m, columns, slices, batch or 1))
