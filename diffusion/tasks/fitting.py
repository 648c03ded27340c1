"""Bringing a picture to the size that is drawn, in the three ways of the WebUI."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

from diffusion.catalogue import Catalogue
from diffusion.tasks.choices import Choice

__all__ = ["RESIZE_MODES", "drawn_size", "fit"]

RESIZE_MODES: Final = Catalogue(
    "resize",
    [
        Choice("stretch", "Just resize"),
        Choice("crop", "Crop and resize"),
        Choice("fill", "Resize and fill"),
    ],
)
GRAIN: Final = 8
"""Sides are multiples of this."""


def drawn_size(image: Image.Image) -> tuple[int, int]:
    """Width and height of a picture to the nearest multiples of 8."""
    width, height = (max(GRAIN, round(side / GRAIN) * GRAIN) for side in image.size)
    return width, height


def fit(image: Image.Image, size: tuple[int, int], mode: str) -> Image.Image:
    """``image`` (L or RGB) at ``size``, by Lanczos where it must be scaled.

    ``stretch`` changes its shape; ``crop`` keeps it and cuts what is over, on both sides alike;
    ``fill`` keeps it and continues the edge's pixels into what is missing.
    """
    name = RESIZE_MODES.find(mode).name
    if image.size == size:
        return image
    if name == "stretch":
        return image.resize(size, Image.Resampling.LANCZOS)
    factors = [wanted / found for wanted, found in zip(size, image.size, strict=True)]
    factor = max(factors) if name == "crop" else min(factors)
    width, height = (max(1, round(side * factor)) for side in image.size)
    scaled = image.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    if name == "crop":
        return scaled.crop((-left, -top, size[0] - left, size[1] - top))
    pads = ((top, size[1] - height - top), (left, size[0] - width - left))
    pixels = np.asarray(scaled)
    return Image.fromarray(np.pad(pixels, (*pads, *[(0, 0)] * (pixels.ndim - 2)), mode="edge"))
