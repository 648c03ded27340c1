"""UNet and VAE that wrap round against diffusers with circular padding, on every engine.

Tolerances as in `test_goldens`.
"""

from __future__ import annotations

import pytest

from diffusion.models.layers import seamless_padding
from diffusion.models.unet import time_features
from gpucore import Device, DType
from gpustd.matmul.conv import Wrap
from tests.diffusion.golden_models import networks
from tests.diffusion.models.test_goldens import DTYPES, TOLERANCE, need
from tests.goldens.loader import channels_last, load, relative_error
from tests.goldens.seamless_cases import AXES, UNETS, VAES


def axes_of(name: str) -> Wrap:
    """Return the axes in a case's name."""
    return {axes: axes for axes in AXES}[name.partition("/")[0]]


@DTYPES
@pytest.mark.parametrize("name", UNETS)
def test_unet(device: Device, name: str, dtype: type[DType]) -> None:
    need(device, dtype)
    case = UNETS[name]
    made = networks(device, case.model, dtype)
    latents = device.buffer_from_array(channels_last(case.latents()), dtype)
    features = time_features([case.timestep] * case.batch, made.folder.unet)
    prompt = made.unet.prompt_keys(device.buffer_from_array(case.text(), dtype))
    with seamless_padding(axes_of(name)):
        output = made.unet(latents, device.buffer_from_array(features, dtype), prompt).read()
    expected = channels_last(load("seamless")[name])
    assert relative_error(output, expected) < TOLERANCE[dtype]
    plain = channels_last(load("unet")[case.name])
    assert relative_error(output, plain) > 2 * TOLERANCE[dtype]


@DTYPES
@pytest.mark.parametrize("name", VAES)
def test_vae(device: Device, name: str, dtype: type[DType]) -> None:
    need(device, dtype)
    case = VAES[name]
    made = networks(device, case.model, dtype)
    latents = device.buffer_from_array(channels_last(case.latents()), dtype)
    with seamless_padding(axes_of(name)):
        moments = made.encode_images(channels_last(case.image()))
        decoded = made.vae.decode(latents).read()
    for part, found in (("moments", moments), ("decoded", decoded)):
        expected = channels_last(load("seamless")[f"{name}/{part}"])
        assert relative_error(found, expected) < TOLERANCE[dtype]
        plain = channels_last(load("vae")[f"{case.name}/{part}"])
        assert relative_error(found, plain) > 2 * TOLERANCE[dtype]
