"""Second order from a network call at the middle of each step: two calls a step, no history.

The middle of a step is that of log σ. ``dpm2`` is DPM-Solver-2 (Lu et al. 2022, arXiv 2206.00927,
algorithm 1, r = 1/2) in the variance-exploding form, where it is the midpoint rule with the slope
(x - D)/σ; ``dpmpp_2s_a`` is DPM-Solver++(2S) (Lu et al. 2022, arXiv 2211.01095, algorithm 1,
r = 1/2), which takes the step with the middle's estimate of x₀. Both ancestral forms lead to a
lower level and add noise back, as Euler ancestral does. A step to level 0 is Euler's.
``dpm2`` and ``dpm2_a`` equal diffusers' KDPM2DiscreteScheduler and KDPM2AncestralDiscreteScheduler,
which have neither churning nor η.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.stepping import ancestral_levels, churned, intervals, noised, slope, towards

__all__ = ["DPM2_A_ETA", "DPMPP_2S_A_ETA", "dpm2", "dpm2_a", "dpmpp_2s_a"]

A = TypeVar("A")

DPM2_A_ETA = 1.0
DPMPP_2S_A_ETA = 1.0


def dpm2(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``. Noise is drawn only with ``s_churn``."""
    for step in intervals(sigmas):
        x, high = churned(step, x, algebra, noise, options)
        denoised = denoise(x, high)
        x = _midpoint(denoise, x, denoised, (high, step.low), algebra)
        yield Step(step.index, step.low, x, denoised)


def dpm2_a(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``, η = 1 unless chosen otherwise."""
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        down, up = ancestral_levels(step.high, step.low, options.eta_or(DPM2_A_ETA))
        x = _midpoint(denoise, x, denoised, (step.high, down), algebra)
        x = noised(algebra, x, up, noise, step.index, options)
        yield Step(step.index, step.low, x, denoised)


def _midpoint(
    denoise: Denoiser[A], x: A, denoised: A, levels: tuple[float, float], algebra: Algebra[A]
) -> A:
    """``x`` taken between two levels with the slope at their middle."""
    high, low = levels
    if low == 0.0:
        return denoised
    middle = math.sqrt(high * low)
    halfway = towards(algebra, x, denoised, high, middle)
    there = slope(algebra, halfway, denoise(halfway, middle), middle)
    return algebra.combine([(1.0, x), (low - high, there)])


def dpmpp_2s_a(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``, η = 1 unless chosen otherwise."""
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        down, up = ancestral_levels(step.high, step.low, options.eta_or(DPMPP_2S_A_ETA))
        ahead = denoised
        if down > 0.0:
            middle = math.sqrt(step.high * down)
            ahead = denoise(towards(algebra, x, denoised, step.high, middle), middle)
        x = towards(algebra, x, ahead, step.high, down)
        x = noised(algebra, x, up, noise, step.index, options)
        yield Step(step.index, step.low, x, denoised)
