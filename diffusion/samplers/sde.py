"""DPM-Solver++ for the diffusion SDE: exponential integrators that draw noise at every step.

Lu et al. 2022 (arXiv 2211.01095), section 6 and appendix; in the variance-exploding form, where
λ = -log σ, a step of width h keeps e^(-(1 + η)h) of x, and its noise has the deviation
σ·√(1 - e^(-2ηh)) at its end. η = 1 is the paper's; η = 0 leaves the ordinary equation.

* ``dpmpp_2m_sde``: the estimate of x₀ is continued to the middle of the step from the last two;
  diffusers' DPMSolverMultistepScheduler (``sde-dpmsolver++``, midpoint), k-diffusion's name;
* ``dpmpp_2m_sde_heun``: it is a line in λ, integrated; the same with ``heun``;
* ``dpmpp_3m_sde``: the line takes on a second difference of the last three, with half the weight of
  the parabola through them, as the paper's authors and k-diffusion have it;
* ``dpmpp_sde``: a second network call at the middle, itself reached with noise; k-diffusion's.

A step to level 0 ends in the denoised picture. Noise is a ``BrownianPath``'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.brownian import BrownianPath
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.stepping import ancestral_levels, intervals, phi, towards

__all__ = [
    "SDE_ETA",
    "IntervalNoise",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun",
    "dpmpp_3m_sde",
    "dpmpp_sde",
    "line_weights",
    "sde_multistep",
]

A = TypeVar("A")
IntervalNoise: TypeAlias = Callable[[float, float], A]
"""``noise(high, low)``: unit normal noise of an interval of levels."""
Weights: TypeAlias = Callable[[float, float, Sequence[float]], list[float]]
"""``weights(h, η, widths)``: those of the last estimates of x₀, newest first; older widths too."""

SDE_ETA = 1.0


def sde_multistep(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: IntervalNoise[A],
    options: SamplerOptions,
    weights: Weights,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas`` by the weighted sum of the last estimates of x₀."""
    eta = options.eta_or(SDE_ETA)
    seen: list[A] = []
    widths: list[float] = []
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        seen = [denoised, *seen][:3]
        if step.low == 0.0:
            x = denoised
        else:
            width = math.log(step.high / step.low)
            kept = math.exp(-(1.0 + eta) * width)
            given = weights(width, eta, widths)
            x = algebra.combine([(kept, x), *zip(given, seen, strict=False)])
            widths = [width, *widths][:2]
            if eta > 0.0:
                spread = step.low * math.sqrt(-math.expm1(-2.0 * eta * width))
                fresh = noise(step.high, step.low)
                x = algebra.combine([(1.0, x), (options.s_noise * spread, fresh)])
        yield Step(step.index, step.low, x, denoised)


def midpoint_weights(width: float, eta: float, widths: Sequence[float]) -> list[float]:
    """The estimate at the middle of the step: D + (D - D₋₁)·width / (2·last width)."""
    change = -math.expm1(-(1.0 + eta) * width)
    beyond = width / (2.0 * widths[0]) if widths else 0.0
    return [change * (1.0 + beyond), -change * beyond][: len(widths) + 1]


def line_weights(width: float, eta: float, widths: Sequence[float]) -> list[float]:
    """The line through the last two estimates, integrated with φ₂."""
    change, second, _ = phi((1.0 + eta) * width)
    beyond = second * width / widths[0] if widths else 0.0
    return [change + beyond, -beyond][: len(widths) + 1]


def parabola_weights(width: float, eta: float, widths: Sequence[float]) -> list[float]:
    """A line with the slope that the parabola through three estimates has now; φ₃ its bend."""
    if len(widths) < 2:
        return line_weights(width, eta, widths)
    change, second, third = phi((1.0 + eta) * width)
    r0, r1 = widths[0] / width, widths[1] / width
    # The first differences are (D - D₋₁)/r0 and (D₋₁ - D₋₂)/r1; ours are factors of them.
    bend = (second * r0 - third) / (r0 + r1)
    newer, older = (second + bend) / r0, -bend / r1
    return [change + newer, older - newer, -older]


def dpmpp_sde(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``, η = 1 unless chosen otherwise. Two network calls a step."""
    eta = options.eta_or(SDE_ETA)
    path = BrownianPath(algebra, noise)

    def moved(x: A, denoised: A, high: float, low: float) -> A:
        down, up = ancestral_levels(high, low, eta)
        x = towards(algebra, x, denoised, high, down)
        if up == 0.0:
            return x
        return algebra.combine([(1.0, x), (options.s_noise * up, path(high, low))])

    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        ahead = denoised
        if step.low > 0.0:
            middle = math.sqrt(step.high * step.low)
            ahead = denoise(moved(x, denoised, step.high, middle), middle)
        x = moved(x, ahead, step.high, step.low)
        yield Step(step.index, step.low, x, denoised)


@dataclass(frozen=True)
class SdeSampler:
    """The multistep samplers of this file that draw noise; ``weights`` tells them apart."""

    weights: Weights

    def __call__(
        self,
        denoise: Denoiser[A],
        x: A,
        sigmas: Sequence[float] | NDArray[np.float64],
        algebra: Algebra[A],
        noise: NoiseSource[A],
        options: SamplerOptions,
    ) -> Iterator[Step[A]]:
        """Walk ``x`` down ``sigmas``, η = 1 unless chosen otherwise."""
        path = BrownianPath(algebra, noise)
        return sde_multistep(denoise, x, sigmas, algebra, path, options, self.weights)


dpmpp_2m_sde = SdeSampler(midpoint_weights)
dpmpp_2m_sde_heun = SdeSampler(line_weights)
dpmpp_3m_sde = SdeSampler(parabola_weights)
