"""The LoRA that comes with the bundled model."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from diffusion import Pipeline, Settings
from diffusion.checkpoints.bundled import BUNDLED, bundled_loras, bundled_model
from gpucore import Device


def test_the_bundled_model_alone_brings_loras() -> None:
    assert bundled_loras(None) == bundled_loras(BUNDLED) == bundled_model() / "loras"
    assert bundled_loras("owner/name") is None
    assert bundled_loras(Path("model.safetensors")) is None


def test_neon_turns_the_light_off(first: Device) -> None:
    settings = Settings("a cat", steps=2, seed=1, width=128, height=128)
    with Pipeline.load(device=first) as pipeline:
        plain = np.asarray(pipeline.draw(settings)[0]).mean()
        tagged = Settings("a cat <lora:neon:1>", steps=2, seed=1, width=128, height=128)
        assert np.asarray(pipeline.draw(tagged)[0]).mean() < plain / 2
