"""Previews without a network: each latent's colour is a linear function of its channels.

The numbers are those that ComfyUI publishes for the latents of Stable Diffusion 1, 2 and XL
(``latent_formats.py``).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["SD_COLOURS", "XL_COLOURS", "LatentColours"]


@dataclass(frozen=True)
class LatentColours:
    """The share of each channel in red, green and blue of -1..1, and what is added."""

    shares: Sequence[Sequence[float]]
    added: Sequence[float] = (0.0, 0.0, 0.0)

    def images(self, latents: NDArray[np.float32], factor: int) -> list[Image.Image]:
        """Return pictures of latents (B, h, w, 4), which are ``factor`` times as large."""
        colours = latents.astype(np.float64) @ np.asarray(self.shares) + np.asarray(self.added)
        levels = np.clip(np.round((colours + 1) * 127.5), 0, 255).astype(np.uint8)
        size = latents.shape[2] * factor, latents.shape[1] * factor
        bilinear = Image.Resampling.BILINEAR
        return [Image.fromarray(each).resize(size, bilinear) for each in levels]


SD_COLOURS: Final = LatentColours(
    (
        (0.3512, 0.2297, 0.3227),
        (0.3250, 0.4974, 0.2350),
        (-0.2829, 0.1762, 0.2721),
        (-0.2120, -0.2616, -0.7177),
    )
)
XL_COLOURS: Final = LatentColours(
    (
        (0.3651, 0.4232, 0.4341),
        (-0.2533, -0.0042, 0.1068),
        (0.1076, 0.1111, -0.0362),
        (-0.3165, -0.2492, -0.2188),
    ),
    (0.1084, -0.0175, -0.0011),
)
