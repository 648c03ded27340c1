"""A UNet drawn from a quantised file, against one with the weights that NumPy makes of it."""

from __future__ import annotations

import functools
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.checkpoints import ModelFile, ModelFolder, save_safetensors
from diffusion.checkpoints.quantizing import WEIGHT_NAMES, Rules, save_quantized
from diffusion.checkpoints.single_file.unet_file import ModelWithUnet
from diffusion.models.unet import time_features
from diffusion.pipeline.loading import load_networks
from diffusion.pipeline.networks import Networks
from gpucore import Device, f32
from tests.diffusion.golden_models import write_folder
from tests.diffusion.session_folder import session_folder
from tests.goldens.weights import normal

MODEL = "two_levels"
# The noise of normal weights, root mean square and relative, by the width of a step: of 127 steps,
# of 16 in six deviations, and of a mantissa of three bits. Layers add it up, and norms shrink it
# again: a factor of 4 either way.
NOISE = {"q8_0": 0.0055, "q4_k": 0.075, "iq4_xs": 0.075, "fp8": 0.026}


@functools.cache
def folder() -> Path:
    return write_folder(session_folder(f"{MODEL}_quantised"), MODEL)


def call_unet(networks: Networks) -> NDArray[np.float32]:
    """Return what the UNet makes of some latents, a time and a text."""
    device, unet, config = networks.device, networks.unet, networks.folder.unet
    latents = device.buffer_from_array(normal("latents", (1, 8, 8, 4)), f32)
    text = device.buffer_from_array(normal("text", (1, 7, config.cross_attention_dim)), f32)
    features = device.buffer_from_array(time_features([500.0], config), f32)
    return unet(latents, features, unet.prompt_keys(text)).read()


@pytest.mark.parametrize("weights", NOISE)
def test_a_quantised_unet_has_the_values_of_its_blocks(
    weights: str, device: Device, tmp_path: Path
) -> None:
    end = "safetensors" if weights == "fp8" else "gguf"
    path = tmp_path / f"small.{end}"
    whole = ModelFolder(folder())
    save_quantized(whole, path, Rules(WEIGHT_NAMES[weights]), lambda *_: None)
    small = ModelFile(path, tokenizer=folder() / "tokenizer")
    unet = small.weights("unet")
    tensors = {name: unet.read(name).astype(np.float32) for name in unet.entries}
    save_safetensors(tmp_path / "wide.safetensors", tensors)
    wide = ModelWithUnet(whole, tmp_path / "wide.safetensors")
    found = call_unet(load_networks(small, device, f32))
    np.testing.assert_array_equal(found, call_unet(load_networks(wide, device, f32)))
    exact = call_unet(load_networks(whole, device, f32))
    error = np.linalg.norm(found - exact) / np.linalg.norm(exact)
    assert NOISE[weights] / 4 < error < NOISE[weights] * 4
