"""DPM-Solver of order 1 to 3: the two samplers that choose their own levels between the ends.

Lu et al. 2022 (arXiv 2206.00927), algorithms 1, 2 and appendix C, in the variance-exploding form,
where λ = -log σ and σ·(eʰ - 1) is the difference of levels; as k-diffusion has them.

* ``dpm_fast`` spends as many network calls as the list has steps (the paper's "fast"): solver steps
  of equal width in λ, of order 3, and one or two lower ones at the end;
* ``dpm_adaptive`` makes steps as wide as the distance between orders 2 and 3 allows; the list only
  gives the ends. The same bits for a picture alone and in a batch need batches of one.

Both end at the list's last level above 0, and leave that much noise, as k-diffusion does. A list
without a second level above 0 is one step to its end.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final, Generic, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.errors import SettingsError
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.stepping import ancestral_levels, intervals, noised, slope, towards

__all__ = ["DPM_FAST_ETA", "dpm_adaptive", "dpm_fast", "fast_steps", "solver_end"]

A = TypeVar("A")

DPM_FAST_ETA: Final = 0.0
RELATIVE: Final = 0.05
ABSOLUTE: Final = 0.0078
"""Tolerances of ``dpm_adaptive``: a change of 1/128 is no visible one (section 4, "adaptive")."""
FIRST_WIDTH: Final = 0.05
LEAST_FACTOR: Final = 0.81
"""A step is taken where the width that it asks for next is at least this share of its own."""
MOST_STEPS: Final = 10_000
END: Final = 1e-5
"""A step that would end so near the last level ends there."""


@dataclass
class _Solver(Generic[A]):
    """One step's network calls; ``slopes`` keeps them by level, so that none is made twice."""

    denoise: Denoiser[A]
    algebra: Algebra[A]
    x: A
    high: float
    slopes: dict[float, A] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.denoised = self.denoise(self.x, self.high)
        self.slopes[self.high] = slope(self.algebra, self.x, self.denoised, self.high)

    def _slope(self, x: A, sigma: float) -> A:
        if sigma not in self.slopes:
            self.slopes[sigma] = slope(self.algebra, x, self.denoise(x, sigma), sigma)
        return self.slopes[sigma]

    def _moved(self, low: float, bend: float = 0.0, other: A | None = None) -> A:
        """x + (low - high)·ε - bend·(ε' - ε)."""
        first = self.slopes[self.high]
        terms = [(1.0, self.x), (low - self.high + bend, first)]
        return self.algebra.combine(terms if other is None else [*terms, (-bend, other)])

    def step(self, low: float, order: int, place: float = 0.5) -> A:
        """x at ``low``, of order 1, 2 (its second call at share ``place`` of λ) or 3."""
        width = math.log(self.high / low)
        if order == 1:
            return self._moved(low)
        if order == 2:
            between = _between(self.high, width, place)
            there = self._slope(self._moved(between), between)
            return self._moved(low, low * math.expm1(width) / (2.0 * place), there)
        near, far = (_between(self.high, width, share) for share in (1 / 3, 2 / 3))
        there = self._slope(self._moved(near), near)
        bend = far * 2.0 * (math.expm1(width * 2 / 3) / (width * 2 / 3) - 1.0)
        beyond = self._slope(self._moved(far, bend, there), far)
        return self._moved(low, low * 1.5 * (math.expm1(width) / width - 1.0), beyond)


def _between(high: float, width: float, share: float) -> float:
    return high * math.exp(-share * width)


def fast_steps(count: int) -> int:
    """Steps that ``dpm_fast`` makes of ``count`` network calls."""
    return count // 3 + 1


def dpm_fast(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Go from the first to the last level above 0, η = 0 unless chosen otherwise."""
    steps = list(intervals(sigmas))
    first, last = _ends(sigmas)
    if first == last:
        yield _whole(denoise, x, steps[0].high, steps[-1].low, algebra)
        return
    eta = options.eta_or(DPM_FAST_ETA)
    calls = len(steps)
    orders = [3] * (calls // 3 - 1) + [2, 1] if calls % 3 == 0 else [3] * (calls // 3) + [calls % 3]
    levels = np.geomspace(first, last, len(orders) + 1)
    for index, order in enumerate(orders):
        high, low = float(levels[index]), float(levels[index + 1])
        down = max(ancestral_levels(high, low, eta)[0], last)
        up = math.sqrt(low**2 - down**2)
        solver = _Solver(denoise, algebra, x, high)
        x = solver.step(down, order)
        x = noised(algebra, x, up, noise, index, options)
        yield Step(index, low, x, solver.denoised)


def dpm_adaptive(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Go from the first to the last level above 0. Draws no noise and has no options.

    Three network calls for each attempt; a refused attempt is not yielded. Numbers that are not
    finite end it: no step is narrow enough for them. Raises ``SettingsError`` where 10 000 attempts
    do not reach the end.
    """
    steps = list(intervals(sigmas))
    high, last = _ends(sigmas)
    if high == last:
        yield _whole(denoise, x, steps[0].high, steps[-1].low, algebra)
        return
    before, width, index = x, FIRST_WIDTH, 0
    for _ in range(MOST_STEPS):
        low = high * math.exp(-width)
        low = last if low <= last * (1.0 + END) else low
        solver = _Solver(denoise, algebra, x, high)
        lower, higher = solver.step(low, 2, 1 / 3), solver.step(low, 3)
        error = algebra.distance(lower, higher, before, ABSOLUTE, RELATIVE)
        if not math.isfinite(error):
            yield Step(index, last, higher, solver.denoised)
            return
        factor = 1.0 + math.atan((error + 1e-8) ** (-1 / 3) - 1.0)
        width *= factor
        if factor >= LEAST_FACTOR:
            before, x, high = lower, higher, low
            yield Step(index, low, x, solver.denoised)
            index += 1
            if high == last:
                return
    raise SettingsError("sampler", "dpm_adaptive", "its steps do not converge on this model")


def _ends(sigmas: Sequence[float] | NDArray[np.float64]) -> tuple[float, float]:
    """The first level and the last above 0."""
    above = [float(sigma) for sigma in sigmas if sigma > 0.0]
    return above[0], above[-1]


def solver_end(sigmas: Sequence[float] | NDArray[np.float64]) -> float:
    """The level at which these samplers end."""
    first, last = _ends(sigmas)
    return last if first > last else float(sigmas[-1])


def _whole(denoise: Denoiser[A], x: A, high: float, low: float, algebra: Algebra[A]) -> Step[A]:
    """The only step of a list without levels between: Euler's."""
    denoised = denoise(x, high)
    return Step(0, low, towards(algebra, x, denoised, high, low), denoised)
