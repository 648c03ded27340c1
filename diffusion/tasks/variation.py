"""Variations: initial noise between two seeds, or of another size.

The rules are those of the WebUI's ``modules/rng.py``, so that its variation seeds give the same
noise here.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from diffusion.checks import check_integer, check_number, check_side
from diffusion.noise import LatentNoise

__all__ = ["Variation", "slerp"]

Noise = NDArray[np.float32]

LARGEST_SEED = 2**64 - 1
ALMOST_PARALLEL = 1e-4
"""Angle in radians below which linear interpolation is as good."""


@dataclass(frozen=True)
class Variation:
    """The difference of the initial noise from the seed's own.

    Args:
        seed: the other seed, of the first image; image i has ``seed + i``, and all images then
            share the main seed.
        strength: 0 (the main seed's noise) to 1 (the other's).
        resize_from: width and height in pixels whose noise is put in the middle of the picture's.
            A picture that a seed drew at that size stays recognisable at another.
    """

    seed: int = 0
    strength: float = 0.0
    resize_from: tuple[int, int] | None = None

    def check(self) -> None:
        """Raise `SettingsError` for the first setting that is out of range."""
        check_integer("variation seed", self.seed, 0, LARGEST_SEED)
        check_number("variation strength", self.strength, 0, 1)
        if self.resize_from is not None:
            for side in self.resize_from:
                check_side("seed resize", side)

    def initial(self, noise: LatentNoise, numbers: tuple[int, ...], downscale: int) -> Noise:
        """Return the initial noise (images, h, w, channels) f32 of the images ``numbers``.

        ``noise``: of the main seeds, at the picture's size; ``downscale``: pixels a latent pixel.
        """
        drawn = noise
        if self.resize_from is not None:
            width, height = (side // downscale for side in self.resize_from)
            drawn = replace(noise, height=height, width=width)
        first = drawn.initial()
        if self.strength:
            others = tuple((self.seed + i) % 2**64 for i in numbers)
            first = slerp(self.strength, first, replace(drawn, seeds=others).initial())
        return first if drawn is noise else _put_in_middle(first, noise.initial())


def slerp(strength: float, a: Noise, b: Noise) -> Noise:
    """Interpolate along a great circle from ``a`` to ``b``, for each column of each channel.

    (images, h, w, channels) f32, computed in f64. (Shoemake 1985, "Animating rotation with
    quaternion curves"; to take columns as vectors is the WebUI's choice.)
    """
    low, high = a.astype(np.float64), b.astype(np.float64)
    lengths = [np.linalg.norm(each, axis=1, keepdims=True) for each in (low, high)]
    cosine = (low * high).sum(axis=1, keepdims=True) / (lengths[0] * lengths[1])
    angle = np.arccos(np.clip(cosine, -1, 1))
    near = angle < ALMOST_PARALLEL
    safe = np.where(near, 1.0, angle)
    left = np.where(near, 1 - strength, np.sin((1 - strength) * safe) / np.sin(safe))
    right = np.where(near, strength, np.sin(strength * safe) / np.sin(safe))
    return (left * low + right * high).astype(np.float32)


def _put_in_middle(inner: Noise, outer: Noise) -> Noise:
    """Return ``outer`` with ``inner`` in its middle; ``inner`` is cut where it is larger."""
    result = outer.copy()
    places = []
    for axis in (1, 2):
        shift = (outer.shape[axis] - inner.shape[axis]) // 2
        extent = inner.shape[axis] if shift >= 0 else inner.shape[axis] + 2 * shift
        places.append((slice(max(shift, 0), max(shift, 0) + extent), max(-shift, 0), extent))
    (rows, top, height), (columns, left, width) = places
    result[:, rows, columns] = inner[:, top : top + height, left : left + width]
    return result
