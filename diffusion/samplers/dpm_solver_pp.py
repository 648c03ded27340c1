"""DPM-Solver++ for the ordinary differential equation, second order.

Lu et al. 2022 (arXiv 2211.01095) in the variance-exploding form, where the paper's λ is -log σ. The
first step, and one that ends in level 0 (where λ is infinite), are of first order. A list that ends
above 0 is sampled in second order to its end.
"""

from __future__ import annotations

import math
from typing import TypeVar

from diffusion.samplers.protocols import StepsAndCalls
from diffusion.samplers.sampling_run import SamplingRun

__all__ = ["dpmpp_2m", "dpmpp_2m_v2", "dpmpp_2s", "dpmpp_2s_a"]

A = TypeVar("A")


def dpmpp_2m(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run DPM-Solver++(2M), algorithm 2, from the last two estimates: one network call a step.

    It draws no noise and has no options. It equals k-diffusion's ``sample_dpmpp_2m``, and
    diffusers' DPMSolverMultistepScheduler (``dpmsolver++``, midpoint) with
    ``final_sigmas_type="zero"``. With that option its ``lower_order_final`` changes nothing.
    """
    x = run.x
    previous: A | None = None
    last_width = 0.0
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        if previous is None or step.low == 0.0:
            x = run.euler_step(x, denoised, step.high, step.low)
        else:
            # Extrapolate the estimate to the step's middle: D + (width / last width)/2 · (D - D₋₁).
            kept = step.low / step.high
            beyond = math.log(step.high / step.low) / (2.0 * last_width)
            new, old = (1.0 - kept) * (1.0 + beyond), (kept - 1.0) * beyond
            x = run.combine([(kept, x), (new, denoised), (old, previous)])
        last_width = math.log(step.high / step.low) if step.low > 0.0 else 0.0
        previous = denoised
        yield step.result(x, denoised)


def dpmpp_2m_v2(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run stable-diffusion.cpp's ``dpm++2mv2``. It draws no noise and has no options.

    It is ``dpmpp_2m`` with two changes. A step's estimates weigh by the mean of its width and the
    last one's. The line through them uses the ratio of the narrower width to the wider. Where steps
    are equal in log σ it is ``dpmpp_2m``.
    """
    x = run.x
    previous: A | None = None
    last_width = 0.0
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        width = math.log(step.high / step.low) if step.low > 0.0 else 0.0
        if previous is None or step.low == 0.0:
            x = run.euler_step(x, denoised, step.high, step.low)
        else:
            change = -math.expm1(-(width + last_width) / 2.0)
            beyond = min(width, last_width) / (2.0 * max(width, last_width))
            new, old = change * (1.0 + beyond), -change * beyond
            x = run.combine([(step.low / step.high, x), (new, denoised), (old, previous)])
        previous, last_width = denoised, width
        yield step.result(x, denoised)


def dpmpp_2s(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run DPM-Solver++(2S), algorithm 1, over pairs of steps: one network call for each level.

    Each second level is the middle of a step from the level before it to the one after it. It draws
    no noise and has no options. It equals diffusers' DPMSolverSinglestepScheduler of order 2.
    """
    x = run.x
    start: tuple[float, A, A] | None = None  # of a pair: its level, x and estimate
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        if start is None or step.low == 0.0:
            start = step.high, x, denoised
            x = run.euler_step(x, denoised, step.high, step.low)
        else:
            high, start_x, start_denoised = start
            kept = step.low / high
            share = math.log(high / step.high) / math.log(high / step.low)
            middle = (1.0 - kept) / (2.0 * share)
            terms = [(kept, start_x), (1.0 - kept - middle, start_denoised), (middle, denoised)]
            x = run.combine(terms)
            start = None
        yield step.result(x, denoised)


def dpmpp_2s_a(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run DPM-Solver++(2S) to the ancestral level below, and back up by noise.

    Algorithm 1 with r = 1/2, two network calls a step: the step is made with the estimate at the
    middle of log σ.
    """
    x = run.x
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        down, up = run.ancestral_levels(step.high, step.low)
        ahead = denoised
        if down > 0.0:
            middle = math.sqrt(step.high * down)
            halfway = run.euler_step(x, denoised, step.high, middle)
            ahead = yield from run.denoise(halfway, middle)
        x = run.euler_step(x, ahead, step.high, down)
        x = run.add_noise(x, up, step.index)
        yield step.result(x, denoised)
