"""CFG++: samplers that reach the guided estimate along the noise estimated without the prompt.

Chung et al. 2024 (arXiv 2406.08070), algorithm 2: from level a to b

    x' = D + b·(x - U)/a      with D guided and U without the prompt (the negative prompt's),

so that D = U + λ·(C - U) is an interpolation, 0 ≤ λ ≤ 1. The guidance that a user gives is divided
by 12.5, as A1111's DDIM CFG++ does: the paper sets guidance 7.5 beside λ = 0.6, and 12.5 beside 1.
Where there is no guidance, D = U, and each is the sampler that it comes from.
"""

from __future__ import annotations

import math
from typing import Final, TypeVar

from diffusion.samplers.protocols import StepsAndCalls
from diffusion.samplers.sampling_run import SamplingRun
from diffusion.samplers.sde import line_weights

__all__ = [
    "GUIDANCE_SHARE",
    "dpmpp_2m_cfg_pp",
    "dpmpp_2s_a_cfg_pp",
    "euler_cfg_pp",
    "res_multistep_cfg_pp",
]

A = TypeVar("A")

GUIDANCE_SHARE: Final = 1 / 12.5
"""λ for a guidance of 1."""


def euler_cfg_pp(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run Euler's method with CFG++; with η above 0 it is ancestral, and DDIM."""
    x = run.x
    for step in run.intervals():
        guided, unguided = yield from run.denoise_both(x, step.high)
        down, up = run.ancestral_levels(step.high, step.low)
        x = _follow_unguided_noise(run, x, guided, unguided, down / step.high)
        x = run.add_noise(x, up, step.index)
        yield step.result(x, guided)


def dpmpp_2s_a_cfg_pp(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run DPM++ 2S ancestral with CFG++, as in ComfyUI: two network calls a step."""
    x = run.x
    for step in run.intervals():
        guided, unguided = yield from run.denoise_both(x, step.high)
        down, up = run.ancestral_levels(step.high, step.low)
        if down == 0.0:
            x = guided
        else:
            middle, kept = math.sqrt(step.high * down), down / step.high
            halfway = _follow_unguided_noise(run, x, guided, unguided, middle / step.high)
            ahead = yield from run.denoise(halfway, middle)
            x = run.combine([(kept, x), (kept, guided), (-kept, unguided), (1.0 - kept, ahead)])
        x = run.add_noise(x, up, step.index)
        yield step.result(x, guided)


def dpmpp_2m_cfg_pp(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run DPM++ 2M with CFG++, as in ComfyUI. It draws no noise and has no options."""
    x = run.x
    previous: A | None = None
    last_width = 0.0
    for step in run.intervals():
        guided, unguided = yield from run.denoise_both(x, step.high)
        kept = step.low / step.high
        if previous is None or step.low == 0.0:
            x = _follow_unguided_noise(run, x, guided, unguided, kept)
        else:
            beyond = (1.0 - kept) * math.log(1.0 / kept) / (2.0 * last_width)
            terms = [(kept, x), (-kept, unguided), (1.0 + beyond, guided), (-beyond, previous)]
            x = run.combine(terms)
        last_width = math.log(step.high / step.low) if step.low > 0.0 else 0.0
        previous = unguided
        yield step.result(x, guided)


def res_multistep_cfg_pp(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run Res Multistep with CFG++, as in ComfyUI; with η above 0 it is ancestral.

    x is moved by D - U before a step along the line through two estimates without the prompt.
    """
    x = run.x
    previous: A | None = None
    widths: list[float] = []
    for step in run.intervals():
        guided, unguided = yield from run.denoise_both(x, step.high)
        down, up = run.ancestral_levels(step.high, step.low)
        kept = down / step.high
        if previous is None or down == 0.0:
            x = _follow_unguided_noise(run, x, guided, unguided, kept)
        else:
            new, old = line_weights(-math.log(kept), 0.0, widths)
            terms = [(kept, x), (kept, guided), (new - kept, unguided), (old, previous)]
            x = run.combine(terms)
        previous, widths = unguided, [-math.log(kept)] if down > 0.0 else []
        x = run.add_noise(x, up, step.index)
        yield step.result(x, guided)


def _follow_unguided_noise(run: SamplingRun[A], x: A, guided: A, unguided: A, kept: float) -> A:
    """Return D + kept·(x - U): at level 0, where nothing is kept, D itself."""
    if kept == 0.0:
        return guided
    return run.combine([(1.0, guided), (kept, x), (-kept, unguided)])
