"""Convolutions in the form that suits the device, against the golden UNets."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest

from diffusion.checkpoints import ModelFolder
from diffusion.models import layers
from diffusion.models.layers import Conv2d
from diffusion.models.module import load
from diffusion.models.unet import time_features
from diffusion.pipeline.loading import load_networks
from gpucore import Device, DType, f16, f32
from gpucore.backends.null import NullBackend, adapters
from gpustd.matmul.winograd import winograd_block
from tests.conftest import skip_without_f16
from tests.diffusion.golden_models import networks
from tests.goldens.cases import UNET_CASES, UNetCase
from tests.goldens.loader import channels_last, relative_error
from tests.goldens.loader import load as golden

DTYPES = pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)
# As in tests/diffusion/models/test_goldens.py.
TOLERANCE: dict[type[DType], float] = {f32: 1e-4, f16: 1e-2}


def need(device: Device, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)


def first_cases() -> list[UNetCase]:
    """Return one case of each golden model."""
    return list({case.model: case for case in reversed(UNET_CASES)}.values())


WINOGRAD_CASES = [
    case if case.model == "two_levels" else pytest.param(case, marks=pytest.mark.slow)
    for case in first_cases()
]


def unet_error(device: Device, case: UNetCase, dtype: type[DType]) -> float:
    """Return the error of a newly loaded UNet."""
    folder: ModelFolder = networks(device, case.model, dtype).folder
    unet = load_networks(folder, device, dtype).unet
    latents = device.buffer_from_array(channels_last(case.latents()), dtype)
    features = time_features([case.timestep] * case.batch, folder.unet)
    prompt = unet.prompt_keys(device.buffer_from_array(case.text(), dtype))
    output = unet(latents, device.buffer_from_array(features, dtype), prompt).read()
    return relative_error(output, channels_last(golden("unet")[case.name]))


@DTYPES
@pytest.mark.parametrize("case", WINOGRAD_CASES, ids=lambda case: case.name)
def test_unets_by_winograd(
    device: Device, case: UNetCase, dtype: type[DType], monkeypatch: pytest.MonkeyPatch
) -> None:
    need(device, dtype)
    if dtype is f16 and device.is_cpu and case.model != "two_levels":
        pytest.skip(f"{device!r} compiles thirty kernels for it: f32 here, and one model in f16")
    monkeypatch.setattr(layers, "winograd_block", lambda *_, **__: 2)
    assert unet_error(device, case, dtype) < TOLERANCE[dtype]


def test_transformed_weights_take_the_place_of_the_others(
    device: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(layers, "winograd_block", lambda *_, **__: 2)
    conv = Conv2d(8, 16, 3, padding=1)
    before = device.memory.live
    load(conv, lambda name: np.ones(16 if "bias" in name else (16, 8, 3, 3)), device, f32)
    assert device.memory.live - before == 4 * (16 * 8 * 16) + 256
    with pytest.raises(RuntimeError, match="before it is loaded"):
        _ = conv.weight.buffer


@pytest.mark.parametrize(
    ("kind", "matrix", "dtype", "sizes", "block"),
    [
        ("cpu", False, f32, (640, 640, 32), None),
        ("discrete", False, f32, (640, 640, 32), 2),
        ("discrete", False, f16, (64, 64, None), 2),
        ("discrete", False, f16, (4, 320, 64), None),
        ("discrete", True, f16, (1280, 1280, 16), 2),
        ("discrete", True, f16, (1280, 1280, 8), None),
        ("discrete", True, f16, (320, 320, 64), 4),
        ("discrete", True, f16, (512, 256, 256), 4),
        ("discrete", True, f16, (256, 256, 512), 4),
        ("discrete", True, f16, (256, 128, 512), 4),
        ("discrete", True, f16, (256, 128, 256), None),
        ("discrete", True, f16, (128, 128, 512), None),
        ("discrete", True, f16, (320, 320, 32), 4),
        ("discrete", True, f16, (1920, 640, 32), 4),
        ("discrete", True, f16, (1280, 1280, 32), 2),
        ("discrete", True, f16, (1280, 1280, 64), 4),
        ("discrete", True, f16, (320, 320, 16), None),
        ("discrete", True, f16, (640, 640, None), None),
        ("discrete", True, f32, (640, 640, None), 2),
    ],
)
def test_where_winograd_block(
    kind: str,
    matrix: bool,
    dtype: type[DType],
    sizes: tuple[int, int, int | None],
    block: int | None,
) -> None:
    (info, *_) = adapters()
    features = frozenset({"f16", "subgroups", "matrix-units"}) if matrix else frozenset({"f16"})
    info = dataclasses.replace(info, kind=kind, features=features, subgroup_size=(32, 32))
    assert winograd_block(Device(NullBackend(info)), dtype, *sizes) == block
