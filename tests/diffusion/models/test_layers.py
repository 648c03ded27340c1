"""Convolutions in the form that suits the device, against the golden UNets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from diffusion.models import layers
from diffusion.models.layers import Conv2d
from diffusion.models.module import load
from gpucore import Device, DType, f16, f32
from gpucore.backends.null import NullBackend, adapters
from gpustd.winograd import winograd_pays
from tests.diffusion.models.test_joined import DTYPES, TOLERANCE, first_cases, need, unet_error
from tests.goldens.cases import UNetCase


@DTYPES
@pytest.mark.parametrize("case", first_cases(), ids=lambda case: case.name)
def test_unets_by_winograd(
    device: Device, case: UNetCase, dtype: type[DType], monkeypatch: pytest.MonkeyPatch
) -> None:
    need(device, dtype)
    monkeypatch.setattr(layers, "winograd_pays", lambda *_: True)
    assert unet_error(device, case, dtype) < TOLERANCE[dtype]


def test_transformed_weights_take_the_place_of_the_others(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "winograd_pays", lambda *_: True)
    conv = Conv2d(8, 16, 3, padding=1)
    before = device.memory.live
    load(conv, lambda name: np.ones(16 if "bias" in name else (16, 8, 3, 3)), device, f32)
    assert device.memory.live - before == 4 * (16 * 8 * 16) + 256
    with pytest.raises(RuntimeError, match="before it is loaded"):
        _ = conv.weight.buffer


@pytest.mark.parametrize(
    ("kind", "matrix", "dtype", "sizes", "pays"),
    [
        ("cpu", False, f32, (640, 640, 32), False),
        ("discrete", False, f32, (640, 640, 32), True),
        ("discrete", False, f16, (64, 64, None), True),
        ("discrete", False, f16, (4, 320, 64), False),
        ("discrete", True, f16, (1280, 1280, 16), True),
        ("discrete", True, f16, (1280, 1280, 8), False),
        ("discrete", True, f16, (320, 320, 64), False),
        ("discrete", True, f16, (640, 640, None), False),
        ("discrete", True, f32, (640, 640, None), True),
    ],
)
def test_where_winograd_pays(
    kind: str,
    matrix: bool,
    dtype: type[DType],
    sizes: tuple[int, int, int | None],
    pays: bool,
) -> None:
    (info, *_) = adapters()
    features = frozenset({"f16", "subgroups", "matrix-units"}) if matrix else frozenset({"f16"})
    info = dataclasses.replace(info, kind=kind, features=features, subgroup_size=(32, 32))
    assert winograd_pays(Device(NullBackend(info)), dtype, *sizes) is pays
