"""DPM-Solver of order 1 to 3: the two samplers that choose the levels between the ends themselves.

Lu et al. 2022 (arXiv 2206.00927), algorithms 1, 2 and appendix C, as k-diffusion has them. In the
variance-exploding form, λ = -log σ, and σ·(eʰ - 1) is the difference of levels.

Both end at the list's last level above 0, and leave that much noise, as k-diffusion does. A list
with only one level above 0 is one step to its end.
"""

from __future__ import annotations

import math
from typing import Final, Generic, TypeVar

import numpy as np

from diffusion.errors import SettingsError
from diffusion.samplers.protocols import Calls, Sigmas, Step, StepsAndCalls
from diffusion.samplers.sampling_run import SamplingRun

__all__ = ["count_fast_steps", "dpm_adaptive", "dpm_fast", "find_last_level"]

A = TypeVar("A")

RELATIVE_TOLERANCE: Final = 0.05
ABSOLUTE_TOLERANCE: Final = 0.0078
"""A change of 1/128 is not visible (section 4, "adaptive")."""
FIRST_WIDTH: Final = 0.05
MIN_FACTOR: Final = 0.81
"""A step is accepted if the next one may be at least this share of its own width."""
MAX_ATTEMPTS: Final = 10_000
END_MARGIN: Final = 1e-5
"""A step that would end this close to the last level ends there."""


class _SolverStep(Generic[A]):
    """One step from a level down, whose slopes are kept so that no network call is made twice."""

    def __init__(self, run: SamplingRun[A], x: A, high: float, denoised: A) -> None:
        self._run = run
        self._x = x
        self._high = high
        self.denoised = denoised
        self._slopes = {high: run.slope(x, denoised, high)}

    def _slope(self, x: A, sigma: float) -> Calls[A, A]:
        if sigma not in self._slopes:
            denoised = yield from self._run.denoise(x, sigma)
            self._slopes[sigma] = self._run.slope(x, denoised, sigma)
        return self._slopes[sigma]

    def _move(self, low: float, bend: float = 0.0, other: A | None = None) -> A:
        """Return x + (low - high)·ε - bend·(ε' - ε), with ``other`` for ε'."""
        first = self._slopes[self._high]
        terms = [(1.0, self._x), (low - self._high + bend, first)]
        return self._run.combine(terms if other is None else [*terms, (-bend, other)])

    def solve(self, low: float, order: int, place: float = 0.5) -> Calls[A, A]:
        """Return x at ``low`` by the solver of order 1, 2 or 3.

        ``place``: where in λ the second call of order 2 is, as a share of the step.
        """
        width = math.log(self._high / low)
        if order == 1:
            return self._move(low)
        if order == 2:
            middle = self._high * math.exp(-place * width)
            slope = yield from self._slope(self._move(middle), middle)
            return self._move(low, low * math.expm1(width) / (2.0 * place), slope)
        near, far = (self._high * math.exp(-share * width) for share in (1 / 3, 2 / 3))
        near_slope = yield from self._slope(self._move(near), near)
        bend = far * 2.0 * (math.expm1(width * 2 / 3) / (width * 2 / 3) - 1.0)
        far_slope = yield from self._slope(self._move(far, bend, near_slope), far)
        return self._move(low, low * 1.5 * (math.expm1(width) / width - 1.0), far_slope)


def count_fast_steps(calls: int) -> int:
    """Return how many steps ``dpm_fast`` makes of that many network calls."""
    return calls // 3 + 1


def dpm_fast(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run solver steps of equal width in λ, with as many network calls as the list has steps.

    The paper's "fast" variant: steps of order 3, and one or two of lower order at the end.
    """
    steps = list(run.intervals())
    first, last = _ends(run.sigmas)
    if first == last:
        yield (yield from _single_step(run, steps[0].high, steps[-1].low))
        return
    x, calls = run.x, len(steps)
    orders = [3] * (calls // 3 - 1) + [2, 1] if calls % 3 == 0 else [3] * (calls // 3) + [calls % 3]
    levels = np.geomspace(first, last, len(orders) + 1)
    for index, order in enumerate(orders):
        high, low = float(levels[index]), float(levels[index + 1])
        down = max(run.ancestral_levels(high, low).down, last)
        step = _SolverStep(run, x, high, (yield from run.denoise(x, high)))
        x = yield from step.solve(down, order)
        x = run.add_noise(x, math.sqrt(low**2 - down**2), index)
        yield Step(index, low, x, step.denoised)


def dpm_adaptive(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run solver steps as wide as the distance between orders 2 and 3 allows.

    It uses only the ends of the list, draws no noise and has no options. A picture has the same
    bits alone and in a batch only with batches of one. Each attempt takes three network calls; a
    refused attempt is not yielded. The run ends where numbers are not finite, since no step is
    narrow enough for them. Raises ``SettingsError`` where 10 000 attempts do not reach the end.
    """
    steps = list(run.intervals())
    high, last = _ends(run.sigmas)
    if high == last:
        yield (yield from _single_step(run, steps[0].high, steps[-1].low))
        return
    x = previous = run.x
    width, index = FIRST_WIDTH, 0
    for _ in range(MAX_ATTEMPTS):
        low = high * math.exp(-width)
        low = last if low <= last * (1.0 + END_MARGIN) else low
        step = _SolverStep(run, x, high, (yield from run.denoise(x, high)))
        lower = yield from step.solve(low, 2, 1 / 3)
        higher = yield from step.solve(low, 3)
        error = run.algebra.distance(
            lower, higher, previous, ABSOLUTE_TOLERANCE, RELATIVE_TOLERANCE
        )
        if not math.isfinite(error):
            yield Step(index, last, higher, step.denoised)
            return
        factor = 1.0 + math.atan((error + 1e-8) ** (-1 / 3) - 1.0)
        width *= factor
        if factor >= MIN_FACTOR:
            previous, x, high = lower, higher, low
            yield Step(index, low, x, step.denoised)
            index += 1
            if high == last:
                return
    raise SettingsError("sampler", "dpm_adaptive", "its steps do not converge on this model")


def _ends(sigmas: Sigmas) -> tuple[float, float]:
    """Return the first level and the last above 0."""
    above = [float(sigma) for sigma in sigmas if sigma > 0.0]
    return above[0], above[-1]


def find_last_level(sigmas: Sigmas) -> float:
    """Return the level at which these samplers end."""
    first, last = _ends(sigmas)
    return last if first > last else float(sigmas[-1])


def _single_step(run: SamplingRun[A], high: float, low: float) -> Calls[A, Step[A]]:
    """Make the only step of a list with one level above 0: Euler's."""
    denoised = yield from run.denoise(run.x, high)
    return Step(0, low, run.euler_step(run.x, denoised, high, low), denoised)
