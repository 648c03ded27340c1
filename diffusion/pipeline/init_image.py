"""A picture to start from, as latents, and what an inpainting UNet reads beside them."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from diffusion.images import to_pixels
from diffusion.noise import LatentNoise
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.vae import draw_latents, moments
from diffusion.tasks.init_image import Canvas
from diffusion.tasks.inpaint import CONTENTS, latent_mask

__all__ = ["EncodedPicture", "condition", "reads_mask"]

Array = NDArray[np.float32]


class EncodedPicture:
    """A canvas on its way into the UNet. Encoded once; each image draws with its own noise.

    ``content``: a name in `CONTENTS`, what the masked part starts from.
    """

    def __init__(
        self, networks: Networks, canvas: Canvas, content: str = "original", tiling: str = "auto"
    ) -> None:
        self._networks = networks
        self._content = CONTENTS.find(content).name
        self._tiling = tiling
        self._pixels = to_pixels(canvas.image)
        self.mask: Array | None = None
        self._outside = self._pixels * np.float32(0)
        if canvas.mask is not None:
            factor = networks.folder.vae.downscale
            width, height = canvas.image.size
            self.mask = latent_mask(canvas.mask, (width // factor, height // factor))
            self._outside = self._pixels * (np.asarray(canvas.mask) < 128)[None, :, :, None]

    @functools.cached_property
    def _moments(self) -> Array:
        return moments(self._networks, self._pixels, self._tiling)

    @functools.cached_property
    def _outside_moments(self) -> Array:
        """Of the picture with its masked part grey."""
        return moments(self._networks, self._outside, self._tiling)

    def latents(self, noise: LatentNoise, first: Array) -> Array:
        """What is denoised, without noise: (B, h, w, C) f32.

        ``first``: the noise that sampling starts from, for the content ``latent_noise``.
        """
        scaling = self._networks.vae_config.scaling_factor
        drawn = draw_latents(self._moments, noise.encoding(0), scaling)
        if self.mask is None or self._content in ("original", "fill"):
            return drawn
        mask = self.mask[None, :, :, None]
        inside = first * mask if self._content == "latent_noise" else np.float32(0)
        return drawn * (1 - mask) + inside

    def condition(self, noise: LatentNoise) -> Array:
        """An inpainting UNet's further channels (B, h, w, 1 + C): mask, masked latents."""
        scaling = self._networks.vae_config.scaling_factor
        return condition(self.mask, draw_latents(self._outside_moments, noise.encoding(1), scaling))


def condition(mask: Array | None, outside: Array) -> Array:
    """Mask (h, w) (None: all is drawn) and latents (B, h, w, C) of the rest, side by side."""
    shape = (*outside.shape[:3], 1)
    channel = np.ones(shape) if mask is None else np.broadcast_to(mask[None, :, :, None], shape)
    return np.concatenate([channel, outside], axis=3).astype(np.float32)


def reads_mask(networks: Networks) -> bool:
    """Tell whether the UNet is an inpainting one: latents, mask and masked latents go in."""
    return networks.folder.unet.in_channels == 2 * networks.folder.vae.latent_channels + 1
