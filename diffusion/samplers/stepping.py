"""The moves that samplers share: down a list of levels, straight towards x₀, and up by churning."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.errors import SettingsError
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, NoiseSource

__all__ = [
    "Interval",
    "ancestral_levels",
    "churned",
    "intervals",
    "noised",
    "phi",
    "slope",
    "towards",
]

A = TypeVar("A")

MOST_CHURN = math.sqrt(2.0) - 1.0
"""A step's level may at most grow by √2 (Karras et al. 2022, algorithm 2)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """One step: from level ``high`` to ``low``; step ``index`` of ``count``."""

    index: int
    count: int
    high: float
    low: float


def intervals(sigmas: Sequence[float] | NDArray[np.float64]) -> Iterator[Interval]:
    """The steps of a list of levels, which must fall to 0 or above; else ``SettingsError``."""
    levels = [float(sigma) for sigma in sigmas]
    pairs = list(itertools.pairwise(levels))
    falling = all(high > low for high, low in pairs)
    if not pairs or not falling or levels[-1] < 0.0 or math.isinf(levels[0]):
        raise SettingsError("sigmas", levels, "give two or more levels that fall to 0 or above")
    for index, (high, low) in enumerate(pairs):
        yield Interval(index, len(pairs), high, low)


def towards(algebra: Algebra[A], x: A, denoised: A, high: float, low: float) -> A:
    """``x`` taken from level ``high`` to ``low`` on the straight line to ``denoised``.

    x + (low - high)·(x - denoised) / high, an Euler step; at level 0 it is ``denoised`` itself.
    """
    if low == 0.0:
        return denoised
    kept = low / high
    return algebra.combine([(kept, x), (1.0 - kept, denoised)])


def noised(
    algebra: Algebra[A],
    x: A,
    up: float,
    noise: NoiseSource[A],
    index: int,
    options: SamplerOptions,
) -> A:
    """``x`` with the noise of step ``index`` that brings it ``up`` again; ``x`` itself for 0."""
    if up > 0.0:
        return algebra.combine([(1.0, x), (options.s_noise * up, noise(index))])
    return x


def slope(algebra: Algebra[A], x: A, denoised: A, sigma: float) -> A:
    """dx/dσ = (x - D) / σ, which is also the estimate of the noise in ``x``."""
    return algebra.combine([(1.0 / sigma, x), (-1.0 / sigma, denoised)])


def ancestral_levels(high: float, low: float, eta: float) -> tuple[float, float]:
    """The level that a step from ``high`` to ``low`` first goes to, and the noise that it adds.

    Their squares sum to low²; the noise is η·low·√(1 - low²/high²) (Song et al. 2021, equation 16).
    """
    up = eta * low * math.sqrt(1.0 - (low / high) ** 2)
    return math.sqrt(low**2 - up**2), up


def phi(width: float) -> tuple[float, float, float]:
    """1 - e⁻ʰ; φ₂ = 1 - (1 - e⁻ʰ)/h; φ₃ = φ₂/h - 1/2: of exponential integrators."""
    change = -math.expm1(-width)
    second = 1.0 - change / width
    return change, second, second / width - 0.5


def churned(
    step: Interval, x: A, algebra: Algebra[A], noise: NoiseSource[A], options: SamplerOptions
) -> tuple[A, float]:
    """``x`` with fresh noise, and its raised level (Karras et al. 2022, algorithm 2, lines 4-6)."""
    if options.s_churn == 0.0 or not options.s_tmin <= step.high <= options.s_tmax:
        return x, step.high
    raised = step.high * (1.0 + min(options.s_churn / step.count, MOST_CHURN))
    added = options.s_noise * math.sqrt(raised**2 - step.high**2)
    return algebra.combine([(1.0, x), (added, noise(step.index))]), raised
