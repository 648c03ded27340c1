"""Tiles of the matrix product, and which one suits a size."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["MATRIX_TILES", "TILED_TILES", "Tile", "suited_splits"]

_CORES = 132
_MOST_SPLITS = 8


@dataclass(frozen=True)
class Tile:
    """Block of a workgroup (bm, bn, bk) and of an invocation or subgroup (wm, wn).

    ``stages`` slices of bk are in workgroup memory at once (1 on matrix units); K is cut into
    ``splits`` parts (0: as suits the size); ``rate`` is the speed of full waves relative to other
    tiles.
    """

    bm: int
    bn: int
    bk: int
    wm: int
    wn: int
    stages: int = 1
    splits: int = 0
    rate: float = 1.0

    def blocks(self, m: int, columns: int) -> int:
        """Workgroups that cover (m, columns)."""
        return -(-m // self.bm) * -(-columns // self.bn)

    def cost(self, m: int, columns: int, splits: int = 1) -> float:
        """Relative time on a card with some 132 cores: waves of blocks times work of a block."""
        waves = -(-self.blocks(m, columns) * splits // _CORES)
        return waves * self.bm * self.bn / self.rate


# All of one bk, since a part of K is a number of slices.
TILED_TILES = (
    Tile(128, 64, 16, 8, 8, stages=2),
    Tile(128, 128, 16, 8, 8, stages=2, rate=0.9),
    Tile(64, 64, 16, 8, 8, rate=0.84),
)
# Rates are relative speeds of full waves, seen on an H200 (bench/results).
MATRIX_TILES = (
    Tile(128, 256, 32, 64, 64),
    Tile(256, 128, 32, 64, 64, rate=0.95),
    Tile(256, 160, 32, 64, 80, rate=0.95),
    Tile(128, 160, 64, 32, 80, rate=0.9),
    Tile(128, 128, 32, 64, 64),
    Tile(128, 160, 32, 64, 80, rate=0.9),
    Tile(128, 128, 32, 64, 32, rate=0.8),
    Tile(128, 128, 64, 64, 32, rate=0.75),
    Tile(64, 160, 64, 32, 80, rate=0.75),
    Tile(64, 64, 64, 32, 32, rate=0.7),
    Tile(128, 80, 64, 32, 80, rate=0.7),
    Tile(64, 80, 64, 32, 80, rate=0.65),
)


def suited_splits(rows: int, columns: int, k: int) -> int:
    """Into how many parts K is cut, so that two images (guidance) fill the card.

    ``rows`` are those of one image: the batch must not change the order of a sum.
    """
    blocks = -(-2 * rows // 128) * -(-columns // 160)
    splits = min(_CORES // blocks, k // 1280, _MOST_SPLITS)
    return splits if splits > 2 else 1
