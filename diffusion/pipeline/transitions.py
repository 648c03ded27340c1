"""From one pass to the next: enlarging for hires, or handing latents over to a refiner."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.noise import LatentNoise
from diffusion.pipeline.denoiser import Latents
from diffusion.pipeline.init_image import EncodedImage
from diffusion.pipeline.passes import Pass
from diffusion.pipeline.sampling import PassStart
from diffusion.pipeline.vae import decode
from diffusion.tasks.hires import UPSCALERS
from diffusion.tasks.init_image import PreparedImage
from diffusion.tasks.resampling import resample
from diffusion.tasks.seamless import resize_seamless
from diffusion.upscaling import enlarge_image

__all__ = ["start_after"]


def start_after(following: Pass, latents: Latents, start: PassStart) -> PassStart:
    """Return the start of the ``following`` pass.

    ``latents``: of the pass before, whose start was ``start``.
    """
    if following.kind == "hires":
        return _enlarge(following, latents, start.noise.seeds)
    return _hand_over(following, latents, start)


def _enlarge(hires: Pass, latents: Latents, seeds: tuple[int, ...]) -> PassStart:
    """Return the latents enlarged to the size of a hires pass, with fresh noise."""
    assert hires.settings.hires is not None
    noise, wrap = hires.noise(seeds), hires.settings.seamless
    larger: NDArray[np.float32] | Latents
    if hires.upscaler is not None:
        network = hires.upscaler
        larger = _enlarge_pixels(
            hires, latents, noise, lambda image: enlarge_image(image, hires.size, network, wrap)
        )
        return PassStart(noise, noise.initial(), larger)
    upscaler = UPSCALERS.find(str(hires.settings.hires.upscaler))
    if upscaler.kernel is not None:
        larger = resample(latents, (noise.height, noise.width), upscaler.kernel)
    else:
        assert upscaler.filter is not None
        resampling = upscaler.filter
        larger = _enlarge_pixels(
            hires,
            latents,
            noise,
            lambda image: resize_seamless(image, hires.size, resampling, wrap),
        )
    return PassStart(noise, noise.initial(), larger)


def _enlarge_pixels(
    hires: Pass,
    latents: Latents,
    noise: LatentNoise,
    enlarge: Callable[[Image.Image], Image.Image],
) -> NDArray[np.float32]:
    """Return the latents of the decoded pictures, which ``enlarge`` makes larger one by one."""
    settings, networks = hires.settings, hires.networks
    parts = []
    for index, decoded in enumerate(decode(networks, latents, settings.vae_tiling)):
        prepared = PreparedImage(enlarge(decoded.image))
        encoded = EncodedImage(networks, prepared, tiling=settings.vae_tiling)
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
