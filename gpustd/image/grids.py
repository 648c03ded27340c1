"""Which images GPUs' kernels take as a grid of workgroups, and that of whole pixels."""

from __future__ import annotations

from typing import Any

from gpucore import Buffer
from gpucore.integers import ceil_div
from gpustd.image.picture import Picture
from gpustd.launch.grid import MOST_GROUPS
from gpustd.launch.variants import forced_variant

__all__ = ["fits_quilt", "fits_strips", "quilt_grid"]

# Elements of a row that a workgroup makes at least, in strips.
_LEAST_ACROSS = 128
# Pixels and rows of a workgroup of `image/quilt.wgsl`.
_QUILT = 32, 8


def fits_strips(picture: Picture) -> bool:
    """Whether rows are whole words, and no extent has more workgroups than a grid."""
    groups = max(picture.images, picture.height, ceil_div(picture.row, _LEAST_ACROSS))
    return picture.row % 4 == 0 and picture.size > 0 and groups <= MOST_GROUPS


def fits_quilt(op: str, made: Picture, result: Buffer[Any]) -> bool:
    """Whether whole pixels are made, in rows of whole words, on GPUs.

    The variants ``quilt`` and ``cells`` of ``op`` can be forced.
    """
    variant = forced_variant(op) or ("cells" if result.device.is_cpu else "quilt")
    extents = made.images, made.height // _QUILT[1], made.width // _QUILT[0]
    whole = made.row % (4 // int(result.dtype.itemsize)) == 0
    return variant == "quilt" and whole and max(extents) < MOST_GROUPS


def quilt_grid(made: Picture) -> tuple[int, int, int]:
    """Workgroups of `image/quilt.wgsl`."""
    return ceil_div(made.width, _QUILT[0]), ceil_div(made.height, _QUILT[1]), made.images
