"""Upscalers against networks in PyTorch, which agree with spandrel's.

Tolerance: 1e-4 relative in f32, as for the other networks.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from diffusion.checkpoints.upscalers import open_upscaler
from diffusion.models.upscalers import CompactConfig, RrdbConfig
from diffusion.upscaling import UpscalerNetwork
from gpucore import Device, f16, f32
from tests.conftest import skip_without_f16
from tests.diffusion.upscaling.upscaler_files import CASES, golden_picture, write_upscaler
from tests.goldens.loader import relative_error
from tests.goldens.upscaler_cases import RrdbCase, picture

TOLERANCE = 1e-4


@pytest.mark.parametrize("name", CASES)
def test_pictures_are_those_of_the_reference(device: Device, tmp_path: Path, name: str) -> None:
    network = UpscalerNetwork.load(write_upscaler(tmp_path, name), device, f32)
    for given, expected in zip(picture(name, CASES[name].size), golden_picture(name), strict=True):
        assert relative_error(network.enlarge(given), expected) < TOLERANCE


def test_f16_is_near(device: Device, tmp_path: Path) -> None:
    skip_without_f16(device, "f16")
    network = UpscalerNetwork.load(write_upscaler(tmp_path, "x2_old"), device, f16)
    given, expected = picture("x2_old", CASES["x2_old"].size)[0], golden_picture("x2_old")[0]
    assert relative_error(network.enlarge(given), expected) < 1e-2


@pytest.mark.parametrize("name", CASES)
def test_sizes_come_from_the_file(tmp_path: Path, name: str) -> None:
    case, config = CASES[name], open_upscaler(write_upscaler(tmp_path, name)).config
    assert config.scale == case.scale
    if isinstance(case, RrdbCase):
        assert isinstance(config, RrdbConfig)
        assert (config.width, config.growth, config.blocks) == (
            case.width,
            case.growth,
            case.blocks,
        )
        assert (config.unshuffle, config.shortcuts) == (case.unshuffle, case.shortcuts)
    else:
        assert isinstance(config, CompactConfig)
        assert (config.width, config.layers) == (case.width, case.layers)
        assert config.activation.replace("_", "") == case.activation


def test_sides_that_the_network_cannot_take_are_mirrored(device: Device, tmp_path: Path) -> None:
    network = UpscalerNetwork.load(write_upscaler(tmp_path, "x2_unshuffled"), device, f32)
    odd = picture("odd", (5, 3))[0]
    found = network.enlarge(odd)
    padded = np.pad(odd, ((0, 1), (0, 1), (0, 0)), mode="reflect")
    np.testing.assert_array_equal(found, network.enlarge(padded)[:10, :6])
    assert network.enlarge(odd[:1, :1]).shape == (2, 2, 3)
