"""Text encoder, UNet and VAE against diffusers and transformers, on every engine.

Tolerances: 1e-4 relative in f32 (the same networks in PyTorch f32 are 2e-6 off the golden float64
values; the factor covers another order of summation), 1e-2 in f16 (PyTorch f16: 3.5e-3).
"""

from __future__ import annotations

import numpy as np
import pytest

from diffusion.models.unet import time_features
from gpucore import Device, DType, f16, f32
from tests.conftest import skip_without_f16
from tests.diffusion.golden_models import networks
from tests.goldens.cases import TEXT_PROMPTS, UNET_CASES, VAE_CASES, UNetCase, VAECase
from tests.goldens.configs import MODELS
from tests.goldens.loader import channels_last, load, relative_error

TOLERANCE: dict[type[DType], float] = {f32: 1e-4, f16: 1e-2}
DTYPES = pytest.mark.parametrize("dtype", [f32, f16], ids=lambda d: d.name)


def need(device: Device, dtype: type[DType]) -> None:
    skip_without_f16(device, dtype.name)


@DTYPES
@pytest.mark.parametrize("model", MODELS)
def test_text(device: Device, model: str, dtype: type[DType]) -> None:
    need(device, dtype)
    made = networks(device, model, dtype)
    golden = load("text")
    np.testing.assert_array_equal(made.tokenizer(list(TEXT_PROMPTS)), golden[f"{model}/ids"])
    states = made.encode_text(list(TEXT_PROMPTS)).read()
    assert relative_error(states, golden[f"{model}/states"]) < TOLERANCE[dtype]


@DTYPES
@pytest.mark.parametrize("case", UNET_CASES, ids=lambda case: case.name)
def test_unet(device: Device, case: UNetCase, dtype: type[DType]) -> None:
    need(device, dtype)
    made = networks(device, case.model, dtype)
    latents = device.buffer_from_array(channels_last(case.latents()), dtype)
    text = device.buffer_from_array(case.text(), dtype)
    features = time_features([case.timestep] * case.batch, made.folder.unet)
    prompt = made.unet.prompt_keys(text)
    output = made.unet(latents, device.buffer_from_array(features, dtype), prompt).read()
    expected = channels_last(load("unet")[case.name])
    assert relative_error(output, expected) < TOLERANCE[dtype]


@DTYPES
@pytest.mark.parametrize("case", VAE_CASES, ids=lambda case: case.name)
def test_vae(device: Device, case: VAECase, dtype: type[DType]) -> None:
    need(device, dtype)
    made = networks(device, case.model, dtype)
    moments = made.encode_images(channels_last(case.image()))
    expected = channels_last(load("vae")[f"{case.name}/moments"])
    assert relative_error(moments, expected) < TOLERANCE[dtype]
    latents = device.buffer_from_array(channels_last(case.latents()), dtype)
    decoded = made.vae.decode(latents).read()
    expected = channels_last(load("vae")[f"{case.name}/decoded"])
    assert relative_error(decoded, expected) < TOLERANCE[dtype]
