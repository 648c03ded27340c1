"""Seamless pictures: opposite edges meet, so that copies laid side by side show no seam."""

from __future__ import annotations

from typing import Final, get_args

import numpy as np
from PIL import Image

from diffusion.errors import SettingsError
from gpustd.matmul.conv import Wrap

__all__ = ["check_seamless", "resize_seamless"]

AXES: Final[tuple[Wrap, ...]] = get_args(Wrap)
REACH: Final = 8
"""Pixels beyond an edge that count when a picture is enlarged; Lanczos reads three."""


def check_seamless(value: object) -> None:
    """Check axes along which edges meet; "" is none. Raises `SettingsError`."""
    if value not in AXES:
        raise SettingsError("seamless", value, "give x, y or xy")


def resize_seamless(
    image: Image.Image, size: tuple[int, int], resampling: Image.Resampling, wrap: Wrap = ""
) -> Image.Image:
    """Resize an RGB picture; along ``wrap``, its opposite side lies beyond an edge."""
    left, top = (REACH if axis in wrap else 0 for axis in "xy")
    pads = ((top, top), (left, left), (0, 0))
    padded = Image.fromarray(np.pad(np.asarray(image), pads, mode="wrap"))
    box = (left, top, left + image.width, top + image.height)
    return padded.resize(size, resampling, box)
