"""Consistency sampling: from each estimate of x₀ up again to the next level, by fresh noise.

* ``lcm``: Luo et al. 2023 (arXiv 2310.04378), algorithm 3. Equals diffusers' LCMScheduler but for
  that class's mixing of some 10⁻⁵ of x into the estimate (its boundary condition), which needs time
  steps; and ComfyUI's ``lcm``. η below 1 keeps a part of the estimated noise instead, of deviation
  √(1 - η²) of the level's.
* ``tcd``: Zheng et al. 2024 (arXiv 2402.19159), algorithm 4: along the estimated noise to the share
  1 - η (the paper's γ) of the next level's time step, the rest by fresh noise. diffusers'
  TCDScheduler.
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

__all__ = ["LCM_ETA", "TCD_ETA", "lcm", "tcd"]

A = TypeVar("A")

LCM_ETA = 1.0
TCD_ETA = 0.3


def lcm(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``, η = 1 unless chosen otherwise."""
    eta = options.eta_or(LCM_ETA)
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        x = towards(algebra, x, denoised, step.high, step.low * math.sqrt(1.0 - eta * eta))
        if step.low > 0.0 and eta > 0.0:
            fresh = options.s_noise * eta * step.low
            x = algebra.combine([(1.0, x), (fresh, noise(step.index))])
        yield Step(step.index, step.low, x, denoised)


def tcd(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``, η = 0.3 unless chosen otherwise."""
    eta = options.eta_or(TCD_ETA)
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        partly = eta > 0.0 and step.low > 0.0
        down = options.earlier(step.low, 1.0 - eta) if partly else step.low
        x = towards(algebra, x, denoised, step.high, down)
        if down < step.low:
            fresh = options.s_noise * math.sqrt(step.low**2 - down**2)
            x = algebra.combine([(1.0, x), (fresh, noise(step.index))])
        yield Step(step.index, step.low, x, denoised)
