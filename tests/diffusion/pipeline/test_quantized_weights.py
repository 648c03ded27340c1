"""The bundled model with quantised weights: its memory, its text, its LoRAs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from diffusion import Pipeline, Settings
from diffusion.errors import SettingsError
from gpucore import Device, f32
from tests.diffusion.bundled_model import pipeline_on, pixels

NEON = Settings("a red apple <lora:neon:1>", width=64, height=64, steps=1, seed=5)


@pytest.fixture
def pipeline(device: Device) -> Iterator[Pipeline]:
    found = Pipeline.load(device=device, dtype="f32", weights="Q8_0")
    yield found
    found.release()


def test_weights_take_less_than_half_the_memory(device: Device, pipeline: Pipeline) -> None:
    whole = pipeline_on(device, f32)
    device.synchronize()
    before = device.memory.live
    again = Pipeline.load(device=device, dtype="f32")
    plain = device.memory.live - before
    again.release()
    del again
    before = device.memory.live
    kept = Pipeline.load(device=device, dtype="f32", weights="q8_0")
    assert device.memory.live - before < plain / 2
    assert kept.networks.has_quantized_weights
    assert not whole.networks.has_quantized_weights


def test_pictures_with_loras(pipeline: Pipeline, device: Device) -> None:
    """They stand beside the layers, and nothing is merged; the text names the format."""
    assert pipeline.loras.merging(NEON) == ()
    result = pixels(pipeline, NEON).astype(int)
    plain = pixels(pipeline_on(device, f32), NEON).astype(int)
    without = pixels(pipeline, replace(NEON, prompt="a red apple"))
    # A Q8_0 weight is off by half a percent; one step at this size lets that grow.
    assert 3 * np.abs(result - plain).mean() < np.abs(result - without).mean()
    (picture,) = pipeline.draw(NEON)
    assert "Weights: q8_0" in picture.infotext


def test_loras_are_not_merged(pipeline: Pipeline) -> None:
    pipeline.loras.mode = "merge"
    with pytest.raises(SettingsError, match="quantised weights take none"):
        pipeline.draw(NEON)


@pytest.mark.parametrize("name", ["q9", "", 8])
def test_formats_that_there_are_not(name: Any) -> None:
    with pytest.raises(SettingsError, match="must be one of f16, fp8"):
        Pipeline.load(device=Device.null(), weights=name)
