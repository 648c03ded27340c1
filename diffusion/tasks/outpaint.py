"""Outpainting: a picture is continued beyond its edges by inpainting a larger one."""

from __future__ import annotations

from typing import Final

import numpy as np
from PIL import Image

from diffusion.checks import check_integer
from diffusion.errors import SettingsError
from diffusion.images import MOST_PIXELS, to_rgb

__all__ = ["Sides", "extend_image"]

Sides = tuple[int, int, int, int]
"""Pixels to add at the left, top, right and bottom."""

MOST_ADDED: Final = 4096
USUAL_OVERLAP: Final = 16


def extend_image(
    image: Image.Image, sides: Sides, overlap: int | None = None
) -> tuple[Image.Image, Image.Image]:
    """Return the larger picture, its edges continued, and the mask of the part to draw.

    ``overlap``: pixels of the old picture, along an extended side, that are drawn anew too, so
    that no seam shows. It is at most half of the picture; None for 16, or less where the picture is
    small. Raises `SettingsError`.
    """
    for name, added in zip(("left", "top", "right", "bottom"), sides, strict=True):
        check_integer(name, added, 0, MOST_ADDED)
    most = min(image.size) // 2
    check_integer("overlap", overlap, 0, most)
    within = min(USUAL_OVERLAP, most) if overlap is None else overlap
    if not any(sides):
        raise SettingsError("sides", sides, "extend the picture at one side at least")
    left, top, right, bottom = sides
    width, height = image.width + left + right, image.height + top + bottom
    if width * height > MOST_PIXELS:
        raise SettingsError("sides", sides, f"{width}x{height} is over {MOST_PIXELS} pixels")
    pixels = np.pad(np.asarray(to_rgb(image)), ((top, bottom), (left, right), (0, 0)), mode="edge")
    mask = np.full((height, width), 255, np.uint8)
    inner = [added + within if added else 0 for added in sides]
    mask[inner[1] : height - inner[3], inner[0] : width - inner[2]] = 0
    return Image.fromarray(pixels), Image.fromarray(mask)
