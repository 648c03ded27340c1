"""The bounds of one shared call."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from diffusion.checks import check_integer

__all__ = ["BatchLimits"]

PIXELS: Final = 8 * 64 * 64
"""Latent pixels that fill a large card: eight pictures of 512x512, or two of 1024x1024."""


@dataclass(frozen=True)
class BatchLimits:
    """The most that one call computes: ``images``, and ``pixels`` of their latents.

    Calls beyond it are made one after another in the same turn. Raises `SettingsError`.
    """

    images: int = 8
    pixels: int = PIXELS

    def __post_init__(self) -> None:
        check_integer("images", self.images, 1, 1024)
        check_integer("pixels", self.pixels, 1, 2**40)

    def most(self, shape: Sequence[int]) -> int:
        """Return the most images of latents (B, h, w, C); at least 1."""
        _, height, width, _ = shape
        return max(1, min(self.images, self.pixels // (height * width)))

    def slots(self, images: int, most: int) -> int:
        """Return how many images a network is captured for, so that ``images`` fit: few sizes.

        They are 2, 3, 4, 6, 8, 12, 16, …: at most a third of a call computes for nobody.
        """
        power = 1 << max(0, math.ceil(math.log2(images)))
        between = power * 3 // 4
        return min(most, between if between >= images else power)
