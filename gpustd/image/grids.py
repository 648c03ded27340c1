"""Grids of the kernels that GPUs run over strips of rows and over tiles of pixels."""

from __future__ import annotations

from typing import Any

from gpucore import Buffer
from gpucore.integers import ceil_div
from gpustd.image.shapes import ImageShape
from gpustd.launch.grid import MOST_GROUPS
from gpustd.launch.variants import forced_variant

__all__ = ["fits_pixel_tiles", "fits_strips", "pixel_tile_grid"]

# Elements of a row that a workgroup computes at least, in strips.
_MIN_ACROSS = 128
# Columns and rows of pixels in a workgroup of ``image/pixel_tiles.wgsl``.
_TILE = 32, 8


def fits_strips(shape: ImageShape) -> bool:
    """Tell whether rows are whole words, and no extent needs more workgroups than a grid has."""
    groups = max(shape.images, shape.height, ceil_div(shape.row, _MIN_ACROSS))
    return shape.row % 4 == 0 and shape.size > 0 and groups <= MOST_GROUPS


def fits_pixel_tiles(op: str, target: ImageShape, result: Buffer[Any]) -> bool:
    """Tell whether ``op`` computes tiles of whole pixels: on GPUs, in rows of whole words.

    `force_variant` takes the variants ``pixel_tiles`` and ``cells`` of ``op``.
    """
    variant = forced_variant(op) or ("cells" if result.device.is_cpu else "pixel_tiles")
    groups = target.images, target.height // _TILE[1], target.width // _TILE[0]
    whole_words = target.row % (4 // int(result.dtype.itemsize)) == 0
    return variant == "pixel_tiles" and whole_words and max(groups) < MOST_GROUPS


def pixel_tile_grid(target: ImageShape) -> tuple[int, int, int]:
    """Return the workgroups of ``image/pixel_tiles.wgsl``."""
    return ceil_div(target.width, _TILE[0]), ceil_div(target.height, _TILE[1]), target.images
