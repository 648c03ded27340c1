"""Runge-Kutta methods: further network calls ahead of a step or in its middle, and no history."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np

from diffusion.samplers.protocols import Calls, Step, StepsAndCalls
from diffusion.samplers.sampling_run import SamplingRun

__all__ = ["dpm2", "dpm2_a", "heun", "heunpp2", "plan_restarts", "restart"]

A = TypeVar("A")

MIN_RESTART_STEPS: Final = 20
"""Shorter runs have no restarts."""
RESTART_LOW: Final = 0.1
RESTART_HIGH: Final = 2.0
KARRAS_RHO: Final = 7.0
LEVELS_AHEAD: Final = 2
"""Levels after a step's start at which ``heunpp2`` calls the network."""


def heun(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run Heun's method: two network calls a step. It draws noise only with ``s_churn``.

    Karras et al. 2022 (arXiv 2206.00364), algorithm 2, second order. The last step, to level 0, is
    Euler's, so that n steps take 2n - 1 calls. It equals diffusers' HeunDiscreteScheduler, which
    has no churning.
    """
    x = run.x
    for step in run.intervals():
        x, high = run.churn(step, x)
        denoised = yield from run.denoise(x, high)
        x = yield from _heun_step(run, x, denoised, high, step.low)
        yield step.result(x, denoised)


def _heun_step(run: SamplingRun[A], x: A, denoised: A, high: float, low: float) -> Calls[A, A]:
    """Move ``x`` by the mean of the slopes at both levels; to level 0, by Euler's step."""
    ahead = run.euler_step(x, denoised, high, low)
    if low == 0.0:
        return ahead
    # x + (low - high)/2 · ((x - denoised)/high + (ahead - denoised_ahead)/low)
    here, there = (low - high) / (2.0 * high), (low - high) / (2.0 * low)
    denoised_ahead = yield from run.denoise(ahead, low)
    terms = [(1.0 + here, x), (-here, denoised), (there, ahead), (-there, denoised_ahead)]
    return run.combine(terms)


def restart(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run Heun's method with restarts: jumps back up by fresh noise over a middle stretch.

    Xu et al. 2023 (arXiv 2306.14878), algorithm 1, with the restarts of ``plan_restarts``. The only
    option is ``s_noise``, for the noise of the restarts.
    """
    x, level = run.x, math.inf
    highs = [step.high for step in run.intervals()]
    for index, (high, low) in enumerate(plan_restarts(highs, float(run.sigmas[-1]))):
        if high > level:
            x = run.add_noise(x, math.sqrt(high**2 - level**2), index)
        denoised = yield from run.denoise(x, high)
        x, level = (yield from _heun_step(run, x, denoised, high, low)), low
        yield Step(index, low, x, denoised)


def plan_restarts(highs: Sequence[float], end: float) -> list[tuple[float, float]]:
    """Return all steps of a run with restarts, each from a level to a lower one.

    ``highs``: the levels where the list's steps start; ``end``: its last level. The restarts are
    A1111's. From 20 steps on, the levels between 0.1 and 2 are sampled a second time with 9 of the
    steps. From 36 steps on, they are sampled a second and a third time with a quarter of the steps
    each. The levels are then Karras's between the list's ends. They are fewer by the steps of the
    restarts, so that the number of all steps is that of the list.
    """
    count = len(highs)
    if count < MIN_RESTART_STEPS:
        return list(itertools.pairwise([*highs, end]))
    steps_each, restarts = (count // 4, 2) if count >= 36 else (9, 1)
    first, last = highs[0], highs[-1] if end == 0.0 else end
    levels = _karras_levels(first, last, count - steps_each * restarts + (end > 0.0))
    if end == 0.0:
        levels.append(0.0)
    steps = list(itertools.pairwise(levels))
    bottom, top = _nearest(levels, RESTART_LOW), _nearest(levels, RESTART_HIGH)
    if 0 < bottom < len(levels) - 1 and top < bottom:
        stretch = _karras_levels(levels[top], levels[bottom], steps_each + 1)
        steps[bottom:bottom] = list(itertools.pairwise(stretch)) * restarts
    return steps


def _nearest(levels: Sequence[float], sigma: float) -> int:
    """Return the index of the level nearest to ``sigma``."""
    return min(range(len(levels)), key=lambda index: abs(levels[index] - sigma))


def _karras_levels(first: float, last: float, count: int) -> list[float]:
    """Return ``count`` levels, even in σ^(1/7) (Karras et al. 2022, equation 5)."""
    ends = first ** (1 / KARRAS_RHO), last ** (1 / KARRAS_RHO)
    spaced = np.linspace(*ends, count) ** KARRAS_RHO
    return [first, *spaced[1:-1].tolist(), last] if count > 1 else [first]


def heunpp2(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run Heun++: slopes at the levels ahead. It draws noise only with ``s_churn``.

    From the project Carzit/sd-webui-samplers-scheduler, as in ComfyUI and Forge. The slopes at the
    next level and the one after weigh σ/(k·σ₀) each, with k the number of slopes and σ₀ the run's
    highest level; the first slope takes the rest. The last step is Euler's, and the one before
    looks one level ahead. A run of n ≥ 2 steps takes 3n - 3 network calls.
    """
    x = run.x
    for step in run.intervals():
        x, high = run.churn(step, x)
        denoised = yield from run.denoise(x, high)
        ends = [float(sigma) for sigma in run.sigmas[step.index + 1 : -1]][:LEVELS_AHEAD]
        if not ends:
            x = run.euler_step(x, denoised, high, step.low)
        else:
            slopes = [run.slope(x, denoised, high)]
            level, ahead = high, x
            for end in ends:
                ahead = run.combine([(1.0, ahead), (end - level, slopes[-1])])
                denoised_ahead = yield from run.denoise(ahead, end)
                slopes.append(run.slope(ahead, denoised_ahead, end))
                level = end
            shares = [end / (len(slopes) * float(run.sigmas[0])) for end in ends]
            weights = [1.0 - sum(shares), *shares]
            moves = [(w * (step.low - high), d) for w, d in zip(weights, slopes, strict=True)]
            x = run.combine([(1.0, x), *moves])
        yield step.result(x, denoised)


def dpm2(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run DPM-Solver-2, the midpoint rule. It draws noise only with ``s_churn``.

    Lu et al. 2022 (arXiv 2206.00927), algorithm 1, r = 1/2. In the variance-exploding form it is
    the midpoint rule with the slope (x - D)/σ. The middle of a step is that of log σ. A step to
    level 0 is Euler's. It equals diffusers' KDPM2DiscreteScheduler, which has no churning.
    """
    x = run.x
    for step in run.intervals():
        x, high = run.churn(step, x)
        denoised = yield from run.denoise(x, high)
        x = yield from _midpoint_step(run, x, denoised, high, step.low)
        yield step.result(x, denoised)


def dpm2_a(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run the midpoint rule to the ancestral level below, and back up by noise.

    It equals diffusers' KDPM2AncestralDiscreteScheduler, which has no η.
    """
    x = run.x
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        down, up = run.ancestral_levels(step.high, step.low)
        x = yield from _midpoint_step(run, x, denoised, step.high, down)
        x = run.add_noise(x, up, step.index)
        yield step.result(x, denoised)


def _midpoint_step(run: SamplingRun[A], x: A, denoised: A, high: float, low: float) -> Calls[A, A]:
    """Move ``x`` with the slope at the middle of both levels."""
    if low == 0.0:
        return denoised
    middle = math.sqrt(high * low)
    halfway = run.euler_step(x, denoised, high, middle)
    slope = run.slope(halfway, (yield from run.denoise(halfway, middle)), middle)
    return run.combine([(1.0, x), (low - high, slope)])
