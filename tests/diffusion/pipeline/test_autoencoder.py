"""Captured autoencoders: the bits of direct calls, memory shared with the denoisers."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion import Pipeline, Settings, Step
from diffusion.checkpoints import ModelFolder
from diffusion.models.layers import Activations, seamless_padding
from diffusion.pipeline.loading import load_networks
from diffusion.pipeline.networks import Networks
from diffusion.tasks import Hires, InitImage
from gpucore import Device, f32
from gpustd.matmul.conv import Wrap
from tests.goldens.folders import write_model

SMALL = Settings("a red apple", "blurry", width=64, height=48, steps=2, guidance=4.0, seed=5)
SIZES = [(4, 4), (3, 5), (4, 4)]


@pytest.fixture
def model(device: Device, tmp_path: Path) -> Networks:
    """Load a golden model for one test."""
    write_model(tmp_path, "two_levels")
    return load_networks(ModelFolder(tmp_path), device, f32)


def noise(device: Device, *shape: int) -> Activations:
    return device.buffer_from_array(np.random.default_rng(3).standard_normal(shape), f32)


def functions(
    model: Networks,
) -> list[tuple[Callable[..., Activations], Callable[..., Activations]]]:
    """Return captured and direct functions, for decoding and for encoding."""
    captured, vae = model.autoencoder, model.vae
    return [(captured.decode, vae.decode), (captured.moments, vae.moments)]


@pytest.mark.parametrize("wrap", ["", "xy"])
def test_a_captured_vae_gives_the_bits_of_a_direct_one(model: Networks, wrap: Wrap) -> None:
    factor = model.folder.vae.downscale
    for height, width in SIZES:
        latents = noise(model.device, 1, height, width, 4)
        images = noise(model.device, 1, height * factor, width * factor, 3)
        for x, (captured, direct) in zip((latents, images), functions(model), strict=True):
            with seamless_padding("" if wrap else "xy"):
                captured(x)  # an earlier call, along other axes
            with seamless_padding(wrap):
                found = captured(x).read()
                np.testing.assert_array_equal(found, direct(x).read())


def test_the_last_few_are_kept(model: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(model.autoencoder.graphs, "most", 1)
    before = model.device.memory.live

    def live(height: int, width: int) -> int:
        latents = noise(model.device, 1, height, width, 4)
        model.autoencoder.decode(latents)
        latents.release()
        return model.device.memory.live

    one = live(4, 4)
    assert live(8, 8) > one > before
    assert live(4, 4) == one
    model.release()
    assert model.device.memory.live == before


def test_graphs_of_large_pictures_are_not_kept(
    model: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = noise(model.device, 1, 4, 4, 4)
    expected = model.autoencoder.decode(latents).read()
    model.release()
    before = model.device.memory.live
    monkeypatch.setattr(model.autoencoder.graphs, "largest", expected.size // 3 - 1)
    result = model.autoencoder.decode(latents)
    np.testing.assert_array_equal(result.read(), expected)
    result.release()
    assert model.device.memory.live == before


def test_changed_weights_count_after_a_release(model: Networks) -> None:
    latents = noise(model.device, 1, 4, 4, 4)
    first = model.autoencoder.decode(latents).read()
    bias = dict(model.vae.parameters())["decoder.conv_out.bias"]
    bias.fill(bias.buffer.read() + 1, model.device, f32)
    model.release()
    np.testing.assert_allclose(model.autoencoder.decode(latents).read(), first + 1, atol=1e-5)


def test_pictures_of_all_sizes_are_those_of_a_fresh_pipeline(first: Device) -> None:
    """Each picture has the bits that it has alone, while graphs of several sizes come and go."""
    pipeline = Pipeline.load(device=first)
    picture = pipeline.draw(SMALL)[0]
    wide = replace(SMALL, width=96)
    chosen = [
        SMALL,
        wide,
        replace(SMALL, init_image=InitImage(picture, 0.7)),
        replace(SMALL, hires=Hires(1.5, "lanczos", 0.5)),
        replace(SMALL, count=2, batch=2, seamless="x"),
    ]

    def draw(settings: Settings) -> NDArray[Any]:
        return np.stack([np.asarray(image) for image in pipeline.draw(settings)])

    expected = []
    for settings in chosen:
        pipeline.release()
        expected.append(draw(settings))
    for index in (0, 1, 0, 2, 3, 1, 4, 0, 2):
        np.testing.assert_array_equal(draw(chosen[index]), expected[index])


def test_a_picture_takes_the_memory_of_its_largest_network() -> None:
    """UNet and autoencoder run in the same memory, beside the weights."""
    settings = replace(SMALL, width=256, height=256)

    def reserved_for(draw: Callable[[Pipeline], object]) -> int:
        """Return the bytes reserved beside the weights."""
        pipeline = Pipeline.load(device=Device.null())
        pipeline.device.trim()
        weights = pipeline.device.memory.reserved
        draw(pipeline)
        return pipeline.device.memory.reserved - weights

    def run_unet(pipeline: Pipeline) -> object:
        return next(each for each in pipeline.generate(settings) if isinstance(each, Step))

    def run_vae(pipeline: Pipeline) -> object:
        latents = pipeline.device.buffer(pipeline.networks.dtype, (1, 32, 32, 4))
        return pipeline.networks.autoencoder.decode(latents)

    together = reserved_for(lambda pipeline: pipeline.draw(settings))
    # The UNet adds only what outlives a step: the prompt's keys and values, and latents.
    assert together < reserved_for(run_vae) + 0.5 * reserved_for(run_unet)
