"""The share of a UNet that all parts of a prompt have in common is computed once, bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.models.unet import UNet, guidance_features, time_features
from diffusion.models.unet_config import UNetConfig
from gpucore import Buffer, Device, f32
from tests.diffusion import golden_models
from tests.diffusion.pipeline.test_goldens_families import unet_on
from tests.goldens.configs import MODELS
from tests.goldens.families import WITH_UNET

IMAGES, PARTS, TOKENS = 2, 3, 9


def unet_and_config(device: Device, model: str) -> tuple[UNet, UNetConfig]:
    if model in MODELS:
        made = golden_models.networks(device, model, f32)
        return made.unet, made.folder.unet
    return unet_on(device, model, f32)


@pytest.mark.parametrize(
    "model",
    [
        model if model == "two_levels" else pytest.param(model, marks=pytest.mark.slow)
        for model in [*MODELS, *WITH_UNET]
    ],
)
def test_parts_see_the_same_images(device: Device, model: str) -> None:
    unet, config = unet_and_config(device, model)
    rng = np.random.default_rng(11)
    rows = IMAGES * PARTS

    def up(array: NDArray[Any]) -> Buffer[f32]:
        return device.buffer_from_array(array.astype(np.float32))

    latents = rng.standard_normal((IMAGES, 8, 12, config.in_channels))
    features = time_features([300.0, 700.0], config)
    prompt = unet.prompt_keys(up(rng.standard_normal((rows, TOKENS, config.cross_attention_dim))))
    special: dict[str, Buffer[Any]] = {}
    if width := config.projection_class_embeddings_input_dim:
        special["added"] = unet.embed_added(up(rng.standard_normal((rows, width))))
    if config.time_cond_proj_dim:
        scales = [guidance_features(scale, config) for scale in range(2, 2 + rows)]
        special["guidance"] = up(np.stack(scales))
    once = unet(up(latents), up(features), prompt, parts=PARTS, **special).read()
    again = np.tile(latents, (PARTS, 1, 1, 1)), np.tile(features, (PARTS, 1))
    np.testing.assert_array_equal(once, unet(up(again[0]), up(again[1]), prompt, **special).read())
    assert len({row.tobytes() for row in once}) == rows
