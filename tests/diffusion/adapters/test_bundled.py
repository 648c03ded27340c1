"""The LoRA and the control network that come with the bundled model."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image, ImageDraw

from diffusion import Pipeline, Settings
from diffusion.checkpoints.bundled import BUNDLED, bundled_controls, bundled_loras, bundled_model
from diffusion.control import Control
from gpucore import Device


@pytest.mark.parametrize(
    ("find", "name"), [(bundled_loras, "loras"), (bundled_controls, "controls")]
)
def test_the_bundled_model_alone_brings_adapters(
    find: Callable[[str | Path | None], Path | None], name: str
) -> None:
    assert find(None) == find(BUNDLED) == bundled_model() / name
    assert find("owner/name") is None
    assert find(Path("model.safetensors")) is None


def test_neon_turns_the_light_off(first: Device) -> None:
    settings = Settings("a cat", steps=2, seed=1, width=128, height=128)
    with Pipeline.load(device=first) as pipeline:
        plain = np.asarray(pipeline.draw(settings)[0]).mean()
        tagged = Settings("a cat <lora:neon:1>", steps=2, seed=1, width=128, height=128)
        assert np.asarray(pipeline.draw(tagged)[0]).mean() < plain / 2


def test_edges_put_the_picture_inside_the_lines(first: Device) -> None:
    lines = Image.new("L", (128, 128))
    ImageDraw.Draw(lines).ellipse((6, 6, 58, 58), outline="white")
    control = Control("edges", lines.convert("RGB"))
    settings = Settings("a red ball", steps=4, seed=1, width=128, height=128, controls=(control,))
    with Pipeline.load(device=first) as pipeline:
        (picture,) = pipeline.draw(settings)
    ink = 255 - np.asarray(picture.convert("L"), np.float64)
    inside, outside = ink[12:52, 12:52].mean(), ink[70:, 70:].mean()
    assert inside > 5 * outside
