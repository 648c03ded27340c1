"""The variant of attention for matrix units: its tiles and when they are used."""

from __future__ import annotations

from typing import NamedTuple

from gpucore import Device
from gpucore.integers import ceil_div
from gpustd.launch.template import Value
from gpustd.launch.variants import forced_tile
from gpustd.nn.attention.sizes import AttentionSizes, Shader, workgroup_memory

__all__ = ["MatrixTile", "best_tile", "matrix_shader", "takes_matrix_units"]

_F16_SUMS = ("f16", "f16", 16, 16, 16)


class MatrixTile(NamedTuple):
    """A tile of the matrix variant: ``fq`` blocks of 16 rows a subgroup, subgroups, keys of a step.

    ``relative``: scores are f16, relative to each row's maximum (32 keys; or 48 where fq is 2).
    ``ahead``: scores are f16, relative to a maximum that is never raised, and computed one step
    ahead; where that is not precise enough, again in f32. ``lean``: fewer registers, with loads
    that wait. ``teams``: so many times as many subgroups, each team with ``keys`` keys of a step
    (without a mask).
    """

    fq: int
    subgroups: int
    keys: int
    relative: bool = False
    ahead: bool = False
    lean: bool = False
    teams: int = 1


def takes_matrix_units(device: Device, scalar: str, head: int) -> bool:
    """Tell whether the matrix variant takes heads of ``head`` channels."""
    return device.has_matrix_units and scalar == "f16" and head % 8 == 0 and head <= 160


def matrix_shader(device: Device, sizes: AttentionSizes, mask: str = "") -> Shader:
    """Return the matrix variant for a device and sizes.

    ``mask`` is the kind of a mask, or "none" for a scale of its own or shared heads.
    """
    tile = forced_tile("attention")
    if not isinstance(tile, MatrixTile):
        rounded = _F16_SUMS in device.info.matrix_shapes and sizes.sk > 128
        tile = best_tile(sizes, mask, rounded=rounded)
    tile = _shrink_tile(sizes, tile, workgroup_memory(device))
    grid = (ceil_div(sizes.sq, 16 * tile.fq * tile.subgroups), sizes.heads, sizes.batch)
    spec: dict[str, Value] = {"matrix": True, "head": sizes.head, **tile._asdict()}
    return Shader(spec, 8, grid)


def _shrink_tile(sizes: AttentionSizes, tile: MatrixTile, most: int) -> MatrixTile:
    """Return a tile that takes at most ``most`` bytes of workgroup memory."""
    if _tile_bytes(sizes, tile) > most:
        tile = tile._replace(teams=1)
    if _tile_bytes(sizes, tile._replace(subgroups=1)) > most:
        tile = tile._replace(keys=16)
    while tile.subgroups > 1 and _tile_bytes(sizes, tile) > most:
        tile = tile._replace(subgroups=tile.subgroups // 2)
    return tile


def best_tile(sizes: AttentionSizes, mask: str, *, rounded: bool) -> MatrixTile:
    """Return the fastest tile on an H200, which has 48 KiB of memory for all that runs at once.

    It depends on the sizes of one image only, since the steps order the sums. ``rounded``: f16
    scores are precise enough in most blocks of rows.
    """
    head, blocks = sizes.head, sizes.heads * ceil_div(sizes.sq, 128)
    if head <= 48 and blocks >= 200 and not (rounded and mask):
        return MatrixTile(2, 4, 48, relative=True) if rounded else MatrixTile(2, 4, 32)
    if 48 < head <= (80 if rounded and not mask else 64) and blocks >= 150:
        if rounded and mask not in ("", "none"):
            # Lanes that share rows load less of the mask.
            return MatrixTile(1, 8, 16, ahead=True, lean=mask == "bits")
        # Rows of different lengths gain more from loads that do not wait.
        lean = rounded and not mask and not sizes.causal and head <= 64
        return MatrixTile(2, 4, 16, ahead=rounded, lean=lean)
    if head > 96 and blocks >= 128 and rounded:
        return MatrixTile(1, 4, 16, ahead=True)
    # An image of few rows: teams keep as many subgroups busy, of more rows or of more workgroups.
    if 64 < head <= 80 and rounded and not mask:
        return MatrixTile(2, 2, 16, ahead=True, teams=2)
    if head > 96 and blocks <= 32 and not mask:
        return MatrixTile(1, 2, 16, ahead=rounded, teams=2)
    return MatrixTile(1, 4 if head > 48 else 8, 32, ahead=rounded)


def _tile_bytes(sizes: AttentionSizes, tile: MatrixTile) -> int:
    """Return the workgroup memory of the matrix variant, in bytes."""
    words = sizes.head // 8
    rows_of_k, rows_of_v = max(words + 1 - words % 2, 3), words + 1 + words % 2
    pitch = tile.keys // (8 if tile.relative else 4) + 1
    scores = 16 * tile.subgroups * tile.teams * tile.fq * pitch - 1
    return (tile.teams * tile.keys * (rows_of_k + rows_of_v) + scores) * 16 + 20
