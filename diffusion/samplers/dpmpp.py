"""DPM-Solver++ of second order without noise: from two estimates of x₀, one network call a step.

Lu et al. 2022 (arXiv 2211.01095) in the variance-exploding form, where the paper's λ is -log σ:

* ``dpmpp_2m``: algorithm 2, from the last two estimates. diffusers' DPMSolverMultistepScheduler
  (``dpmsolver++``, midpoint) with ``final_sigmas_type="zero"``, whose ``lower_order_final`` then
  changes nothing; and k-diffusion's ``sample_dpmpp_2m``;
* ``dpmpp_2m_v2``: the same, but what a step adds counts with the mean of its own width and the
  last one's, and the line with the ratio of the narrower to the wider; stable-diffusion.cpp's
  ``dpm++2mv2``. Where steps are equal in log σ it is ``dpmpp_2m``;
* ``dpmpp_2s``: algorithm 1, of the levels each second one being the middle of a step from the one
  before it to the next. diffusers' DPMSolverSinglestepScheduler of order 2.

The first step, and one that ends in level 0 (where λ is infinite), are of first order. A list that
ends above 0 is walked in second order to its end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.stepping import intervals, towards

__all__ = ["dpmpp_2m", "dpmpp_2m_v2", "dpmpp_2s"]

A = TypeVar("A")


def dpmpp_2m(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``. Draws no noise and has no options."""
    before: A | None = None
    last_width = 0.0
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        if before is None or step.low == 0.0:
            x = towards(algebra, x, denoised, step.high, step.low)
        else:
            # Extrapolate the estimate to the step's middle: D + (width / last width)/2 · (D - D₋₁).
            kept = step.low / step.high
            beyond = math.log(step.high / step.low) / (2.0 * last_width)
            new, old = (1.0 - kept) * (1.0 + beyond), (kept - 1.0) * beyond
            x = algebra.combine([(kept, x), (new, denoised), (old, before)])
        last_width = math.log(step.high / step.low) if step.low > 0.0 else 0.0
        before = denoised
        yield Step(step.index, step.low, x, denoised)


def dpmpp_2m_v2(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``. Draws no noise and has no options."""
    before: A | None = None
    last_width = 0.0
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        width = math.log(step.high / step.low) if step.low > 0.0 else 0.0
        if before is None or step.low == 0.0:
            x = towards(algebra, x, denoised, step.high, step.low)
        else:
            added = -math.expm1(-(width + last_width) / 2.0)
            beyond = min(width, last_width) / (2.0 * max(width, last_width))
            new, old = added * (1.0 + beyond), -added * beyond
            x = algebra.combine([(step.low / step.high, x), (new, denoised), (old, before)])
        before, last_width = denoised, width
        yield Step(step.index, step.low, x, denoised)


def dpmpp_2s(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``. Draws no noise and has no options."""
    start: tuple[float, A, A] | None = None
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        if start is None or step.low == 0.0:
            start = step.high, x, denoised
            x = towards(algebra, x, denoised, step.high, step.low)
        else:
            high, before, first = start
            kept = step.low / high
            share = math.log(high / step.high) / math.log(high / step.low)
            there = (1.0 - kept) / (2.0 * share)
            x = algebra.combine([(kept, before), (1.0 - kept - there, first), (there, denoised)])
            start = None
        yield Step(step.index, step.low, x, denoised)
