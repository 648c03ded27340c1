"""UNet calls with ControlNet-XS against diffusers.

Tolerance: 1e-4 relative in f32, as for the UNet alone.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diffusion.models.module import load
from diffusion.models.unet import Residuals, UNet, size_features, time_features
from diffusion.models.unet_config import UNetConfig
from diffusion.models.xs import ControlXs, XsConfig, XsRun
from gpucore import Device, DType, f16, f32
from tests.conftest import skip_without_f16
from tests.diffusion.control.golden_xs import write_xs
from tests.goldens import control_cases
from tests.goldens import xs_cases as cases
from tests.goldens.loader import channels_last, relative_error
from tests.goldens.loader import load as load_golden

TOLERANCE = 1e-4


def call(device: Device, folder: Path, name: str, scale: float, dtype: type[DType] = f32) -> Any:
    """Return the output of a UNet beside an adapter of a strength."""
    config = UNetConfig.from_json(cases.base_config(name), "config.json")
    unet = UNet(config)
    load(unet, cases.base_parameters(name).__getitem__, device, dtype)
    own = XsConfig.from_json(cases.saved(name)["config"], write_xs(folder, name))
    network = ControlXs(own)
    load(network, cases.parameters(name).__getitem__, device, dtype)
    inputs = control_cases.call_inputs(cases.base_config(name))
    images = control_cases.IMAGES
    pixels = channels_last(cases.picture(name))
    pixels = pixels[..., ::-1] if own.swaps_colours else pixels

    def upload(array: Any) -> Any:
        return device.buffer_from_array(np.ascontiguousarray(array), dtype)

    context = upload(inputs["encoder_hidden_states"])
    strengths = [upload(np.full((1, 1, 1, 1), scale)) for _ in range(network.layers)]
    picture = network.read_picture(upload(pixels))
    run = XsRun(network, picture, network.prompt_keys(context), strengths)
    added = None
    if "added_cond_kwargs" in inputs:
        more = inputs["added_cond_kwargs"]
        sizes = [size_features(row, config) for row in more["time_ids"]]
        rows = np.concatenate([more["text_embeds"], np.stack(sizes)], axis=1)
        added = unet.embed_added(upload(rows))
    return unet(
        upload(channels_last(inputs["sample"])[:images]),
        upload(time_features([control_cases.TIME] * images, config)),
        unet.prompt_keys(context),
        parts=control_cases.PROMPTS,
        added=added,
        residuals=Residuals(companions=[run]),
    ).read()


@pytest.mark.parametrize("name", cases.XS)
def test_calls(device: Device, name: str, tmp_path: Path) -> None:
    expected = channels_last(load_golden("control_xs")[f"{name}/out"])
    assert relative_error(call(device, tmp_path, name, cases.SCALE), expected) < TOLERANCE
    assert relative_error(call(device, tmp_path, name, 0.0), expected) > 0.01  # it matters


def test_f16(device: Device, tmp_path: Path) -> None:
    """The tolerance is that of the UNet's own test."""
    skip_without_f16(device, "f16")
    expected = channels_last(load_golden("control_xs")["xs_sd2/out"])
    found = call(device, tmp_path, "xs_sd2", cases.SCALE, f16)
    assert relative_error(found, expected) < 1e-2
