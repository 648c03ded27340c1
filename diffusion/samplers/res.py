"""Refined exponential solvers: second order, with φ₁ and φ₂ exact in λ = -log σ.

Zhang et al. 2023 (arXiv 2308.02157), data prediction, in the variance-exploding form:

* ``res_multistep``: the line through the last two estimates of x₀, integrated over the step; the
  first step is Euler's. ComfyUI's;
* ``res_multistep_a``: the same to the ancestral level below, and back up by noise; the widths of
  earlier steps are those of their ways down. ComfyUI's ``res_multistep_ancestral``;
* ``res_2s``: the line through the estimate now and one at the middle of the step (c₂ = 1/2): two
  calls a step. stable-diffusion.cpp's, η = 0 by default.

A step to level 0 ends in the denoised picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.sde import line_weights
from diffusion.samplers.stepping import ancestral_levels, intervals, noised, phi, towards

__all__ = ["RES_2S_ETA", "RES_A_ETA", "res_2s", "res_multistep", "res_multistep_a"]

A = TypeVar("A")

RES_A_ETA: Final = 1.0
RES_2S_ETA: Final = 0.0


def res_multistep(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``. Draws no noise and has no options."""
    return res_multistep_a(denoise, x, sigmas, algebra, noise, SamplerOptions(eta=0.0))


def res_multistep_a(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``, η = 1 unless chosen otherwise."""
    seen: list[A] = []
    widths: list[float] = []
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        seen = [denoised, *seen][:2]
        down, up = ancestral_levels(step.high, step.low, options.eta_or(RES_A_ETA))
        if down == 0.0:
            x = denoised
        else:
            width = math.log(step.high / down)
            given = line_weights(width, 0.0, widths)
            x = algebra.combine([(math.exp(-width), x), *zip(given, seen, strict=True)])
            widths = [width]
        x = noised(algebra, x, up, noise, step.index, options)
        yield Step(step.index, step.low, x, denoised)


def res_2s(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``, η = 0 unless chosen otherwise. Two network calls a step."""
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        down, up = ancestral_levels(step.high, step.low, options.eta_or(RES_2S_ETA))
        if down == 0.0:
            x = denoised
        else:
            middle = math.sqrt(step.high * down)
            ahead = denoise(towards(algebra, x, denoised, step.high, middle), middle)
            change, second, _ = phi(math.log(step.high / down))
            terms = [(1.0 - change, x), (change - 2.0 * second, denoised), (2.0 * second, ahead)]
            x = algebra.combine(terms)
        x = noised(algebra, x, up, noise, step.index, options)
        yield Step(step.index, step.low, x, denoised)
