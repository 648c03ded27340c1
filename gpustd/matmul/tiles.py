"""Tiles of the matrix product: their sizes, their measured times, and what fits a device."""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpucore import Device
from gpucore.integers import ceil_div
from gpustd.launch.grid import CORES

__all__ = ["MATRIX_TILES", "TILED_TILES", "Tile", "fits", "tile_size"]

# The launch that adds partial sums: its nanoseconds, and the bytes that it reads in each.
_REDUCTION_NS = 2500
_REDUCTION_BYTES_PER_NS = 2500
_INVOCATIONS = "max_compute_invocations_per_workgroup"
_WORKGROUP_BYTES = "max_compute_workgroup_storage_size"


@dataclass(frozen=True)
class Tile:
    """Block of a workgroup (bm, bn, bk) and of an invocation or subgroup (wm, wn).

    Attributes:
        bm: rows of results of a workgroup.
        bn: columns of results of a workgroup.
        bk: length of a slice of K.
        wm: rows of results of an invocation, or of a subgroup on matrix units.
        wn: columns of results of an invocation, or of a subgroup on matrix units.
        stages: slices that are in workgroup memory at once.
        splits: parts that K is split into; 0: the default for the size.
        teams: parts of K that one workgroup makes, each with subgroups and slices of its own.
        loaders: more subgroups, which only load the operands of a plain product.
            Groups of two take turns. 0: all subgroups load and multiply.
        alone: nanoseconds of a step of K, measured on an H200 with one workgroup on a
            multiprocessor.
        pair: the same with two workgroups; 0: two do not fit, or gain nothing.
        ends: nanoseconds before and after the steps.
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
        """Raise ValueError for loaders that cannot fill a tile evenly (gemm/loaders.wgsl)."""
        if self.loaders and (
            (self.stages, self.bk) not in ((3, 16), (2, 32), (2, 64))
            or self.loaders % 2
            or self.loaders < 4
            or self.bm * self.bk % 512
            or self.bn * self.bk % 512
        ):
            raise ValueError(f"tile must be one that its loaders fill evenly, got {self}")

    def fills_turns(self, k: int) -> bool:
        """Tell whether K is whole turns of the loaders, at least one for each group."""
        turn = self.bk * (self.stages - 1)
        return self.loaders > 0 and k % turn == 0 and k >= turn * self.loaders // 2

    @property
    def bases(self) -> int:
        """Addresses of weights that a loader computes; its others differ by whole rows."""
        words = self.bn // 8
        return words // math.gcd(words, 64)

    def blocks(self, m: int, columns: int) -> int:
        """Return the number of workgroups that cover (m, columns)."""
        return ceil_div(m, self.bm) * ceil_div(columns, self.bn)

    def cost(self, m: int, columns: int, k: int, splits: int = 1, batch: int = 1) -> float:
        """Return the predicted nanoseconds of one launch of ``batch`` products on an H200."""
        planes = splits // self.teams
        each = ceil_div(self.blocks(m, columns) * planes * batch, CORES)
        pairs, rest = divmod(each, 2) if self.pair else (0, each)
        steps = ceil_div(k, splits * self.bk) * self.bk * self.teams
        time = steps * (pairs * self.pair + rest * self.alone) + (pairs + rest) * self.ends
        if planes <= 1:
            return time
        return time + (_REDUCTION_NS + 4 * m * columns * splits / _REDUCTION_BYTES_PER_NS)


# All have one bk, since a part of K is a number of slices.
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


def tile_size(tile: Tile) -> tuple[int, ...]:
    """Return a tile as tables hold it: bm, bn, bk, wm, wn; then teams if several, and loaders."""
    size = tile.bm, tile.bn, tile.bk, tile.wm, tile.wn
    if tile.loaders:
        return (*size, tile.teams, tile.loaders)
    return size if tile.teams == 1 else (*size, tile.teams)


def fits(device: Device, variant: str, tile: Tile) -> bool:
    """Tell whether a workgroup of a tile keeps the device's limits (see shaders/matmul/gemm).

    Loaders need a device on which barriers in two loops of a workgroup meet.
    """
    if tile.loaders and not _barriers_of_loops_meet(device):
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


def _barriers_of_loops_meet(device: Device) -> bool:
    """Tell whether barriers in two loops of a workgroup meet, which WGSL does not promise.

    They meet on cards that count the arrivals at a barrier, with a driver that does not move them.
    """
    return device.info.api == "vulkan" and device.info.driver.startswith("NVIDIA")
