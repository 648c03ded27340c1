"""The map that a control network reads, made of a control's picture for a drawn size."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diffusion.control.choice import Control
from diffusion.control.preprocessors import find_preprocessor
from diffusion.errors import SettingsError
from diffusion.images import to_rgb
from diffusion.tasks.resizing import RESIZE_MODES, fit_image
from gpucore import Device

__all__ = ["make_map", "make_region", "map_pixels"]

Size = tuple[int, int]


def make_map(
    device: Device, control: Control, image: Image.Image, size: Size | None
) -> Image.Image:
    """Return the map (RGB) of a picture at a drawn size (width, height). Raises `SettingsError`.

    ``size``: None for a map as its preprocessor makes it: of the control's resolution, or else of
    the picture's own size.
    """
    preprocess = find_preprocessor(control.preprocessor)
    picture = to_rgb(image, "control image")
    if preprocess.name != "none":
        drawn = size or picture.size
        side = control.resolution or _perfect_side(picture.size, drawn, control.resize)
        picture = _scale_to(picture, side)
        a, b = preprocess.thresholds(control.threshold_a, control.threshold_b)
        picture = Image.fromarray(preprocess(device, np.asarray(picture), a, b))
    return picture if size is None else _fit(picture, size, control.resize)


def map_pixels(
    control: Control, made: Image.Image, mask: Image.Image | None
) -> NDArray[np.float32]:
    """Return a map's pixels (1, H, W, 3) in 0..1, with -1 where a mask counts.

    ``mask``: white where the picture is drawn anew. Raises `SettingsError` where it is missing.
    """
    pixels = np.asarray(made, np.float32) / np.float32(255)
    if find_preprocessor(control.preprocessor).marks_mask:
        if mask is None:
            raise SettingsError("control mask", None, f"{control.preprocessor} needs one")
        hole = np.asarray(fit_image(mask.convert("L"), made.size, control.resize)) > 127
        pixels = np.where(hole[:, :, None], np.float32(-1), pixels)
    return pixels[None]


def make_region(control: Control, size: Size) -> NDArray[np.float32] | None:
    """Return the region (H, W) in 0..1 at a drawn size; None for everywhere."""
    if control.region is None:
        return None
    grey = fit_image(to_rgb(control.region, "control region").convert("L"), size, control.resize)
    return np.asarray(grey, np.float32) / np.float32(255)


def _fit(picture: Image.Image, size: Size, mode: str) -> Image.Image:
    """Bring a map to a size; one of black and white alone stays so."""
    if picture.size == size:
        return picture
    fitted = fit_image(picture, size, mode)
    levels = np.unique(np.asarray(picture))
    if set(levels.tolist()) <= {0, 255}:
        return Image.fromarray(np.where(np.asarray(fitted) > 127, 255, 0).astype(np.uint8))
    return fitted


def _perfect_side(picture: Size, size: Size, mode: str) -> int:
    """Return the shorter side at which a map's pixels are those of the drawn size."""
    factors = [new / old for new, old in zip(size, picture, strict=True)]
    fills = RESIZE_MODES.find(mode).name == "fill"
    return max(1, round((min(factors) if fills else max(factors)) * min(picture)))


def _scale_to(picture: Image.Image, side: int) -> Image.Image:
    """Return a picture whose shorter side is ``side``."""
    factor = side / min(picture.size)
    if factor == 1:
        return picture
    width, height = (max(1, round(each * factor)) for each in picture.size)
    kernel = Image.Resampling.BICUBIC if factor > 1 else Image.Resampling.BOX
    return picture.resize((width, height), kernel)
