"""CUDA and Dawn draw the same picture, and CUDA draws the same bits again, in any batch."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from diffusion import Settings
from gpucore import Device, f32
from tests.conftest import adapters_by_engine, open_engine
from tests.diffusion.bundled_model import pipeline_on, pixels

SETTINGS = Settings("a red apple", steps=8, guidance=2, seed=3)
# Both sum in f32, in other orders, and round to 255 levels at the end.
MOST_LEVELS = 2


def test_cuda_draws_what_dawn_draws(device: Device) -> None:
    if device.info.engine != "cuda" or "dawn-vulkan" not in adapters_by_engine():
        pytest.skip("compares CUDA with Dawn")
    ours = pixels(pipeline_on(device, f32), SETTINGS).astype(int)
    theirs = pixels(pipeline_on(open_engine("dawn-vulkan"), f32), SETTINGS).astype(int)
    assert ours.std() > 10, "a picture"
    assert np.abs(ours - theirs).max() <= MOST_LEVELS


def test_batches_and_runs_have_the_same_bits(device: Device) -> None:
    if device.info.engine != "cuda":
        pytest.skip("other tests draw batches on other engines")
    pipeline = pipeline_on(device)
    four = pixels(pipeline, replace(SETTINGS, count=4))
    for images in (1, 2):
        assert np.array_equal(pixels(pipeline, replace(SETTINGS, count=images)), four[:images])
    for _ in range(19):
        assert np.array_equal(pixels(pipeline, SETTINGS), four[:1])
