"""Maps without detail: blurred, coarse, in patches of colour, shuffled."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.control.preprocessors.preprocessor import Pixels, Preprocessor, Threshold
from gpucore import Device, f32, u8
from gpustd import image

__all__ = ["SMOOTHING"]

_GRID: Final = 64
"""Pixels along a side of one patch of colour."""
_WAVE: Final = 256
"""Pixels between the points that move alone when a picture is shuffled."""
_FAINT: Final = 1.1


def _blur(device: Device, pixels: Pixels, sigma: float, _: float) -> Any:
    colours = device.buffer_from_array(pixels, f32)
    return _round(image.gaussian_blur(colours, sigma, mode="mirror").read())


def _make_coarse(device: Device, pixels: Pixels, factor: float, _: float) -> Any:
    """Return means of squares of ``factor`` pixels: a smaller picture, which is enlarged later."""
    if factor < _FAINT:
        return pixels
    height, width = (max(1, int(side / factor)) for side in pixels.shape[:2])
    return image.resize(device.buffer_from_array(pixels, u8), (height, width), "area").read()


def _make_patches(device: Device, pixels: Pixels, _a: float, _b: float) -> Any:
    """Return patches of one colour."""
    height, width = pixels.shape[:2]
    small = (max(1, height // _GRID), max(1, width // _GRID))
    colours = device.buffer_from_array(pixels, u8)
    patches = image.resize(colours, small, "bicubic", antialias=False)
    return image.resize(patches, (height, width), "nearest").read()


def _shuffle(device: Device, pixels: Pixels, seed: float, _: float) -> Any:
    """Return the picture, each of whose pixels comes from a place that a smooth noise tells."""
    height, width = pixels.shape[:2]
    draw = np.random.Generator(np.random.Philox(int(seed)))
    down, across = (_draw_waves(device, draw, height, width) for _ in range(2))
    return _sample(pixels, down * (height - 1), across * (width - 1))


def _draw_waves(
    device: Device, draw: np.random.Generator, height: int, width: int
) -> NDArray[np.float32]:
    """Return smooth noise (height, width) from 0 to 1."""
    points = draw.random((height // _WAVE + 2, width // _WAVE + 2), np.float32)
    size = (height + 2 * _WAVE, width + 2 * _WAVE)
    resized = image.resize(device.buffer_from_array(points, f32), size, "bicubic", antialias=False)
    waves = resized.read()[_WAVE : _WAVE + height, _WAVE : _WAVE + width]
    waves = waves - waves.min()
    return np.asarray(waves / max(float(waves.max()), 1e-6), np.float32)


def _sample(
    pixels: Pixels, down: NDArray[np.float32], across: NDArray[np.float32]
) -> NDArray[np.uint8]:
    """Return pixels at places between pixels, by bilinear interpolation."""
    top, left = np.floor(down).astype(np.intp), np.floor(across).astype(np.intp)
    bottom = np.minimum(top + 1, pixels.shape[0] - 1)
    right = np.minimum(left + 1, pixels.shape[1] - 1)
    below, beside = (down - top)[..., None], (across - left)[..., None]
    upper = pixels[top, left] * (1 - beside) + pixels[top, right] * beside
    lower = pixels[bottom, left] * (1 - beside) + pixels[bottom, right] * beside
    return _round(upper * (1 - below) + lower * below)


def _round(levels: NDArray[np.floating]) -> NDArray[np.uint8]:
    return np.asarray(np.clip(np.floor(levels + 0.5), 0, 255), np.uint8)


SMOOTHING: Final = (
    Preprocessor(
        "blur_gaussian",
        "blur_gaussian",
        _blur,
        a=Threshold("Sigma", 9.0, 0, 64),
        kind="tile",
    ),
    Preprocessor(
        "tile_resample",
        "tile_resample",
        _make_coarse,
        ("tile",),
        a=Threshold("Down Sampling Rate", 1.0, 1.0, 8.0),
        kind="tile",
    ),
    Preprocessor("t2ia_color_grid", "t2ia_color_grid", _make_patches, ("color",)),
    Preprocessor("shuffle", "shuffle", _shuffle, a=Threshold("Seed", 0, 0, 2**31)),
)
