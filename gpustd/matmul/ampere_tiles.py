"""Tiles of the variant ``ampere``, and their predicted times.

An element's sum runs over K in the same order in every tile.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpucore import ShapeError
from gpucore.integers import ceil_div
from gpustd.launch.grid import CORES
from gpustd.launch.variants import forced_tile
from gpustd.matmul.operation import Matmul

__all__ = ["AMPERE_TILES", "SLICE", "AmpereTile", "choose_ampere_tile"]

SLICE = 32
"""Length of a slice of K."""


@dataclass(frozen=True)
class AmpereTile:
    """Rows and columns of a tile, those of a warp, and slices in shared memory.

    ``blocks`` run on a multiprocessor at once. ``weight`` is the time of a product in this tile,
    relative to the largest one.
    """

    bm: int
    bn: int
    wm: int
    wn: int
    stages: int
    blocks: int
    weight: float

    @property
    def threads(self) -> int:
        """Threads of a block."""
        return 32 * (self.bm // self.wm) * (self.bn // self.wn)

    @property
    def memory(self) -> int:
        """Bytes of shared memory, which results leave through, too."""
        staging = 4 * (self.threads // 32) * 16 * (self.wn + 4)
        return max(self.stages * 2 * SLICE * (self.bm + self.bn), staging)

    def count(self, m: int, columns: int, batch: int = 1) -> int:
        """Return the tiles of a product."""
        return ceil_div(m, self.bm) * ceil_div(columns, self.bn) * batch

    def cost(self, m: int, columns: int, batch: int = 1) -> float:
        """Return the predicted time for a step of K, in no unit."""
        turns = ceil_div(self.count(m, columns, batch), CORES * self.blocks) * self.blocks
        return turns * self.bm * self.bn * self.weight


AMPERE_TILES = (
    AmpereTile(128, 256, 64, 64, 3, 1, 1.0),
    AmpereTile(128, 128, 64, 32, 4, 1, 1.1),
    AmpereTile(64, 128, 32, 64, 3, 2, 1.2),
    AmpereTile(64, 64, 32, 32, 4, 3, 1.4),
)


def choose_ampere_tile(matmul: Matmul) -> AmpereTile:
    """Return the likely quickest tile. Raises `ShapeError` for a forced one of another variant."""
    forced = forced_tile("matmul")
    if forced is None:
        sizes = matmul.m, matmul.columns, matmul.batch or 1
        return min(AMPERE_TILES, key=lambda tile: tile.cost(*sizes))
    if not isinstance(forced, AmpereTile):
        raise ShapeError(f"{matmul.op}: a tile of ampere must be given, got {forced}")
    return forced
