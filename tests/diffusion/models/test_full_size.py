"""The published models at full size: our parameters are those that diffusers lists."""

from __future__ import annotations

from pathlib import Path

import pytest

from diffusion.models.clip import ClipTextModel, ProjectedClipTextModel
from diffusion.models.config import ClipTextConfig, TinyVaeConfig, VaeConfig
from diffusion.models.module import Module
from diffusion.models.tiny_vae import TinyVae
from diffusion.models.unet import UNet
from diffusion.models.unet_config import UNetConfig
from diffusion.models.vae import Vae
from tests.goldens.full_size import TEXT_ENCODERS, TINY_VAES, UNETS, VAES, parameters

FILE = Path("config.json")
# diffusers' own defaults, which its files always hold.
SD1_BLOCKS = {
    "block_out_channels": [320, 640, 1280, 1280],
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
}


def shapes_of(module: Module) -> dict[str, tuple[int, ...]]:
    return {name: parameter.shape for name, parameter in module.parameters()}


@pytest.mark.parametrize("name", UNETS)
def test_unet(name: str) -> None:
    config = UNetConfig.from_json({**SD1_BLOCKS, **UNETS[name]}, FILE)
    assert shapes_of(UNet(config)) == parameters(name)


@pytest.mark.parametrize("name", TEXT_ENCODERS)
def test_text_encoder(name: str) -> None:
    config = ClipTextConfig.from_json(TEXT_ENCODERS[name], FILE)
    network = ProjectedClipTextModel if name == "open_clip_bigg" else ClipTextModel
    assert shapes_of(network(config)) == parameters(name)


@pytest.mark.parametrize("name", VAES)
def test_vae(name: str) -> None:
    assert shapes_of(Vae(VaeConfig.from_json(VAES[name], FILE))) == parameters(name)


@pytest.mark.parametrize("name", TINY_VAES)
def test_tiny_vae(name: str) -> None:
    assert shapes_of(TinyVae(TinyVaeConfig.from_json(TINY_VAES[name], FILE))) == parameters(name)
