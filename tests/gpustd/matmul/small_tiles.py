"""Small tiles for tests, and launching matrix products with a forced variant."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gpucore import Device
from gpustd.launch.variants import force_variant
from gpustd.matmul import launching
from gpustd.matmul.tiles import Tile, fits
from tests.gpustd.emulated_units import emulated_kernel, need_matrix_units

__all__ = ["SMALL_LOADERS", "SMALL_MATRIX", "SMALL_TEAMS", "SMALL_TILED", "on_variant"]

SMALL_MATRIX = {
    "matrix": Tile(32, 64, 32, 16, 32, splits=1),
    "matrix split": Tile(32, 64, 32, 16, 32, splits=2),
}
SMALL_TEAMS = {
    "matrix teams": Tile(32, 64, 32, 16, 32, splits=2, teams=2),
    "matrix teams split": Tile(32, 64, 32, 32, 32, splits=4, teams=2),
}
SMALL_LOADERS = {
    "matrix loaders": Tile(64, 64, 16, 32, 32, stages=3, splits=1, loaders=4),
    "matrix loaders of words": Tile(32, 80, 32, 16, 80, stages=2, splits=1, loaders=4),
    "matrix loaders of lines": Tile(32, 80, 64, 32, 80, stages=2, splits=1, loaders=6),
}
SMALL_TILED = {
    "tiled": Tile(32, 64, 8, 4, 8),
    "tiled staged": Tile(32, 64, 8, 4, 8, stages=2),
    "tiled split": Tile(32, 64, 8, 4, 8, splits=2),
}


@contextmanager
def on_variant(device: Device, variant: str, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Force ``variant``, or one of the small tiles by name. Skip where the device cannot.

    Matrix units are emulated where the device has none.
    """
    tile = {**SMALL_TILED, **SMALL_MATRIX, **SMALL_TEAMS, **SMALL_LOADERS}.get(variant)
    variant = variant.split(maxsplit=1)[0]
    if variant == "matrix":
        need_matrix_units(device)
        if tile is not None and not fits(device, variant, tile):
            pytest.skip(f"{device!r} is not one on which barriers in two loops meet")
        if not device.has_matrix_units:
            patch.setattr(launching, "kernel", emulated_kernel)
    with force_variant("matmul", variant, tile):
        yield
