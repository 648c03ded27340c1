"""DPM-Solver++ (2M): second order with one network call a step, from the last two estimates of x₀.

Lu et al. 2022 (arXiv 2211.01095), algorithm 2, in the variance-exploding form, where the paper's
λ is -log σ. The first step, and one that ends in level 0 (where λ is infinite), are of first
order. This is diffusers' DPMSolverMultistepScheduler (``dpmsolver++``, midpoint) with
``final_sigmas_type="zero"``, whose ``lower_order_final`` then changes nothing; and k-diffusion's
``sample_dpmpp_2m``. A list that ends above 0 is walked in second order to its end.
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

__all__ = ["dpmpp_2m"]

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
