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
        latents = _encode(hires, [whole] * len(seeds), _noise_of(noise, whole, hires))
        kernel = _kernel(hires)
        assert kernel is not None
        larger = resample(
            hires.networks.device.buffer_from_array(latents), (noise.height, noise.width), kernel
        )
        return PassStart(noise, noise.initial(), larger)
    return PassStart(noise, noise.initial(), _encode(hires, [enlarge(image)] * len(seeds), noise))


def _enlarge(hires: Pass, latents: Latents, seeds: tuple[int, ...]) -> PassStart:
    """Return the latents enlarged to the size of a hires pass, with fresh noise."""
    noise, enlarge = hires.noise(seeds), _enlarger(hires)
    larger: NDArray[np.float32] | Latents
    if enlarge is None:
        kernel = _kernel(hires)
        assert kernel is not None
        larger = resample(latents, (noise.height, noise.width), kernel)
    else:
        drawn = decode(hires.networks, latents, hires.settings.vae_tiling)
        larger = _encode(hires, (enlarge(each.image) for each in drawn), noise)
    return PassStart(noise, noise.initial(), larger)


def _kernel(hires: Pass) -> str | None:
    """Return the kernel that enlarges latents; None where pixels are enlarged."""
    chosen = hires.settings.hires
    assert chosen is not None
    return None if hires.upscaler is not None else UPSCALERS.find(str(chosen.upscaler)).kernel


def _enlarger(hires: Pass) -> Callable[[Image.Image], Image.Image] | None:
    """Return what enlarges a picture to the size of a hires pass; None where latents are."""
    network, wrap = hires.upscaler, hires.settings.seamless
    if network is not None:
        return lambda image: enlarge_image(image, hires.size, network, wrap)
    chosen = hires.settings.hires
    assert chosen is not None
    resampling = UPSCALERS.find(str(chosen.upscaler)).filter
    if resampling is None:
        return None
    return lambda image: resize_seamless(image, hires.size, resampling, wrap)


def _noise_of(noise: LatentNoise, picture: Image.Image, hires: Pass) -> LatentNoise:
    """Return noise for a picture of another size."""
    downscale = hires.networks.folder.vae.downscale
    return replace(noise, height=picture.height // downscale, width=picture.width // downscale)


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
