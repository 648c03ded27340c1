"""An init image as latents, and the channels that an inpainting UNet reads beside them."""

from __future__ import annotations

import functools
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diffusion.images import to_pixels
from diffusion.noise import LatentNoise
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.vae import draw_latents, moments
from diffusion.tasks.init_image import PreparedImage
from diffusion.tasks.inpaint import CONTENTS, latent_mask
from diffusion.tasks.resampling import weights

__all__ = ["EncodedImage", "join_mask", "reads_mask"]

Array = NDArray[np.float32]


class EncodedImage:
    """The latents of a prepared image. It is encoded once; each image draws with its own noise.

    ``content``: a name in `CONTENTS`, which says what the masked part starts from. ``soft``: as of
    `latent_mask`.
    """

    def __init__(
        self,
        networks: Networks,
        prepared: PreparedImage,
        content: str = "original",
        tiling: str = "auto",
        *,
        soft: bool = False,
    ) -> None:
        self.prepared = prepared
        self._networks = networks
        self._content = CONTENTS.find(content).name
        self._tiling = tiling
        self._pixels = to_pixels(prepared.image)
        self.mask: Array | None = None
        self._pixels_outside_mask = self._pixels * np.float32(0)
        if prepared.mask is not None:
            factor = networks.folder.vae.downscale
            width, height = prepared.image.size
            self.mask = latent_mask(prepared.mask, (width // factor, height // factor), soft=soft)
            outside = (np.asarray(prepared.mask) < 128)[None, :, :, None]
            self._pixels_outside_mask = self._pixels * outside

    @functools.cached_property
    def _moments(self) -> Array:
        return moments(self._networks, self._pixels, self._tiling)

    @functools.cached_property
    def _moments_outside_mask(self) -> Array:
        """The moments of the image with its masked part grey."""
        return moments(self._networks, self._pixels_outside_mask, self._tiling)

    def latents(self, noise: LatentNoise, unit_noise: Array) -> Array:
        """Return the latents (B, h, w, C) in f32 that sampling starts from, without its noise.

        ``unit_noise``: the noise that will be added, for the content ``latent_noise``.
        """
        drawn = self._draw(self._moments, noise, 0)
        if self.mask is None or self._content in ("original", "fill"):
            return drawn
        mask = self.mask[None, :, :, None]
        inside = unit_noise * mask if self._content == "latent_noise" else np.float32(0)
        return drawn * (1 - mask) + inside

    def mask_channels(self, noise: LatentNoise) -> Array:
        """Return an inpainting UNet's further channels (B, h, w, 1 + C): mask, masked latents."""
        outside = self._draw(self._moments_outside_mask, noise, 1)
        return join_mask(None if self.mask is None else np.round(self.mask), outside)

    def _draw(self, moments: Array, noise: LatentNoise, number: int) -> Array:
        """Return latents drawn from moments, at the size of the noise."""
        scaling = self._networks.vae_config.scaling_factor
        if self.prepared.latents is None:
            return draw_latents(moments, noise.encoding(number), scaling)
        height, width = moments.shape[:2]
        own = replace(noise, height=height, width=width)
        drawn = draw_latents(moments, own.encoding(number), scaling)
        down = weights("linear", height, noise.height)
        across = weights("linear", width, noise.width)
        found: Array = np.einsum("yh,bhwc,xw->byxc", down, drawn, across).astype(np.float32)
        return found


def join_mask(mask: Array | None, outside: Array) -> Array:
    """Return a mask (h, w) and the latents (B, h, w, C) outside of it as (B, h, w, 1 + C).

    A mask of None is 1 everywhere: all is drawn.
    """
    shape = (*outside.shape[:3], 1)
    channel = np.ones(shape) if mask is None else np.broadcast_to(mask[None, :, :, None], shape)
    return np.concatenate([channel, outside], axis=3).astype(np.float32)


def reads_mask(networks: Networks) -> bool:
    """Tell whether the UNet is an inpainting one: it reads latents, mask and masked latents."""
    return networks.folder.unet.in_channels == 2 * networks.folder.vae.latent_channels + 1
