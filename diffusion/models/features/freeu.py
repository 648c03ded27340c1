"""FreeU (Si et al. 2023, arXiv 2309.11497): the factors of features on the UNet's way up.

The filter of the skip connections scales the frequencies -1 and 0 of both axes, as the published
code does through an FFT. Four frequencies need no transform: seven waves of the image's size, their
products with the features, and the waves again.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.ambient import Ambient
from diffusion.models.layers import Activations
from diffusion.models.unet_config import UNetConfig
from gpucore import Device, DType
from gpustd import arrays, linalg

__all__ = ["BlockFactors", "FeatureScaling", "feature_scaling", "scale_features"]


_LEAST_RANGE: Final = 1e-6
"""Where all places have the same mean, they are not weighed: 0 / 0 would be NaN."""


class BlockFactors(NamedTuple):
    """The factors of one block: of the features from below, and of the skip connection's."""

    below: float
    skip: float


@dataclass(frozen=True)
class FeatureScaling:
    """Factors on the way up, with all that they need on a device.

    Version 1, diffusers': the first block has the first factors, the second block the second ones.
    Version 2, ComfyUI's and Forge's: features from below have the first factors where they are four
    times as wide as the first level, and the second ones where they are twice as wide. The excess
    of a factor is weighed by the mean feature of each place, from 0 at the least to 1 at the most.
    """

    factors: Mapping[int, BlockFactors]
    version: int
    waves: dict[tuple[int, int], Activations]
    halves: dict[int, Activations]

    @classmethod
    def make(
        cls,
        device: Device,
        dtype: type[DType],
        factors: Sequence[tuple[float, float]],
        config: UNetConfig,
        size: tuple[int, int],
        version: int,
    ) -> FeatureScaling:
        """Return two ``factors`` for latents of a ``size`` (height, width)."""
        width = config.block_out_channels[0]
        keys = (4 * width, 2 * width) if version == 2 else (0, 1)
        waves = {
            each: device.buffer_from_array(_waves(*each), dtype)
            for each in _sizes(size, len(config.block_out_channels), config.downsample_padding)
        }
        halves = {
            width: device.buffer_from_array(np.arange(width) < width // 2, dtype)
            for width in set(config.block_out_channels)
        }
        named = (BlockFactors(*each) for each in factors)
        return cls(dict(zip(keys, named, strict=True)), version, waves, halves)

    def scale(
        self, block: int, below: Activations, skip: Activations
    ) -> tuple[Activations, Activations]:
        """Return the features (B, H, W, C) of a block from below and of its skip connection."""
        factors = self.factors.get(below.shape[3] if self.version == 2 else block)
        if factors is None:
            return below, skip
        return self._scale_below(below, factors.below), self._scale_skip(skip, factors.skip)

    def _scale_below(self, x: Activations, factor: float) -> Activations:
        half = self.halves[x.shape[3]]
        if self.version == 1:
            return x * (half * (factor - 1.0) + 1.0)
        mean = arrays.mean(x, axis=3, keepdims=True)
        least = arrays.min(mean, axis=(1, 2), keepdims=True)
        most = arrays.max(mean, axis=(1, 2), keepdims=True)
        share = (mean - least) / arrays.maximum(most - least, _LEAST_RANGE)
        return x * (share * half * (factor - 1.0) + 1.0)

    def _scale_skip(self, x: Activations, factor: float) -> Activations:
        batch, height, width, channels = x.shape
        waves = self.waves[height, width]
        flat = x.view((batch, height * width, channels))
        low = linalg.matmul(arrays.transpose(waves), linalg.matmul(waves, flat))
        return (flat + low * (factor - 1.0)).view(x.shape)


_scaling: Ambient[FeatureScaling | None] = Ambient("scaling", None)


def feature_scaling(scaling: FeatureScaling | None) -> AbstractContextManager[None]:
    """Scale the features of UNets that are called inside the context."""
    return _scaling.around(scaling)


def scale_features(
    block: int, below: Activations, skip: Activations
) -> tuple[Activations, Activations]:
    """Return the features of block ``block`` on the way up, as the `feature_scaling` around has."""
    scaling = _scaling.get()
    return (below, skip) if scaling is None else scaling.scale(block, below, skip)


def _sizes(size: tuple[int, int], levels: int, padding: int) -> set[tuple[int, int]]:
    """Return the sizes of a UNet's levels."""
    found = [size]
    for _ in range(levels - 1):
        height, width = ((side + padding) // 2 for side in found[-1])
        found.append((height, width))
    return set(found)


def _waves(height: int, width: int) -> NDArray[np.float64]:
    """Return the waves (7, height * width) of the four lowest frequencies, of norm 1.

    A real part of a frequency's share in a picture is what its cosine and its sine have of it.
    """
    rows = 2 * np.pi * np.arange(height)[:, None] / height
    columns = 2 * np.pi * np.arange(width)[None, :] / width
    found = []
    for down, across in ((0, 0), (1, 0), (0, 1), (1, 1)):
        angle = down * rows + across * columns
        found += [np.cos(angle)] if not (down or across) else [np.cos(angle), np.sin(angle)]
    waves: NDArray[np.float64] = np.stack([each.reshape(-1) for each in found])
    return waves / math.sqrt(height * width)
