"""An init image as latents, and the channels that an inpainting UNet reads beside them."""

from __future__ import annotations

import functools

import numpy as np
from numpy.typing import NDArray

from diffusion.images import to_pixels
from diffusion.noise import LatentNoise
from diffusion.pipeline.networks import Networks
from diffusion.pipeline.vae import draw_latents, moments
from diffusion.tasks.init_image import PreparedImage
from diffusion.tasks.inpaint import CONTENTS, latent_mask

__all__ = ["EncodedImage", "join_mask", "reads_mask"]

Array = NDArray[np.float32]


class EncodedImage:
    """The latents of a prepared image. It is encoded once; each image draws with its own noise.

    ``content``: a name in `CONTENTS`, which says what the masked part starts from.
    """

    def __init__(
        self,
        networks: Networks,
        prepared: PreparedImage,
        content: str = "original",
        tiling: str = "auto",
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
            self.mask = latent_mask(prepared.mask, (width // factor, height // factor))
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
        scaling = self._networks.vae_config.scaling_factor
        drawn = draw_latents(self._moments, noise.encoding(0), scaling)
        if self.mask is None or self._content in ("original", "fill"):
            return drawn
        mask = self.mask[None, :, :, None]
        inside = unit_noise * mask if self._content == "latent_noise" else np.float32(0)
        return drawn * (1 - mask) + inside

    def mask_channels(self, noise: LatentNoise) -> Array:
        """Return an inpainting UNet's further channels (B, h, w, 1 + C): mask, masked latents."""
        scaling = self._networks.vae_config.scaling_factor
        outside = draw_latents(self._moments_outside_mask, noise.encoding(1), scaling)
        return join_mask(self.mask, outside)


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
