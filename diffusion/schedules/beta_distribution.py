"""Quantiles of the beta distribution, for the schedule of that name, in NumPy alone."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from diffusion.schedules.noise_schedule import Levels

__all__ = ["beta_quantiles"]

TERMS: Final = 56
"""Terms of the series. They shrink by x ≤ 1/2 at least, so that the rest is below 2⁻⁵⁵."""
BISECTIONS: Final = 64
LOG_MIN_QUANTILE: Final = -700.0
"""e⁻⁷⁰⁰ is still a normal float64."""


def beta_quantiles(shares: Levels, shape: float) -> Levels:
    """Return the points below which ``shares`` (0 to 1) of Beta(a, a) lie; a = ``shape`` ≤ 1.

    Bisects log x in the lower half; the upper half is its mirror image.
    """
    low_half = np.minimum(shares, 1.0 - shares)
    below, above = np.full(shares.shape, LOG_MIN_QUANTILE), np.full(shares.shape, math.log(0.5))
    for _ in range(BISECTIONS):
        middle = (below + above) / 2.0
        short = _cumulative_share(np.exp(middle), shape) < low_half
        below, above = np.where(short, middle, below), np.where(short, above, middle)
    points = np.where(low_half == 0.0, 0.0, np.exp(above))
    return np.where(shares <= 0.5, points, 1.0 - points)


def _cumulative_share(x: Levels, shape: float) -> Levels:
    """Return the distribution function at x ≤ 1/2.

    It is half the incomplete beta function at x over that at 1/2.
    """
    half = _incomplete_beta(np.array(0.5), shape)
    return _incomplete_beta(x, shape) / half * 0.5


def _incomplete_beta(x: Levels, shape: float) -> Levels:
    """Return ∫₀ˣ (t(1 - t))ᵃ⁻¹ dt = xᵃ Σ (1 - a)ₙ/n! · xⁿ/(a + n) (DLMF 8.17.7)."""
    total, factor = np.zeros_like(x), 1.0
    power = np.ones_like(x)
    for n in range(TERMS):
        total = total + factor / (shape + n) * power
        power = power * x
        factor *= (1.0 - shape + n) / (n + 1)
    return x**shape * total
