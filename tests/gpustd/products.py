"""Running gemm and conv2d on a chosen variant, matrix units emulated where there are none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gpucore import Device, Kernel
from gpustd.launch import template
from gpustd.launch.variants import force_variant
from gpustd.matmul import product
from gpustd.matmul.tiles import Tile
from gpustd.tuning.lookup import fits
from tests.gpustd.matrix_emulator import emulate

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

_emulated: dict[tuple[Device, str], Kernel] = {}


def emulated_kernel(device: Device, name: str, **spec: template.Value) -> Kernel:
    """As `template.kernel`, with matrix units emulated where the text has them."""
    if "matrix" not in spec:
        return template.kernel(device, name, **spec)
    source = template.render(name, spec)
    key = (device, source)
    if key not in _emulated:
        _emulated[key] = device.compile_kernel(emulate(source))
    return _emulated[key]


def need_matrix_units(device: Device) -> None:
    """Skip where there are none, and none are emulated."""
    if device.info.engine != "dawn" or not device.has_f16:
        pytest.skip(f"{device!r} is not Dawn with f16, where matrix units are")


@contextmanager
def on_variant(device: Device, variant: str, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take ``variant``, or a form of it, with a small tile; skip where the device cannot."""
    tile = {**SMALL_TILED, **SMALL_MATRIX, **SMALL_TEAMS, **SMALL_LOADERS}.get(variant)
    variant = variant.split(maxsplit=1)[0]
    if variant == "matrix":
        need_matrix_units(device)
        if tile is not None and not fits(device, variant, tile):
            pytest.skip(f"{device!r} is not one on which barriers in two loops meet")
        if not device.has_matrix_units:
            patch.setattr(product, "kernel", emulated_kernel)
    with force_variant("product", variant, tile):
        yield
