"""Resizing a picture to the size that is drawn: in the WebUI's ways, or padded."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

from diffusion.catalogue import Catalogue
from diffusion.errors import SettingsError
from diffusion.tasks.choices import Choice
from gpucore.integers import ceil_div

__all__ = ["PIXEL_RESIZES", "RESIZE_MODES", "check_size", "drawn_size", "fit_image"]

RESIZE_MODES: Final = Catalogue(
    "resize",
    [
        Choice("stretch", "Just resize"),
        Choice("crop", "Crop and resize"),
        Choice("fill", "Resize and fill"),
        Choice("pad", "Pad"),
        Choice("latent", "Just resize (latent upscale)"),
    ],
)
PIXEL_RESIZES: Final = Catalogue(
    "resize", [each for each in RESIZE_MODES if each.name not in ("pad", "latent")]
)
"""Those that make a picture of pixels, of any size."""

GRAIN: Final = 8
"""Sides are multiples of this."""


def drawn_size(image: Image.Image, mode: str = "stretch") -> tuple[int, int]:
    """Return a picture's width and height as the nearest multiples of 8, for ``pad`` the next."""
    up = RESIZE_MODES.find(mode).name == "pad"
    width, height = (
        max(GRAIN, (ceil_div(side, GRAIN) if up else round(side / GRAIN)) * GRAIN)
        for side in image.size
    )
    return width, height


def check_size(image: Image.Image, size: tuple[int, int], mode: str) -> None:
    """Raise `SettingsError` where a picture cannot be brought to ``size``."""
    if RESIZE_MODES.find(mode).name == "pad" and size != drawn_size(image, mode):
        hint = f"with resize pad it follows from the picture's, {image.width}x{image.height}"
        raise SettingsError("size", f"{size[0]}x{size[1]}", hint)


def fit_image(image: Image.Image, size: tuple[int, int], mode: str) -> Image.Image:
    """Return ``image`` (L or RGB) at ``size``, scaled by Lanczos where that is needed.

    ``stretch`` changes its aspect ratio. ``crop`` keeps it and cuts the rest, on both sides alike.
    ``fill`` keeps it and continues the edges' pixels into the rest. ``pad`` keeps every pixel and
    continues the right and the lower edge; its size must be the next multiples of 8.
    Raises `SettingsError`.
    """
    name = RESIZE_MODES.find(mode).name
    if image.size == size:
        return image
    check_size(image, size, mode)
    if name == "pad":
        return _continue_edges(image, (0, 0, size[0] - image.width, size[1] - image.height))
    if name == "stretch":
        return image.resize(size, Image.Resampling.LANCZOS)
    factors = [new / old for new, old in zip(size, image.size, strict=True)]
    factor = max(factors) if name == "crop" else min(factors)
    width, height = (max(1, round(side * factor)) for side in image.size)
    scaled = image.resize((width, height), Image.Resampling.LANCZOS)
    left, top = (size[0] - width) // 2, (size[1] - height) // 2
    if name == "crop":
        return scaled.crop((-left, -top, size[0] - left, size[1] - top))
    return _continue_edges(scaled, (left, top, size[0] - width - left, size[1] - height - top))


def _continue_edges(image: Image.Image, sides: tuple[int, int, int, int]) -> Image.Image:
    """Repeat the edges' pixels at the left, top, right and bottom."""
    left, top, right, bottom = sides
    pixels = np.asarray(image)
    pads = ((top, bottom), (left, right), *[(0, 0)] * (pixels.ndim - 2))
    return Image.fromarray(np.pad(pixels, pads, mode="edge"))
