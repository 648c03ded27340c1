"""Seamless pictures: a roll of the input is a roll of the output, along wrapped axes alone.

Convolutions that wrap round, normalisation, and attention without positions all commute with a roll
by the network's downscale. Only the order of attention's sums changes. So the networks that are
compared compute in f32: f16 would round the changed sums to other numbers in each layer.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, get_args

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from diffusion import Pipeline, Settings, Step
from diffusion.errors import SettingsError
from diffusion.models.layers import Activations, Conv2d, seamless_padding
from diffusion.noise import LatentNoise
from diffusion.pipeline import transitions, vae
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.vae import decode, moments
from diffusion.tasks import Hires, InitImage, Inpaint
from diffusion.tasks.seamless import resize_seamless
from gpucore import Device, f32
from gpustd.matmul.conv import Wrap
from tests.diffusion.bundled_model import pipeline_on, pixels
from tests.diffusion.golden_models import networks
from tests.goldens.loader import channels_last
from tests.goldens.weights import initial_noise

SETTINGS = Settings("a red apple", width=96, height=64, steps=2, guidance=4.0, sampler="euler")
ROLL = {"x": 2, "y": 1}
"""Axes of (B, H, W, C)."""
STEP = 4
"""The roll in latents: the bundled UNet halves twice."""
GREY = 2
"""Grey levels by which engines and orders of summation may differ."""


@contextmanager
def rolled_noise(axis: str) -> Iterator[None]:
    """Roll all noise inside by `STEP`, that of a larger second pass in proportion."""

    def roll_draws(draw: Callable[..., NDArray[np.float32]]) -> Callable[..., NDArray[np.float32]]:
        def draw_rolled(noise: LatentNoise, *arguments: int) -> NDArray[np.float32]:
            return np.roll(draw(noise, *arguments), STEP * (noise.width // 12), ROLL[axis])

        return draw_rolled

    with pytest.MonkeyPatch.context() as patch:
        for name in ("initial", "encoding"):
            patch.setattr(LatentNoise, name, roll_draws(getattr(LatentNoise, name)))
        yield


def draw_with_rolled_noise(device: Device, settings: Settings, axis: str) -> NDArray[Any]:
    """Draw pictures with rolled noise, and roll them back."""
    with rolled_noise(axis):
        drawn = pixels(pipeline_on(device, f32), settings)
    return np.roll(drawn, -STEP * 8 * (drawn.shape[2] // 96), ROLL[axis])


def distance(a: NDArray[Any], b: NDArray[Any]) -> int:
    """Return the largest difference of two pictures in grey levels."""
    return int(np.abs(a.astype(int) - b.astype(int)).max())


def test_a_roll_of_the_noise_rolls_the_picture(device: Device) -> None:
    for seamless in get_args(Wrap):
        settings = dataclasses.replace(SETTINGS, seamless=seamless)
        drawn = pixels(pipeline_on(device, f32), settings)
        for axis in "xy":
            found = distance(draw_with_rolled_noise(device, settings, axis), drawn)
            assert found <= GREY if axis in seamless else found > 5 * GREY, (seamless, axis)


def test_captured_networks_are_kept_apart(first: Device) -> None:
    """Runs of other kinds and the same size do not change a run's picture."""
    used = Pipeline(pipeline_on(first).networks)
    axes: list[Wrap] = ["xy", "", "x", "xy"]
    for seamless in axes:
        settings = dataclasses.replace(SETTINGS, seamless=seamless)
        alone = pixels(Pipeline(used.networks), settings)
        np.testing.assert_array_equal(pixels(used, settings), alone)


def test_a_batch_and_previews(first: Device) -> None:
    pipeline = pipeline_on(first)
    two = dataclasses.replace(SETTINGS, seamless="xy", count=2)
    alone = pixels(pipeline, dataclasses.replace(two, batch=1))
    np.testing.assert_array_equal(pixels(pipeline, two), alone)
    *_, last = (each for each in pipeline.generate(two) if isinstance(each, Step))
    previews = np.stack([np.asarray(image) for image in last.preview()])
    np.testing.assert_array_equal(previews, alone)
    latents = first.buffer_from_array(last.latents())
    again = pipeline.decode(latents, seamless="xy")
    np.testing.assert_array_equal(np.stack([np.asarray(image) for image in again]), alone)


@pytest.mark.parametrize("upscaler", ["latent_nearest", "lanczos"])
def test_the_second_pass_wraps_too(
    first: Device, upscaler: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Test enlargements that commute with rolls: of latents, and of pixels that are encoded.

    Encoder and decoder hide a seam of Lanczos alone, so its axes are compared instead.
    """
    seen: list[str] = []

    def record_axes(*arguments: Any) -> Image.Image:
        seen.append(arguments[3])
        return resize_seamless(*arguments)

    monkeypatch.setattr(transitions, "resize_seamless", record_axes)
    hires = Hires(2, upscaler, 0.5, steps=1)
    settings = dataclasses.replace(SETTINGS, steps=1, seamless="xy", hires=hires)
    plain = pixels(pipeline_on(first, f32), settings)
    assert plain.shape == (1, 128, 192, 3)
    assert distance(draw_with_rolled_noise(first, settings, "x"), plain) <= GREY
    assert seen == ["xy", "xy"] * (upscaler == "lanczos")


def test_encoding_rolls(device: Device) -> None:
    """Halvings, padded on one side only, wrap round as well; in tiles, so does a single tile."""
    made = networks(device, "three_levels")
    picture = np.random.default_rng(4).uniform(-1, 1, (1, 16, 24, 3)).astype(np.float32)
    for seamless in ("xy", "x"):
        seen = dataclasses.replace(made, seamless=seamless)
        for tiling in ("off", "on"):
            plain = moments(seen, picture, tiling)
            found = moments(seen, np.roll(picture, 4, 2), tiling)
            np.testing.assert_allclose(np.roll(found, -2, 1), plain, rtol=0, atol=1e-4)
            found = moments(seen, np.roll(picture, 4, 1), tiling)
            near = np.abs(np.roll(found, -2, 0) - plain).max() < 1e-4
            assert near is np.bool_(seamless == "xy")


def in_pixels(made: Networks, latents: Latents) -> NDArray[Any]:
    return np.asarray(next(decode(made, latents, "on")).image)


def test_tiles_lie_across_the_edges(device: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three tiles of 12 latents lie on a ring of 24, 8 apart: a roll by 8 moves each to the next.

    The other axis has one tile, which wraps round by itself.
    """
    monkeypatch.setattr(vae, "TILE", 12)
    made = networks(device, "three_levels")
    noise = np.random.default_rng(2).normal(size=(1, 8, 24, 4)).astype(np.float32)
    noise *= made.folder.vae.scaling_factor
    seamless = dataclasses.replace(made, seamless="xy")
    for shift in ((0, 8), (4, 0), (4, 16)):
        turned = device.buffer_from_array(np.roll(noise, shift, (1, 2)))
        back = [-2 * each for each in shift]
        upright = device.buffer_from_array(noise)
        for seen, is_equal in ((seamless, True), (made, False)):
            found = np.roll(in_pixels(seen, turned), back, (0, 1))
            assert (distance(found, in_pixels(seen, upright)) <= 1) is is_equal, shift
    picture = np.random.default_rng(3).uniform(-1, 1, (1, 16, 48, 3)).astype(np.float32)
    found = moments(seamless, np.roll(picture, 16, 2), "on")
    plain = moments(seamless, picture, "on")
    np.testing.assert_allclose(np.roll(found, -8, 1), plain, rtol=0, atol=1e-4)


def test_a_recomputed_decoding_is_seamless_too(
    first: Device, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = dataclasses.replace(networks(first, "two_levels"), seamless="xy")
    latents = first.buffer_from_array(channels_last(initial_noise(batch=1, height=4, width=4)))
    with seamless_padding("xy"):
        expected = made.vae.decode(latents).read()
    seen = []

    def recompute(networks: Networks, _: object, x: Latents) -> tuple[Activations, str]:
        seen.append(networks.vae.decode(x).read())
        return networks.vae.decode(x), "conv_in"

    monkeypatch.setattr(vae, "FiniteCheck", lambda _: False)
    monkeypatch.setattr(vae, "recompute_in_f32", recompute)
    scaled = first.buffer_from_array(latents.read() * made.folder.vae.scaling_factor)
    assert next(decode(made, scaled)).f32_from == "conv_in"
    np.testing.assert_allclose(seen[0], expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize("resampling", [Image.Resampling.LANCZOS, Image.Resampling.NEAREST])
def test_enlarging_reads_across_the_edges(resampling: Image.Resampling) -> None:
    noise = np.random.default_rng(5).integers(0, 256, (5, 7, 3), np.uint8)
    size = (21, 10)

    def enlarge(picture: NDArray[Any], wrap: Wrap) -> NDArray[Any]:
        return np.asarray(resize_seamless(Image.fromarray(picture), size, resampling, wrap))

    plain = enlarge(noise, "")
    np.testing.assert_array_equal(
        plain, np.asarray(Image.fromarray(noise).resize(size, resampling))
    )
    for wrap, shift in (("x", (0, 3)), ("y", (2, 0)), ("xy", (1, 5))):
        there = enlarge(np.roll(noise, shift, (0, 1)), wrap)  # type: ignore[arg-type]
        back = np.roll(there, (-2 * shift[0], -3 * shift[1]), (0, 1))
        np.testing.assert_array_equal(back, enlarge(noise, wrap))  # type: ignore[arg-type]


def test_wrong_settings_are_refused(first: Device) -> None:
    picture = Image.new("RGB", (40, 24))
    mask = Image.new("L", (40, 24), 255)
    odd = Image.new("RGB", (41, 24))
    for changes, message in (
        ({"seamless": "z"}, "give x, y or xy"),
        ({"seamless": "yx"}, "give x, y or xy"),
        ({"seamless": None}, "give x, y or xy"),
        (
            {"init_image": InitImage(picture, inpaint=Inpaint(mask, area="masked"))},
            "choose area whole",
        ),
        (
            {"init_image": InitImage(odd, resize="pad"), "width": None, "height": None},
            "give a size",
        ),
    ):
        settings = dataclasses.replace(SETTINGS, **{"seamless": "xy", **changes})  # type: ignore[arg-type]
        with pytest.raises(SettingsError, match=message):
            next(pipeline_on(first).generate(settings))
    even = InitImage(picture, resize="pad")
    settings = dataclasses.replace(
        SETTINGS, width=None, height=None, init_image=even, seamless="xy"
    )
    settings.with_defaults(pipeline_on(first).defaults)


def test_a_convolution_is_as_before_outside(first: Device) -> None:
    """Axes hold inside the block alone, also in nested blocks."""
    layer = Conv2d(1, 1, 3, padding=1)
    layer.weight.fill(np.ones((1, 1, 3, 3), np.float32), first, f32)
    assert layer.bias is not None
    layer.bias.fill(np.zeros(1, np.float32), first, f32)
    x = first.buffer_from_array(np.arange(12, dtype=np.float32).reshape(1, 3, 4, 1))
    plain = layer(x).read()
    with seamless_padding("xy"):
        ring = layer(x).read()
        with seamless_padding(""):
            np.testing.assert_array_equal(layer(x).read(), plain)
        np.testing.assert_array_equal(layer(x).read(), ring)
    np.testing.assert_array_equal(layer(x).read(), plain)
    assert ring[0, 0, 0, 0] == 0 + 1 + 3 + 4 + 5 + 7 + 8 + 9 + 11
