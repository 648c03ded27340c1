"""The convolutions that Stable Diffusion 1.5 makes are timed, in the form that it takes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from bench import conv, winograd
from diffusion.models.config import VaeConfig
from diffusion.models.layers import Conv2d
from diffusion.models.unet import UNet
from diffusion.models.unet_config import UNetConfig
from diffusion.models.vae import Decoder
from gpucore import Device, f16
from gpustd.matmul.winograd import winograd_block
from tools.full_size.models import MODELS

NOWHERE = Path("config.json")
# What a configuration may leave out for diffusers, and not for us.
BLOCKS = {
    "down_block_types": [*["CrossAttnDownBlock2D"] * 3, "DownBlock2D"],
    "up_block_types": ["UpBlock2D", *["CrossAttnUpBlock2D"] * 3],
    "layers_per_block": 2,
}


@pytest.mark.parametrize(("part", "images"), [("unet", 2), ("vae", 1)])
def test_each_convolution_has_an_entry(
    part: str, images: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for those of images that are upsampled, which read other addresses."""
    sizes: set[tuple[int, int, int]] = set()

    def record_size(inputs: int, outputs: int, kernel: int, **options: Any) -> Conv2d:
        if kernel == 3 and not options.get("upsampling") and options.get("stride", 1) == 1:
            sizes.add((options["side"], inputs, outputs))
        return Conv2d(inputs, outputs, kernel, **options)

    monkeypatch.setattr("diffusion.models.resnet.Conv2d", record_size)
    config = MODELS["sd15"].parts[part]
    if part == "unet":
        UNet(UNetConfig.from_json({**BLOCKS, **config}, NOWHERE))
    else:
        Decoder(VaeConfig.from_json(config, NOWHERE))
    assert len(sizes) > 5
    timed = {entry.name for entry in (*conv.ENTRIES, *winograd.ENTRIES)}
    # The null device has matrix units, as the card has.
    device, missing = Device.null(), []
    for side, inputs, outputs in sorted(sizes):
        block = winograd_block(device, f16, inputs, outputs, side)
        form = f"winograd by {block}" if block else "conv"
        name = f"{form} 3x3 {images}x{side}x{side}x{inputs}->{outputs} f16"
        missing += [name] if name not in timed else []
    assert missing == []
