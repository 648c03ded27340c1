"""Exponential integrators: the part of x that decays in λ = -log σ is solved exactly, by φ₁ and φ₂.

RES are the refined exponential solvers of Zhang et al. 2023 (arXiv 2308.02157), second order.
SEEDS are those of Gonzalez et al. 2023 (arXiv 2305.14267) for the stochastic equation. Both are
those for data prediction, in the variance-exploding form. A step to level 0 ends in the denoised
picture.
"""

from __future__ import annotations

import math
from typing import TypeVar

from diffusion.samplers.integrals import phi
from diffusion.samplers.protocols import Calls, StepsAndCalls
from diffusion.samplers.sampling_run import Interval, SamplingRun
from diffusion.samplers.sde import IntervalNoise, line_weights

__all__ = ["res_2s", "res_multistep", "seeds_2", "seeds_3"]

A = TypeVar("A")


def res_multistep(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run RES from the last two estimates of x₀; with η above 0 it is ancestral.

    The line through both estimates is integrated over the step; the first step is Euler's. It is
    ComfyUI's ``res_multistep`` with η = 0, else its ``res_multistep_ancestral``. The latter goes to
    the ancestral level below and back up by noise, and its widths of earlier steps are those of the
    ways down.
    """
    x = run.x
    estimates: list[A] = []
    widths: list[float] = []
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        estimates = [denoised, *estimates][:2]
        down, up = run.ancestral_levels(step.high, step.low)
        if down == 0.0:
            x = denoised
        else:
            width = math.log(step.high / down)
            factors = line_weights(width, 0.0, widths)
            x = run.combine([(math.exp(-width), x), *zip(factors, estimates, strict=True)])
            widths = [width]
        x = run.add_noise(x, up, step.index)
        yield step.result(x, denoised)


def res_2s(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run RES with a second network call at the middle of each step (c₂ = 1/2).

    It is stable-diffusion.cpp's, which has η = 0 by default.
    """
    x = run.x
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        down, up = run.ancestral_levels(step.high, step.low)
        if down == 0.0:
            x = denoised
        else:
            middle = math.sqrt(step.high * down)
            halfway = run.euler_step(x, denoised, step.high, middle)
            ahead = yield from run.denoise(halfway, middle)
            change, second, _ = phi(math.log(step.high / down))
            terms = [(1.0 - change, x), (change - 2.0 * second, denoised), (2.0 * second, ahead)]
            x = run.combine(terms)
        x = run.add_noise(x, up, step.index)
        yield step.result(x, denoised)


def seeds_2(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run SEEDS-2, as in ComfyUI: the estimate at the middle of a step makes all of it."""
    return _seeds(run, (1 / 2,))


def seeds_3(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run SEEDS-3, as in ComfyUI: further calls at a third and at two thirds of each step.

    Each stretch follows the line through the first and the latest estimate, integrated with φ₂.
    """
    return _seeds(run, (1 / 3, 2 / 3))


def _seeds(run: SamplingRun[A], shares: tuple[float, ...]) -> StepsAndCalls[A]:
    """Run SEEDS with further network calls at ``shares`` of each step, in log σ.

    As in ``sde.py``, a stretch of width h keeps e^(-(1 + η)h) of x. A step goes to levels inside
    it, always from its start. The noise of one stretch goes on into the next: a part of it is kept,
    and fresh noise of a ``BrownianPath`` is added for the new stretch.
    """
    x, path = run.x, run.brownian_path()
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        if step.low == 0.0:
            x = denoised
        else:
            x = yield from _seeds_step(run, step, x, denoised, path, shares)
        yield step.result(x, denoised)


def _seeds_step(
    run: SamplingRun[A],
    step: Interval,
    x: A,
    first: A,
    path: IntervalNoise[A],
    shares: tuple[float, ...],
) -> Calls[A, A]:
    """Return x at the step's end. ``first``: the estimate of x₀ at its start."""
    latest, noise = first, None
    level, share = step.high, 0.0
    for next_share in (*shares, 1.0):
        low = step.low
        if next_share < 1.0:
            low = step.high * (step.low / step.high) ** next_share
        if run.eta > 0.0:
            noise = _extend_noise(run, noise, path, level, low)
        change, second, _ = phi((1.0 + run.eta) * math.log(step.high / low))
        weight = 0.0
        if share > 0.0:
            line = change / 2.0 if len(shares) == 1 else second
            weight = line * next_share / share
        terms = [(1.0 - change, x), (change - weight, first)]
        if share > 0.0:
            terms.append((weight, latest))
        if noise is not None:
            terms.append((run.options.s_noise * low, noise))
        reached = run.combine(terms)
        if next_share < 1.0:
            latest = yield from run.denoise(reached, low)
        level, share = low, next_share
    return reached


def _extend_noise(
    run: SamplingRun[A], noise: A | None, path: IntervalNoise[A], high: float, low: float
) -> A:
    """Return a step's noise down to ``low``, in units of that level.

    ``noise``: the step's noise down to ``high``; None at the step's start.
    """
    decay = run.eta * math.log(low / high)
    fresh = (math.sqrt(-math.expm1(2.0 * decay)), path(high, low))
    return run.combine([fresh] if noise is None else [(math.exp(decay), noise), fresh])
