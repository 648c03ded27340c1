"""Giving a picture the colours of another one, as the WebUI's colour correction does.

The levels of L*, a* and b* are moved so that each has the distribution that it has in the other
picture; then the luminosity of the picture itself is put back. Hue and saturation stay moved.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray
from PIL import Image

__all__ = ["match_colours"]

Levels = NDArray[np.uint8]
Floats = NDArray[np.float32]

_TO_XYZ: Final = np.array(
    [
        [0.412453, 0.357580, 0.180423],
        [0.212671, 0.715160, 0.072169],
        [0.019334, 0.119193, 0.950227],
    ]
)
"""From linear sRGB to CIE XYZ (ITU-R BT.709's primaries, D65)."""
_WHITE: Final = _TO_XYZ.sum(axis=1)
_FROM_RGB: Final = np.asarray(_TO_XYZ.T / _WHITE, np.float32)
_TO_RGB: Final = np.asarray(np.linalg.inv(_TO_XYZ.T / _WHITE), np.float32)
_LINEAR_BELOW: Final = 216 / 24389
_SLOPE: Final = 24389 / 27 / 116
_OFFSET: Final = 16 / 116
_L_UNIT, _AB_ZERO = 255 / 100, 128
_LUMA: Final = np.array([0.299, 0.587, 0.114], np.float32)


def match_colours(drawn: Image.Image, other: Image.Image) -> Image.Image:
    """Return an RGB picture with its own luminosity and the colours of another, of any size."""
    own, wanted = lab_levels(drawn), lab_levels(other)
    moved = np.stack([match_levels(own[..., i], wanted[..., i]) for i in range(3)], axis=2)
    luma = np.asarray(drawn, np.float32) / 255 @ _LUMA
    mixed = with_luma(colours_of(moved), luma.astype(np.float32))
    return Image.fromarray(np.round(mixed * 255).astype(np.uint8))


def lab_levels(image: Image.Image) -> Levels:
    """Return L*, a* and b* in 8 bits each: L* times 2.55, and a* and b* from -128 on."""
    levels = np.arange(256) / 255
    curve = np.where(levels > 0.04045, ((levels + 0.055) / 1.055) ** 2.4, levels / 12.92)
    xyz = curve.astype(np.float32)[np.asarray(image.convert("RGB"))] @ _FROM_RGB
    x, y, z = np.moveaxis(np.where(xyz > _LINEAR_BELOW, np.cbrt(xyz), _SLOPE * xyz + _OFFSET), 2, 0)
    lab = [(116 * y - 16) * _L_UNIT, 500 * (x - y) + _AB_ZERO, 200 * (y - z) + _AB_ZERO]
    return np.clip(np.round(np.stack(lab, axis=2)), 0, 255).astype(np.uint8)


def colours_of(lab: Levels) -> Floats:
    """Return the colours (0 to 1) of `lab_levels`, in steps of 1/255; others are clipped."""
    lightness, a, b = np.moveaxis(lab.astype(np.float32), 2, 0)
    y = (lightness / _L_UNIT + 16) / 116
    roots = np.stack([y + (a - _AB_ZERO) / 500, y, y - (b - _AB_ZERO) / 200], axis=2)
    xyz = np.where(roots**3 > _LINEAR_BELOW, roots**3, (roots - _OFFSET) / _SLOPE)
    linear = np.clip(xyz @ _TO_RGB, 0, 1)
    curve = np.where(linear > 0.0031308, 1.055 * linear ** (1 / 2.4) - 0.055, 12.92 * linear)
    return np.asarray(np.round(curve * 255) / 255, np.float32)


def match_levels(own: Levels, wanted: Levels) -> Levels:
    """Return levels moved so that as many lie below each as in ``wanted``; rounded down.

    Between two levels that ``wanted`` has, shares are interpolated.
    """
    counts, theirs = (np.bincount(each.reshape(-1), minlength=256) for each in (own, wanted))
    present = np.flatnonzero(theirs)
    shares = np.cumsum(theirs[present]) / wanted.size
    table = np.interp(np.cumsum(counts) / own.size, shares, present)
    return table.astype(np.uint8)[own]


def with_luma(colours: Floats, luma: Floats) -> Floats:
    """Return colours (0 to 1) shifted to a luma, as the blend mode "luminosity" does (W3C).

    Those beyond black or white are drawn towards their grey until they fit.
    """
    grey = luma[..., None]
    shifted = colours + (luma - colours @ _LUMA)[..., None]
    least = shifted.min(axis=2, keepdims=True)
    most = shifted.max(axis=2, keepdims=True)
    with np.errstate(divide="ignore", invalid="ignore"):
        low = np.where(least < 0, grey / (grey - least), 1)
        high = np.where(most > 1, (1 - grey) / (most - grey), 1)
    return np.clip(grey + (shifted - grey) * low * high, 0, 1).astype(np.float32)
