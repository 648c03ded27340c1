"""The pixels that CLIP's image encoder reads of a picture (transformers' CLIPImageProcessor)."""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.images import to_rgb
from diffusion.tasks.resizing import RESIZE_MODES, fit_image

__all__ = ["encoder_pixels"]

_MEAN: Final = np.array([0.48145466, 0.4578275, 0.40821073], np.float32)
_DEVIATION: Final = np.array([0.26862954, 0.26130258, 0.27577711], np.float32)


def encoder_pixels(image: Image.Image, side: int, resize: str) -> NDArray[np.float32]:
    """Return the normalised pixels (side, side, 3) of a picture.

    ``resize``: ``crop`` scales the shorter side to ``side`` and cuts the rest, as CLIP was trained;
    ``stretch`` and ``fill`` keep all of the picture.
    """
    picture = to_rgb(image, "ip image")
    mode = RESIZE_MODES.find(resize).name
    if mode == "crop":
        square = _crop(picture, side)
    elif mode == "fill":
        longer = max(picture.size)
        square = fit_image(picture, (longer, longer), "fill")
        square = square.resize((side, side), Image.Resampling.BICUBIC)
    else:
        square = picture.resize((side, side), Image.Resampling.BICUBIC)
    pixels = np.asarray(square, np.float32) / np.float32(255)
    return np.asarray((pixels - _MEAN) / _DEVIATION, np.float32)


def _crop(picture: Image.Image, side: int) -> Image.Image:
    """Return the middle of a picture whose shorter side is scaled to ``side``."""
    shorter = min(picture.size)
    width, height = (int(side * each / shorter) for each in picture.size)
    scaled = picture.resize((width, height), Image.Resampling.BICUBIC)
    left, top = (width - side) // 2, (height - side) // 2
    return scaled.crop((left, top, left + side, top + side))
