"""CFG++: the guided estimate of x₀, reached along the noise that the prompt has no part in.

Chung et al. 2024 (arXiv 2406.08070), algorithm 2: from level a to b

    x' = D + b·(x - U)/a      with D guided and U without the prompt (the negative prompt's),

so that D = U + λ·(C - U) is an interpolation, 0 ≤ λ ≤ 1. What a user calls guidance is divided by
12.5, as A1111's DDIM CFG++ does: the paper sets guidance 7.5 beside λ = 0.6, and 12.5 beside 1.
The forms of the second order are ComfyUI's: ``dpmpp_2m_cfg_pp``, ``dpmpp_2s_ancestral_cfg_pp`` and
``res_multistep_cfg_pp`` with its ancestral one, of which the last moves x by D - U before a step
along the line through two estimates without the prompt.
Where there is no guidance, D = U, and each is the sampler it comes from.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.ancestral import DDIM_ETA, EULER_A_ETA
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, SplitDenoiser, Step
from diffusion.samplers.res import RES_A_ETA
from diffusion.samplers.sde import line_weights
from diffusion.samplers.singlestep import DPMPP_2S_A_ETA
from diffusion.samplers.stepping import ancestral_levels, intervals, noised

__all__ = [
    "GUIDANCE_SHARE",
    "ddim_cfg_pp",
    "dpmpp_2m_cfg_pp",
    "dpmpp_2s_a_cfg_pp",
    "euler_a_cfg_pp",
    "euler_cfg_pp",
    "res_multistep_a_cfg_pp",
    "res_multistep_cfg_pp",
]

A = TypeVar("A")

GUIDANCE_SHARE: Final = 1 / 12.5
"""λ for a guidance of 1."""


def euler_a_cfg_pp(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Euler ancestral with CFG++, η = 1 unless chosen otherwise."""
    eta = options.eta_or(EULER_A_ETA)
    for step in intervals(sigmas):
        guided, free = split(denoise, x, step.high)
        down, up = ancestral_levels(step.high, step.low, eta)
        x = _renoised(algebra, x, guided, free, down / step.high)
        x = noised(algebra, x, up, noise, step.index, options)
        yield Step(step.index, step.low, x, guided)


def ddim_cfg_pp(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """DDIM with CFG++, η = 0 unless chosen otherwise."""
    chosen = SamplerOptions(eta=options.eta_or(DDIM_ETA), s_noise=options.s_noise)
    return euler_a_cfg_pp(denoise, x, sigmas, algebra, noise, chosen)


def euler_cfg_pp(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Euler with CFG++. Draws no noise and has no options."""
    return euler_a_cfg_pp(denoise, x, sigmas, algebra, noise, SamplerOptions(eta=0.0))


def dpmpp_2s_a_cfg_pp(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """DPM++ 2S ancestral with CFG++, η = 1 unless chosen otherwise. Two network calls a step."""
    for step in intervals(sigmas):
        guided, free = split(denoise, x, step.high)
        down, up = ancestral_levels(step.high, step.low, options.eta_or(DPMPP_2S_A_ETA))
        if down == 0.0:
            x = guided
        else:
            middle, kept = math.sqrt(step.high * down), down / step.high
            ahead = denoise(_renoised(algebra, x, guided, free, middle / step.high), middle)
            terms = [(kept, x), (kept, guided), (-kept, free), (1.0 - kept, ahead)]
            x = algebra.combine(terms)
        x = noised(algebra, x, up, noise, step.index, options)
        yield Step(step.index, step.low, x, guided)


def dpmpp_2m_cfg_pp(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """DPM++ 2M with CFG++. Draws no noise and has no options."""
    before: A | None = None
    last_width = 0.0
    for step in intervals(sigmas):
        guided, free = split(denoise, x, step.high)
        kept = step.low / step.high
        if before is None or step.low == 0.0:
            x = _renoised(algebra, x, guided, free, kept)
        else:
            beyond = (1.0 - kept) * math.log(1.0 / kept) / (2.0 * last_width)
            terms = [(kept, x), (-kept, free), (1.0 + beyond, guided), (-beyond, before)]
            x = algebra.combine(terms)
        last_width = math.log(step.high / step.low) if step.low > 0.0 else 0.0
        before = free
        yield Step(step.index, step.low, x, guided)


def res_multistep_a_cfg_pp(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Res Multistep ancestral with CFG++, η = 1 unless chosen otherwise."""
    before: A | None = None
    widths: list[float] = []
    for step in intervals(sigmas):
        guided, free = split(denoise, x, step.high)
        down, up = ancestral_levels(step.high, step.low, options.eta_or(RES_A_ETA))
        kept = down / step.high
        if before is None or down == 0.0:
            x = _renoised(algebra, x, guided, free, kept)
        else:
            new, old = line_weights(-math.log(kept), 0.0, widths)
            x = algebra.combine([(kept, x), (kept, guided), (new - kept, free), (old, before)])
        before, widths = free, [-math.log(kept)] if down > 0.0 else []
        x = noised(algebra, x, up, noise, step.index, options)
        yield Step(step.index, step.low, x, guided)


def res_multistep_cfg_pp(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Res Multistep with CFG++. Draws no noise and has no options."""
    still = SamplerOptions(eta=0.0)
    return res_multistep_a_cfg_pp(denoise, x, sigmas, algebra, noise, still)


def split(denoise: Denoiser[A], x: A, sigma: float) -> tuple[A, A]:
    """Both estimates of x₀: the guided one, and the one without the prompt."""
    if isinstance(denoise, SplitDenoiser):
        return denoise.split(x, sigma)
    denoised = denoise(x, sigma)
    return denoised, denoised


def _renoised(algebra: Algebra[A], x: A, guided: A, free: A, kept: float) -> A:
    """D + kept·(x - U): at level 0, where nothing is kept, D itself."""
    if kept == 0.0:
        return guided
    return algebra.combine([(1.0, guided), (kept, x), (-kept, free)])
