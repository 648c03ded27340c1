"""Maps of edges and lines, by filters alone: white on black."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from diffusion.control.preprocessors.preprocessor import Pixels, Preprocessor, Threshold
from gpucore import Buffer, Device, f32, u8
from gpustd import arrays, image, subtract

__all__ = ["EDGES"]

_FINE, _COARSE = 0.5, 5.0
"""Deviations of the two Gaussians of a scribble, in pixels."""
_LINE_SIGMA: Final = 6.0
_FAINT: Final = 8.0
_LEAST_SCALE: Final = 16.0
_MIDDLE: Final = 127.0
_SOFT_SIGMA: Final = 1.0
_STRONGEST: Final = 99.0
"""The percentile of gradients that soft edges show white."""


def _find_canny(device: Device, pixels: Pixels, low: float, high: float) -> Any:
    """Return Canny's edges (1986) of the luma; thresholds are lengths of Sobel's gradient.

    OpenCV's default sums the gradient's sides, so that it finds a little more at slants.
    """
    grey = image.rgb_to_grey(device.buffer_from_array(pixels, u8))
    return 255 * image.canny(grey, 0.0, min(low, high), max(low, high)).read()


def _draw_scribble(device: Device, pixels: Pixels, least: float, _: float) -> Any:
    """Return thick strokes where a difference of Gaussians passes ``least``."""
    colours = device.buffer_from_array(pixels, f32)
    fine, coarse = (_blur(colours, sigma) for sigma in (_FINE, _COARSE))
    darker = np.clip(255 - _least_channel(subtract(coarse, fine)), 0, 255).astype(np.uint8)
    return np.where(2 * (255 - darker.astype(np.int32)) > least, 255, 0).astype(np.uint8)


def _draw_lines(device: Device, pixels: Pixels, _a: float, _b: float) -> Any:
    """Return what is darker than its surroundings, scaled by its median."""
    colours = device.buffer_from_array(pixels, f32)
    darker = np.clip(_least_channel(subtract(_blur(colours, _LINE_SIGMA), colours)), 0, 255)
    lines = darker[darker > _FAINT]
    scale = max(_LEAST_SCALE, float(np.median(lines))) if lines.size else _LEAST_SCALE
    return np.clip(darker / scale * _MIDDLE, 0, 255).astype(np.uint8)


def _find_soft_edges(device: Device, pixels: Pixels, sigma: float, _: float) -> Any:
    """Return lengths of Scharr's gradient of the blurred luma, the strongest ones white."""
    grey = image.rgb_to_grey(device.buffer_from_array(pixels, u8)).read()
    smooth = _blur(device.buffer_from_array(grey, f32), sigma)
    lengths = image.scharr(smooth, mode="nearest").read()
    top = max(float(np.percentile(lengths, _STRONGEST)), 1.0)
    return np.clip(lengths / top * 255, 0, 255).astype(np.uint8)


def _blur(colours: Buffer[f32], sigma: float) -> Buffer[f32]:
    """Return a Gaussian blur with OpenCV's border, which leaves the edge's pixel single."""
    return image.gaussian_blur(colours, sigma, mode="mirror")


def _least_channel(colours: Buffer[f32]) -> NDArray[np.float32]:
    return arrays.min(colours, axis=2).read()


EDGES: Final = (
    Preprocessor(
        "canny",
        "canny",
        _find_canny,
        a=Threshold("Low threshold", 100, 1, 255),
        b=Threshold("High threshold", 200, 1, 255),
        kind="canny",
    ),
    Preprocessor(
        "scribble_xdog",
        "scribble_xdog",
        _draw_scribble,
        a=Threshold("XDoG threshold", 32, 1, 64),
        kind="softedge",
    ),
    Preprocessor(
        "lineart_standard",
        "lineart_standard (from white bg & black line)",
        _draw_lines,
        kind="canny",
    ),
    Preprocessor(
        "softedge_scharr",
        "softedge_scharr",
        _find_soft_edges,
        a=Threshold("Blur in pixels", _SOFT_SIGMA, 0, 16),
        kind="softedge",
    ),
)
