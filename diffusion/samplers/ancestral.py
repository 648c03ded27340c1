"""Ancestral sampling: each step goes below its level and adds noise back up to it.

From level a to b the step draws noise of deviation u = η·b·√(1 - b²/a²), so that the
deterministic part must lead to d = √(b² - u²).

``ddim`` and ``euler_a`` are the same step. DDIM's equations (12) and (16) (Song et al. 2021, arXiv
2010.02502), written for x / √ᾱ, are

    x' = x₀ + √(b² - u²)·ε + u·z      with a² = (1 - ᾱ)/ᾱ and b² = (1 - ᾱ')/ᾱ',

and since x₀ + d·ε lies on the straight line from x to x₀, that is Euler's step to d with noise u.
What differs is the default: η = 0 for DDIM, 1 for Euler ancestral; and the levels that each walks
by default, DDIM's ending in the level of time step 0 for models with ``set_alpha_to_one`` off.
They equal diffusers' DDIMScheduler and EulerAncestralDiscreteScheduler.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.stepping import ancestral_levels, intervals, towards

__all__ = ["DDIM_ETA", "EULER_A_ETA", "ddim", "euler_a"]

A = TypeVar("A")

DDIM_ETA = 0.0
EULER_A_ETA = 1.0


def euler_a(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Euler ancestral: walk ``x`` down ``sigmas``, η = 1 unless chosen otherwise."""
    eta = options.eta_or(EULER_A_ETA)
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        down, up = ancestral_levels(step.high, step.low, eta)
        if up == 0.0:
            x = towards(algebra, x, denoised, step.high, step.low)
        else:
            kept = down / step.high
            fresh = (options.s_noise * up, noise(step.index))
            x = algebra.combine([(kept, x), (1.0 - kept, denoised), fresh])
        yield Step(step.index, step.low, x, denoised)


def ddim(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """DDIM: walk ``x`` down ``sigmas``, η = 0 unless chosen otherwise."""
    chosen = SamplerOptions(eta=options.eta_or(DDIM_ETA), s_noise=options.s_noise)
    return euler_a(denoise, x, sigmas, algebra, noise, chosen)
