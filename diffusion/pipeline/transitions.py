"""From one pass to the next: enlarging for hires, or handing latents over to a refiner."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.images import to_rgb
from diffusion.noise import LatentNoise
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.init_image import EncodedImage
from diffusion.pipeline.passes import Pass
from diffusion.pipeline.sampling import PassStart
from diffusion.pipeline.vae import decode
from diffusion.tasks.hires import UPSCALERS
from diffusion.tasks.init_image import PreparedImage
from diffusion.tasks.resampling import resample
from diffusion.tasks.resizing import drawn_size, fit_image
from diffusion.tasks.seamless import resize_seamless
from diffusion.upscaling import enlarge_image

__all__ = ["start_after", "start_from_picture"]


def start_after(following: Pass, latents: Latents, start: PassStart) -> PassStart:
    """Return the start of the ``following`` pass.

    ``latents``: of the pass before, whose start was ``start``.
    """
    if following.kind == "hires":
        return _enlarge(following, latents, start.noise.seeds)
    return _hand_over(following, latents, start)


def start_from_picture(hires: Pass, picture: Image.Image, seeds: tuple[int, ...]) -> PassStart:
    """Return the start of a hires pass from a picture that its first pass drew before."""
    noise, image = hires.noise(seeds), to_rgb(picture)
    enlarge = _enlarger(hires)
    if enlarge is None:
        whole = fit_image(image, drawn_size(image), "stretch")
        latents = _encode(hires, [whole] * len(seeds), _noise_of(noise, whole.size, hires))
        given = hires.networks.device.buffer_from_array(latents)
        return PassStart(noise, noise.initial(), _resample(hires, given, noise))
    larger = _encode_middle(hires, [enlarge(image)] * len(seeds), noise)
    return PassStart(noise, noise.initial(), larger)


def _enlarge(hires: Pass, latents: Latents, seeds: tuple[int, ...]) -> PassStart:
    """Return the latents enlarged to the size of a hires pass, with fresh noise."""
    noise, enlarge = hires.noise(seeds), _enlarger(hires)
    larger: NDArray[np.float32] | Latents
    if enlarge is None:
        larger = _resample(hires, latents, noise)
    else:
        drawn = decode(hires.networks, latents, hires.settings.vae_tiling)
        larger = _encode_middle(hires, (enlarge(each.image) for each in drawn), noise)
    return PassStart(noise, noise.initial(), larger)


def _resample(hires: Pass, latents: Latents, noise: LatentNoise) -> Latents:
    """Return latents enlarged by the kernel of a hires pass, and cut to the size of its noise."""
    chosen, whole = hires.settings.hires, _noise_of(noise, hires.enlarged, hires)
    assert chosen is not None
    kernel = UPSCALERS.find(str(chosen.upscaler)).kernel
    assert kernel is not None
    larger = resample(latents, (whole.height, whole.width), kernel)
    return larger if whole == noise else larger[_middle(whole, noise)]


def _encode_middle(
    hires: Pass, pictures: Iterable[Image.Image], noise: LatentNoise
) -> NDArray[np.float32]:
    """Return the latents of enlarged pictures, cut to the size of the noise."""
    whole = _noise_of(noise, hires.enlarged, hires)
    return _encode(hires, pictures, whole)[_middle(whole, noise)]


def _middle(whole: LatentNoise, part: LatentNoise) -> tuple[slice, ...]:
    """Return the key of the middle of latents (B, h, w, C); an odd rest is cut at the end."""
    top, left = (whole.height - part.height) // 2, (whole.width - part.width) // 2
    return slice(None), slice(top, top + part.height), slice(left, left + part.width)


def _enlarger(hires: Pass) -> Callable[[Image.Image], Image.Image] | None:
    """Return what enlarges a picture for a hires pass; None where latents are enlarged."""
    network, wrap = hires.upscaler, hires.settings.seamless
    if network is not None:
        return lambda image: enlarge_image(image, hires.enlarged, network, wrap)
    chosen = hires.settings.hires
    assert chosen is not None
    resampling = UPSCALERS.find(str(chosen.upscaler)).filter
    if resampling is None:
        return None
    return lambda image: resize_seamless(image, hires.enlarged, resampling, wrap)


def _noise_of(noise: LatentNoise, size: tuple[int, int], hires: Pass) -> LatentNoise:
    """Return noise for a picture of another size (width, height)."""
    width, height = (side // hires.networks.folder.vae.downscale for side in size)
    return replace(noise, height=height, width=width)


def _encode(
    hires: Pass, pictures: Iterable[Image.Image], noise: LatentNoise
) -> NDArray[np.float32]:
    """Return the latents of pictures, which are encoded one by one."""
    tiling, parts = hires.settings.vae_tiling, []
    for index, picture in enumerate(pictures):
        encoded = EncodedImage(hires.networks, PreparedImage(picture), tiling=tiling)
        own = replace(noise, seeds=noise.seeds[index : index + 1])
        parts.append(encoded.latents(own, own.initial()))
    return np.concatenate(parts)


def _hand_over(refiner: Pass, latents: Latents, start: PassStart) -> PassStart:
    """Return the base's latents, whose noise is still in them, as a refiner's start.

    A masked picture's latents are split: into its old latents, which the refiner blends in as the
    base did, and the rest.
    """
    if refiner.init_image is not None and refiner.init_image.mask is not None:
        assert isinstance(start.latents, np.ndarray)
        rest = (latents.read() - start.latents) / np.float32(refiner.schedule.noise_scale)
        return PassStart(start.noise, rest, start.latents)
    return PassStart(start.noise, np.zeros_like(start.unit_noise), latents)
