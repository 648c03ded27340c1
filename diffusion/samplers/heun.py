"""Heun's method on the probability-flow equation, second order: two network calls a step.

Karras et al. 2022 (arXiv 2206.00364), algorithm 2. The last step, to level 0, is Euler's, so that
n steps take 2n - 1 calls. Equals diffusers' HeunDiscreteScheduler, which has no churning.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.stepping import churned, intervals, towards

__all__ = ["heun"]

A = TypeVar("A")


def heun(
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
        ahead = towards(algebra, x, denoised, high, step.low)
        if step.low > 0.0:
            # x + (low - high)/2 · ((x - denoised)/high + (ahead - denoised_ahead)/low)
            here, there = (step.low - high) / (2.0 * high), (step.low - high) / (2.0 * step.low)
            denoised_ahead = denoise(ahead, step.low)
            terms = [(1.0 + here, x), (-here, denoised), (there, ahead), (-there, denoised_ahead)]
            x = algebra.combine(terms)
        else:
            x = ahead
        yield Step(step.index, step.low, x, denoised)
