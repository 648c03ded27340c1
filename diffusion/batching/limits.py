"""The bounds of one shared call."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from diffusion.checks import check_integer
from diffusion.settings import Settings

__all__ = ["BatchLimits", "images_of_512"]

PIXELS: Final = 64 * 64
"""Latent pixels of a picture of 512x512."""
SIDE: Final = 512


def images_of_512(settings: Settings) -> float:
    """Return how many images of 512x512 each call of a drawing is worth; 1 or more."""
    width, height = settings.width or SIDE, settings.height or SIDE
    pixels = width * height
    if settings.hires is not None:
        pixels = max(pixels, math.prod(settings.hires.size(width, height)))
    images = min(settings.batch or 1, settings.count)
    return images * max(1.0, pixels / SIDE**2)


@dataclass(frozen=True)
class BatchLimits:
    """The most ``images`` of 512x512 or less that one call computes; of larger ones fewer.

    The default fills a large card. Calls beyond the limit are made one after another in the same
    turn: nobody gains, and each waits for all. So as many drawings are let in as fit one call.
    Raises `SettingsError`.
    """

    images: int = 8

    def __post_init__(self) -> None:
        check_integer("images", self.images, 1, 1024)

    def most(self, shape: Sequence[int]) -> int:
        """Return the most images of latents (B, h, w, C); at least 1."""
        _, height, width, _ = shape
        return max(1, min(self.images, self.images * PIXELS // (height * width)))

    def fits(self, sizes: Iterable[float]) -> bool:
        """Tell whether drawings fit one call, by their images of 512x512; one always does."""
        each = list(sizes)
        return len(each) == 1 or sum(each) <= self.images

    def slots(self, images: int, most: int) -> int:
        """Return how many images a network is captured for, so that ``images`` fit: few sizes.

        They are 2, 3, 4, 6, 8, 12, 16, …: at most a third of a call computes for nobody.
        """
        power = 1 << max(0, math.ceil(math.log2(images)))
        between = power * 3 // 4
        return min(most, between if between >= images else power)
