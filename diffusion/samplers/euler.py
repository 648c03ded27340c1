"""Euler's method on the probability-flow equation, first order: one network call a step.

dx/dσ = (x - D(x, σ)) / σ (Karras et al. 2022, arXiv 2206.00364, algorithm 2 without its second-
order part). Equals diffusers' EulerDiscreteScheduler. With churning the network sees x after the
noise is added, as in the paper; diffusers calls it before.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.stepping import churned, intervals, towards

__all__ = ["euler"]

A = TypeVar("A")


def euler(
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
        x = towards(algebra, x, denoised, high, step.low)
        yield Step(step.index, step.low, x, denoised)
