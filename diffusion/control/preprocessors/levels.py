"""Maps that change levels and colours alone: inverted, black and white, grey."""

from __future__ import annotations

from typing import Any, Final

import numpy as np

from diffusion.control.preprocessors.preprocessor import Pixels, Preprocessor, Threshold
from gpucore import Device, u8
from gpustd import image

__all__ = ["LEVELS"]

_LIGHTNESS: Final = 100.0


def _keep(_device: Device, pixels: Pixels, _a: float, _b: float) -> Any:
    return pixels


def _invert(_device: Device, pixels: Pixels, _a: float, _b: float) -> Any:
    return 255 - pixels


def _split(_device: Device, pixels: Pixels, level: float, _: float) -> Any:
    """Return white where all channels are above a level."""
    return np.where(pixels.min(axis=2) > level, 255, 0).astype(np.uint8)


def _take_lightness(device: Device, pixels: Pixels, gamma: float, _: float) -> Any:
    """Return L* of CIE L*a*b*, to a power."""
    lab = image.rgb_to_lab(device.buffer_from_array(pixels, u8)).read()
    return _to_power(lab[..., 0] / _LIGHTNESS, gamma)


def _take_intensity(_device: Device, pixels: Pixels, gamma: float, _: float) -> Any:
    """Return the greatest channel, to a power."""
    return _to_power(pixels.max(axis=2) / 255, gamma)


def _to_power(shares: Any, gamma: float) -> Any:
    return np.clip(np.clip(shares, 0, 1) ** gamma * 255, 0, 255).astype(np.uint8)


_GAMMA: Final = Threshold("Gamma correction", 1.0, 0.1, 2.0)

LEVELS: Final = (
    Preprocessor("none", "None", _keep),
    Preprocessor("invert", "invert (from white bg & black line)", _invert, ("invert_from_white",)),
    Preprocessor(
        "threshold", "threshold", _split, a=Threshold("Binarization threshold", 127, 0, 255)
    ),
    Preprocessor("recolor_luminance", "recolor_luminance", _take_lightness, a=_GAMMA),
    Preprocessor("recolor_intensity", "recolor_intensity", _take_intensity, a=_GAMMA),
    Preprocessor(
        "inpaint_only",
        "inpaint_only",
        _keep,
        ("inpaint", "inpaint_global_harmonious"),
        kind="repaint",
        marks_mask=True,
    ),
)
