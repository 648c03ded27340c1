"""Running gemm and conv2d on a chosen rung, matrix units emulated where there are none."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from gpucore import Device, Kernel
from gpustd import product, template
from gpustd.product import Tile
from gpustd.rungs import forced_rung
from tests.gpustd.matrix_emulator import emulate

SMALL_MATRIX = Tile(32, 64, 32, 16, 32)
SMALL_TILED = Tile(32, 32, 8, 4, 4)

_emulated: dict[tuple[Device, str], Kernel] = {}


def _emulated_kernel(device: Device, name: str, **spec: template.Value) -> Kernel:
    source = emulate(template.render(name, spec))
    key = (device, source)
    if key not in _emulated:
        _emulated[key] = device.compile_kernel(source)
    return _emulated[key]


@contextmanager
def on_rung(device: Device, rung: str, patch: pytest.MonkeyPatch) -> Iterator[None]:
    """Take ``rung`` with a small tile; skip where the device lacks what it needs."""
    if rung == "matrix" and not device.has_f16:
        pytest.skip(f"{device!r} has no f16, which matrix units compute with")
    if rung == "matrix" and not device.has_matrix_units:
        patch.setattr(product, "kernel", _emulated_kernel)
    tile = {"matrix": SMALL_MATRIX, "tiled": SMALL_TILED}.get(rung)
    with forced_rung("product", rung, tile):
        yield
