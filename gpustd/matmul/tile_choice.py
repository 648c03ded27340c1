"""The choice of a tile, and of the parts that K is split into.

An element's sum runs over K in the same order in every tile of a variant. Where K is split, by
workgroups or by teams of one, the parts are added in order. Their number follows from the sizes of
one image, so that results do not change with the batch.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from typing import NamedTuple

from gpucore import Device, PerDevice, ShapeError
from gpucore.integers import ceil_div
from gpustd.launch.grid import CORES
from gpustd.launch.variants import forced_tile
from gpustd.matmul.operation import Matmul
from gpustd.matmul.tiles import MATRIX_TILES, TILED_TILES, Tile, fits
from gpustd.matmul.tuned_tiles import tuned_tile

__all__ = ["best_splits", "best_teams", "choose_tile", "has_even_parts"]

_MOST_SPLITS = 8
# For two images that make one row of tiles: it then loads each weight once.
_MOST_SPLITS_OF_A_ROW = 13
# Matrices of 16 columns of an update lie in the values or in the gates of a subgroup.
_COLUMNS_OF_HALVES = 32


class _Fitting(NamedTuple):
    """Tiles of a variant, and those of them that fit a device."""

    known: tuple[Tile, ...]
    tiles: list[Tile]


_fitting: PerDevice[dict[str, _Fitting]] = PerDevice(lambda device: {})


def choose_tile(
    matmul: Matmul,
    device: Device,
    variant: str,
    scalar: str,
    *,
    splittable: bool,
    with_loaders: bool = True,
    with_update: bool = False,
) -> tuple[Tile, int]:
    """Return a tile and the number of parts that K is split into.

    ``splittable``: the variant's kernel can split K. ``with_loaders``: tiles with loaders may be
    taken; the parts are the same without. ``with_update``: a low-rank update is added. Raises
    `ShapeError` for a forced tile that cannot do the product.
    """
    splittable = splittable and matmul.batch is None and not matmul.few_rows
    tiles = _fitting_tiles(device, variant)
    splits = _default_splits(matmul, tiles) if splittable else 1
    forced = forced_tile("matmul")
    halves = with_update and matmul.activation == "geglu"
    if isinstance(forced, Tile):
        if halves and forced.wn % _COLUMNS_OF_HALVES:
            raise ShapeError(f"{matmul.op}: wn must be a multiple of 32 with GEGLU, got {forced}")
        return forced, _splits_of(forced, matmul, splits, splittable=splittable)
    offered = _offered_tiles(matmul, tiles, splits)
    if not with_loaders:
        offered = [tile for tile in offered if not tile.loaders]
    if halves:
        offered = [tile for tile in offered if tile.wn % _COLUMNS_OF_HALVES == 0]
    return tuned_tile(device, matmul, variant, scalar, offered, splits), splits


def _fitting_tiles(device: Device, variant: str) -> list[Tile]:
    """Return the tiles of a variant that fit the device, found once for each device."""
    known = MATRIX_TILES if variant == "matrix" else TILED_TILES
    found = _fitting.of(device)
    if variant not in found or found[variant].known is not known:
        tiles = [tile for tile in known if fits(device, variant, tile)]
        found[variant] = _Fitting(known, tiles)
    return found[variant].tiles


def _offered_tiles(matmul: Matmul, tiles: Sequence[Tile], splits: int) -> list[Tile]:
    """Return the tiles that give the same bits, the likely quickest first."""
    # Parts of K begin at slices of bk: where they begin must not depend on the tile.
    widest = max(tile.bk for tile in tiles)
    same_parts = splits == 1 or has_even_parts(matmul, widest, splits)
    offered = [
        tile
        for tile in tiles
        if splits % tile.teams == 0
        and (same_parts or tile.bk == widest)
        and (not tile.loaders or _can_load(tile, matmul, splits))
    ]
    sizes = matmul.m, matmul.columns, matmul.k, splits, matmul.batch or 1
    return sorted(offered, key=lambda tile: tile.cost(*sizes))


def _splits_of(tile: Tile, matmul: Matmul, splits: int, *, splittable: bool) -> int:
    """Return the parts of K for a forced tile. Raises `ShapeError`."""
    parts = tile.splits or splits if splittable else 1
    parts = ceil_div(parts, tile.teams) * tile.teams
    if tile.loaders and not _can_load(tile, matmul, parts):
        raise ShapeError(
            f"{matmul.op}: K of {tile} must be whole turns of its loaders, in one part of a plain "
            f"product, got {matmul.k} in {parts}"
        )
    return parts


def _can_load(tile: Tile, matmul: Matmul, parts: int) -> bool:
    """Tell whether the loaders of a tile can do it: K in one part, without taps."""
    plain = not matmul.has_window and len(matmul.channels) == 1
    return parts == 1 and plain and tile.fills_turns(matmul.k)


def has_even_parts(matmul: Matmul, bk: int, splits: int) -> bool:
    """Tell whether all parts of K have equally many slices of bk, none of them ragged."""
    return all(c % bk == 0 for c in matmul.channels) and matmul.k % (splits * bk) == 0


def _default_splits(matmul: Matmul, tiles: Sequence[Tile]) -> int:
    """Return the parts that K is split into, by the sizes of one image."""
    sizes = matmul.m // max(matmul.images, 1), matmul.columns, matmul.k
    splits = best_splits(*sizes)
    if splits > 1 or not any(tile.teams > 1 for tile in tiles):
        return splits
    with_loaders = any(tile.loaders and _can_load(tile, matmul, 1) for tile in tiles)
    return best_teams(*sizes, with_loaders=with_loaders)


def best_splits(rows: int, columns: int, k: int) -> int:
    """Return the parts of K with which the workgroups of two images (guidance) fill the card.

    ``rows`` are those of one image: the batch must not change the order of a sum.
    """
    if 2 * rows <= 128:
        blocks, most = ceil_div(columns, 128), min(k // 320, _MOST_SPLITS_OF_A_ROW)
    else:
        blocks = ceil_div(2 * rows, 128) * ceil_div(columns, 160)
        most = min(k // 1280, _MOST_SPLITS)
    splits = min(CORES // blocks, most)
    return splits if splits > 2 else 1


@functools.cache
def best_teams(rows: int, columns: int, k: int, *, with_loaders: bool = False) -> int:
    """Return the parts of K, one or two, each made by a team of the same workgroup.

    Two where that is quicker for two images. ``with_loaders``: tiles with loaders are compared,
    too. ``rows`` are those of one image.
    """
    if k % 128:
        return 1
    one_team, two_teams = (
        min(
            tile.cost(2 * rows, columns, k, teams)
            for tile in MATRIX_TILES
            if tile.teams == teams and (not tile.loaders or (with_loaders and tile.fills_turns(k)))
        )
        for teams in (1, 2)
    )
    return 2 if two_teams < one_team else 1
