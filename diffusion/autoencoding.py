"""Pictures to latents and back, whole or in tiles that overlap.

Slicing: one picture at a time, so that a batch takes no more memory than one. Tiling: where a
picture is large, square parts of it, mixed over their overlap with weights that fall linearly to
the tile's edge; the peak is then that of one tile. Normalisation sees a tile only, which shifts
colours a little from what the whole would give.
"""

from __future__ import annotations

import math
import sys
from collections.abc import Iterator
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.denoiser import Latents
from diffusion.images import from_pixels
from diffusion.models.config import TinyVaeConfig
from diffusion.networks import Networks
from diffusion.tasks.tiling import TILE, Span, in_tiles, tiled
from gpustd import cast, linear_combination, slice_axis, to_image

__all__ = ["decode", "draw_latents", "moments"]

Array = NDArray[np.float32]

LIMITS: Final = ("max_buffer_size", "max_storage_buffer_binding_size")
LARGEST_LOG_VARIANCE: Final = 20.0
LEAST_LOG_VARIANCE: Final = -30.0


def decode(networks: Networks, latents: Latents, tiling: str = "auto") -> Iterator[Image.Image]:
    """Pictures of latents (B, h, w, C) in the UNet's scale, one at a time."""
    vae = networks.vae_config
    scaled = cast(linear_combination([(1 / vae.scaling_factor, latents)]), networks.vae_dtype)
    _, height, width, _ = latents.shape
    for index in range(latents.shape[0]):
        one = scaled if latents.shape[0] == 1 else slice_axis(scaled, 0, index, index + 1)
        with networks.device.region("vae"):
            if in_tiles(tiling, height * width * vae.downscale**2, most_pixels(networks)):
                yield from_pixels(_decoded_tiles(networks, one))
            else:
                yield Image.fromarray(to_image(networks.vae.decode(one)).read()[0])


def _decoded_tiles(networks: Networks, latents: Any) -> Array:
    """Pixels (H, W, 3) of latents (1, h, w, C), in tiles."""

    def compute(rows: Span, columns: Span) -> Array:
        part = latents
        for axis, span in ((1, rows), (2, columns)):
            part = slice_axis(part, axis, span.start, span.start + span.extent)
        pixels: Array = networks.vae.decode(part).read()[0].astype(np.float32)
        return pixels

    factor = networks.vae_config.downscale
    return tiled(compute, latents.shape[1:3], factor, tile_side(networks))


def moments(networks: Networks, pixels: Array, tiling: str = "auto") -> Array:
    """Moments (h, w, 2 C) of the latents of a picture (1, H, W, 3) in [-1, 1].

    Means, then logarithms of variances. They are read back, before the first step.
    """
    _, height, width, _ = pixels.shape
    factor = networks.folder.vae.downscale

    def compute(rows: Span, columns: Span) -> Array:
        part: Array = pixels[:, rows.place(factor), columns.place(factor)]
        found: Array = networks.encode_images(np.ascontiguousarray(part))[0]
        return found

    with networks.device.region("vae"):
        if not in_tiles(tiling, height * width, most_pixels(networks)):
            whole: Array = networks.encode_images(pixels)[0]
            return whole
        return tiled(compute, (height // factor, width // factor), 1, tile_side(networks))


def most_pixels(networks: Networks) -> int:
    """Pixels of the largest picture whose feature maps each fit a binding of the device."""
    config = networks.vae_config
    if isinstance(config, TinyVaeConfig):
        width = max(*config.encoder_channels, *config.decoder_channels)
    else:
        width = max(config.block_out_channels[:2])
    limits = networks.device.limits
    largest = min(limits.get(name, sys.maxsize) for name in LIMITS)
    return largest // (width * networks.vae_dtype.itemsize)


def tile_side(networks: Networks) -> int:
    """Latents of a tile's side: as many as the device takes, at most `TILE`."""
    return max(1, min(TILE, math.isqrt(most_pixels(networks)) // networks.vae_config.downscale))


def draw_latents(found: Array, noise: Array, scaling: float) -> Array:
    """Latents (B, h, w, C) in the UNet's scale, drawn from `moments` with unit ``noise``."""
    means, logs = np.split(found.astype(np.float64), 2, axis=-1)
    deviations = np.exp(0.5 * np.clip(logs, LEAST_LOG_VARIANCE, LARGEST_LOG_VARIANCE))
    return ((means + deviations * noise) * scaling).astype(np.float32)
