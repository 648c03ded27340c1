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
def made(device: Device, tmp_path: Path) -> Networks:
    """A golden model of its own."""
    write_model(tmp_path, "two_levels")
    return load_networks(ModelFolder(tmp_path), device, f32)


def noise(device: Device, *shape: int) -> Activations:
    return device.buffer_from_array(np.random.default_rng(3).standard_normal(shape), f32)


def ways(made: Networks) -> list[tuple[Callable[..., Activations], Callable[..., Activations]]]:
    """Captured and direct, decoding and encoding."""
    own, vae = made.autoencoder, made.vae
    return [(own.decode, vae.decode), (own.moments, vae.moments)]


@pytest.mark.parametrize("wrap", ["", "xy"])
def test_a_captured_way_gives_the_bits_of_a_direct_one(made: Networks, wrap: Wrap) -> None:
    factor = made.folder.vae.downscale
    for height, width in SIZES:
        latents = noise(made.device, 1, height, width, 4)
        images = noise(made.device, 1, height * factor, width * factor, 3)
        for x, (captured, direct) in zip((latents, images), ways(made), strict=True):
            with seamless_padding("" if wrap else "xy"):
                captured(x)  # an earlier one, along other axes
            with seamless_padding(wrap):
                found = captured(x).read()
                np.testing.assert_array_equal(found, direct(x).read())


def test_the_last_few_are_kept(made: Networks, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(made.autoencoder.graphs, "most", 1)
    before = made.device.memory.live

    def live(height: int, width: int) -> int:
        latents = noise(made.device, 1, height, width, 4)
        made.autoencoder.decode(latents)
        latents.release()
        return made.device.memory.live

    one = live(4, 4)
    assert live(8, 8) > one > before
    assert live(4, 4) == one
    made.release()
    assert made.device.memory.live == before


def test_what_is_made_of_large_pictures_is_not_kept(
    made: Networks, monkeypatch: pytest.MonkeyPatch
) -> None:
    latents = noise(made.device, 1, 4, 4, 4)
    wanted = made.autoencoder.decode(latents).read()
    made.release()
    before = made.device.memory.live
    monkeypatch.setattr(made.autoencoder.graphs, "largest", wanted.size // 3 - 1)
    result = made.autoencoder.decode(latents)
    np.testing.assert_array_equal(result.read(), wanted)
    result.release()
    assert made.device.memory.live == before


def test_weights_written_anew_count_after_a_release(made: Networks) -> None:
    latents = noise(made.device, 1, 4, 4, 4)
    first = made.autoencoder.decode(latents).read()
    bias = dict(made.vae.parameters())["decoder.conv_out.bias"]
    bias.fill(bias.buffer.read() + 1, made.device, f32)
    made.release()
    np.testing.assert_allclose(made.autoencoder.decode(latents).read(), first + 1, atol=1e-5)


def test_pictures_of_all_sizes_are_those_of_a_fresh_pipeline(first: Device) -> None:
    """Graphs of several sizes and ways come and go; each picture has the bits that it has alone."""
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

    def drawn(settings: Settings) -> NDArray[Any]:
        return np.stack([np.asarray(image) for image in pipeline.draw(settings)])

    wanted = []
    for settings in chosen:
        pipeline.release()
        wanted.append(drawn(settings))
    for index in (0, 1, 0, 2, 3, 1, 4, 0, 2):
        np.testing.assert_array_equal(drawn(chosen[index]), wanted[index])


def test_a_picture_takes_the_memory_of_its_largest_network() -> None:
    """Beside the weights: UNet and autoencoder run in one memory."""
    settings = replace(SMALL, width=256, height=256)

    def beyond(draw: Callable[[Pipeline], object]) -> int:
        """Bytes reserved for it."""
        pipeline = Pipeline.load(device=Device.null())
        pipeline.device.trim()
        weights = pipeline.device.memory.reserved
        draw(pipeline)
        return pipeline.device.memory.reserved - weights

    def unet(pipeline: Pipeline) -> object:
        return next(each for each in pipeline.generate(settings) if isinstance(each, Step))

    def vae(pipeline: Pipeline) -> object:
        latents = pipeline.device.buffer(pipeline.networks.dtype, (1, 32, 32, 4))
        return pipeline.networks.autoencoder.decode(latents)

    both = beyond(lambda pipeline: pipeline.draw(settings))
    # What the UNet adds is what outlives a step: the prompt's keys and values, latents.
    assert both < beyond(vae) + 0.5 * beyond(unet)
