"""Tiles of the matrix product, and which one suits a size."""

from __future__ import annotations

import functools
import math
from dataclasses import dataclass

from gpucore.integers import ceil_div

__all__ = ["MATRIX_TILES", "TILED_TILES", "Tile", "best_splits", "best_teams"]

_CORES = 132
# Adding partial sums up: nanoseconds of the launch, and bytes that it reads in one.
_REDUCTION = 2500
_BYTES = 2500
_MOST_SPLITS = 8
# Where two images make one row of tiles, which then loads each weight once.
_MOST_SPLITS_OF_A_ROW = 13


@dataclass(frozen=True)
class Tile:
    """Block of a workgroup (bm, bn, bk) and of an invocation or subgroup (wm, wn).

    ``stages`` slices of bk are in workgroup memory at once; K is cut into ``splits`` parts (0: as
    suits the size), of which a workgroup makes ``teams``, each by subgroups and slices of its own.
    So many ``loaders``, subgroups beside those that multiply, load the operands of a plain product,
    a group of two after the other (0: all subgroups do both). Its time, as measured on an H200:
    ``alone`` nanoseconds for each step of K where one workgroup is on a multiprocessor, ``pair``
    where two are (0: they do not fit, or gain nothing), and ``ends`` before and after.
    """

    bm: int
    bn: int
    bk: int
    wm: int
    wn: int
    stages: int = 1
    splits: int = 0
    teams: int = 1
    loaders: int = 0
    alone: float = 0.0
    pair: float = 0.0
    ends: float = 0.0

    def __post_init__(self) -> None:
        """Refuse tiles that loaders cannot fill evenly (shaders/matmul/gemm/loaders.wgsl)."""
        if self.loaders and (
            (self.stages, self.bk) not in ((3, 16), (2, 32), (2, 64))
            or self.loaders % 2
            or self.loaders < 4
            or self.bm * self.bk % 512
            or self.bn * self.bk % 512
        ):
            raise ValueError(f"{self}: not what {self.loaders} loaders fill")

    def loads(self, k: int) -> bool:
        """Tell whether K is whole turns of the loaders, one for each group at least."""
        turn = self.bk * (self.stages - 1)
        return self.loaders > 0 and k % turn == 0 and k >= turn * self.loaders // 2

    @property
    def bases(self) -> int:
        """Addresses of weights from which a loader's others differ by whole rows."""
        words = self.bn // 8
        return words // math.gcd(words, 64)

    def blocks(self, m: int, columns: int) -> int:
        """Workgroups that cover (m, columns)."""
        return ceil_div(m, self.bm) * ceil_div(columns, self.bn)

    def cost(self, m: int, columns: int, k: int, splits: int = 1, batch: int = 1) -> float:
        """Nanoseconds of ``batch`` products of m rows, made at once, on a card like the H200."""
        planes = splits // self.teams
        each = ceil_div(self.blocks(m, columns) * planes * batch, _CORES)
        pairs, rest = divmod(each, 2) if self.pair else (0, each)
        steps = ceil_div(k, splits * self.bk) * self.bk * self.teams
        sums = _REDUCTION + 4 * m * columns * splits / _BYTES if planes > 1 else 0.0
        return steps * (pairs * self.pair + rest * self.alone) + (pairs + rest) * self.ends + sums


# All of one bk, since a part of K is a number of slices.
TILED_TILES = (
    Tile(128, 64, 16, 8, 8, stages=2, alone=50),
    Tile(128, 128, 16, 8, 8, stages=2, alone=111),
    Tile(64, 64, 16, 8, 8, alone=30),
)
MATRIX_TILES = (
    Tile(128, 128, 32, 64, 64, alone=21.4, pair=29.8, ends=3300),
    Tile(128, 256, 32, 64, 64, alone=30.7, ends=3500),
    Tile(256, 128, 32, 64, 64, alone=30.7, ends=3500),
    Tile(256, 160, 32, 64, 80, alone=34.0, ends=6000),
    Tile(128, 160, 32, 64, 80, alone=29.3, pair=39.0, ends=3000),
    Tile(128, 160, 64, 32, 80, alone=21.2, ends=2700),
    Tile(128, 128, 32, 64, 32, alone=18.6, ends=6000),
    Tile(128, 128, 64, 64, 32, alone=17.1, ends=6000),
    Tile(64, 160, 64, 16, 80, alone=15.2, ends=1000),
    Tile(128, 80, 64, 32, 80, alone=15.7, ends=1000),
    Tile(64, 80, 64, 16, 80, alone=9.0, pair=17.0, ends=1000),
    Tile(64, 64, 64, 32, 32, alone=6.5, pair=12.5, ends=1000),
    Tile(64, 80, 64, 16, 80, teams=2, alone=8.0, ends=1500),
    Tile(64, 160, 32, 32, 80, teams=2, alone=14.0, ends=2000),
    Tile(128, 160, 32, 64, 80, teams=2, alone=20.0, ends=4000),
    Tile(128, 256, 16, 64, 64, stages=3, loaders=4, alone=21.9, ends=4200),
    Tile(128, 160, 32, 64, 80, stages=2, loaders=4, alone=17.0, ends=3900),
    Tile(64, 160, 32, 32, 80, stages=2, loaders=6, alone=10.8, ends=4600),
    Tile(64, 80, 64, 32, 80, stages=2, loaders=6, alone=7.3, ends=4000),
)


def best_splits(rows: int, columns: int, k: int) -> int:
    """Into how many parts K is cut, so that two images (guidance) fill the card.

    ``rows`` are those of one image: the batch must not change the order of a sum.
    """
    if 2 * rows <= 128:
        blocks, most = ceil_div(columns, 128), min(k // 320, _MOST_SPLITS_OF_A_ROW)
    else:
        blocks, most = (
            ceil_div(2 * rows, 128) * ceil_div(columns, 160),
            min(k // 1280, _MOST_SPLITS),
        )
    splits = min(_CORES // blocks, most)
    return splits if splits > 2 else 1


@functools.cache
def best_teams(rows: int, columns: int, k: int, *, loaded: bool = False) -> int:
    """Into how many parts K is cut, each by a team of a workgroup, where it is not split.

    Two where that is quicker for two images; ``loaded``: than with loaders, too. ``rows`` are
    those of one image.
    """
    if k % 128:
        return 1
    whole, halves = (
        min(
            t.cost(2 * rows, columns, k, teams)
            for t in MATRIX_TILES
            if t.teams == teams and (not t.loaders or (loaded and t.loads(k)))
        )
        for teams in (1, 2)
    )
    return 2 if halves < whole else 1
