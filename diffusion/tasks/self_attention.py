"""Self-attention guidance: latents that are blurred where the UNet looks.

(Hong et al. 2022, arXiv 2210.00939.)
"""

from __future__ import annotations

from typing import Final

import numpy as np

from diffusion.tasks.guidance import SelfAttentionGuidance
from diffusion.tasks.resampling import Matrix, apply_to_sides, resample
from gpucore import Buffer, f32
from gpustd import arrays, cast

__all__ = ["blur_weights", "degrade"]

_REACH: Final = 4
"""Pixels of the blur beside the one in the middle, as in the published code."""


def degrade(estimate: Buffer[f32], sums: Buffer[f32], rule: SelfAttentionGuidance) -> Buffer[f32]:
    """Return an estimate of x0 (B, h, w, C), blurred at the places that are looked at most.

    ``sums`` (B, H, W, 1): how much each place is looked at, 1 being the mean.
    """
    height, width = estimate.shape[1:3]
    looked_at = cast(arrays.greater(sums, rule.threshold), f32)
    mask = resample(looked_at, (height, width), "nearest")
    blurred = apply_to_sides(estimate, *(blur_weights(n, rule.blur) for n in (height, width)))
    return estimate + mask * (blurred - estimate)


def blur_weights(side: int, deviation: float) -> Matrix:
    """Return the weights (side, side) of a Gaussian over nine pixels; edges are mirrored."""
    distances = np.arange(-_REACH, _REACH + 1)
    shares = np.exp(-0.5 * (distances / deviation) ** 2)
    taps = np.pad(np.arange(side), _REACH, mode="reflect" if side > 1 else "edge")
    result = np.zeros((side, side))
    for offset, share in enumerate(shares / shares.sum()):
        np.add.at(result, (np.arange(side), taps[offset : offset + side]), share)
    return result
