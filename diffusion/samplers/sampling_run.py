"""One run of a sampler: what it is given, and the moves that samplers share.

A sampler is a generator function of one ``SamplingRun``. It yields a ``Step`` after each interval
of noise levels, and does no work before it is asked for the next one. It yields a ``NetworkCall``
where it needs an estimate, which it is sent: so the calls of several runs can be made together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Final, Generic, NamedTuple, Protocol, TypeVar

from diffusion.errors import SettingsError
from diffusion.samplers.brownian import BrownianPath
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import (
    Algebra,
    Calls,
    NetworkCall,
    NoiseSource,
    Sigmas,
    Step,
    StepsAndCalls,
)

__all__ = ["AncestralLevels", "Interval", "SamplerFunction", "SamplingRun"]

A = TypeVar("A")

MAX_CHURN: Final = math.sqrt(2.0) - 1.0
"""Churning raises a step's level by a factor of √2 at most (Karras et al. 2022, algorithm 2)."""


@dataclass(frozen=True, slots=True)
class Interval:
    """The noise levels of one step: from ``high`` to ``low``; step ``index`` of ``count``."""

    index: int
    count: int
    high: float
    low: float

    def result(self, x: A, denoised: A) -> Step[A]:
        """Return the step's result: ``x`` at level ``low``, and the first estimate of x₀."""
        return Step(self.index, self.low, x, denoised)


class AncestralLevels(NamedTuple):
    """The level that a step goes ``down`` to, and the noise that brings it ``up`` to its end.

    down² + up² is the square of the step's lower level.
    """

    down: float
    up: float


@dataclass(frozen=True, eq=False)
class SamplingRun(Generic[A]):
    """Everything that a sampler is given, and the moves that samplers share.

    ``x``: the array to start from, at the first level of ``sigmas``; it is never written to.
    ``sigmas``: falling noise levels; there is one step for each pair of neighbours.
    """

    x: A
    sigmas: Sigmas
    algebra: Algebra[A]
    noise: NoiseSource[A]
    options: SamplerOptions

    @property
    def eta(self) -> float:
        """The share of the noise that steps draw anew, 0 where none was chosen."""
        return self.options.eta or 0.0

    def intervals(self) -> Iterator[Interval]:
        """Yield the steps' intervals. Raises ``SettingsError`` unless levels fall to 0 or above."""
        levels = [float(sigma) for sigma in self.sigmas]
        pairs = list(itertools.pairwise(levels))
        falling = all(high > low for high, low in pairs)
        if not pairs or not falling or levels[-1] < 0.0 or math.isinf(levels[0]):
            raise SettingsError("sigmas", levels, "give two or more levels that fall to 0 or above")
        for index, (high, low) in enumerate(pairs):
            yield Interval(index, len(pairs), high, low)

    def denoise(self, x: A, sigma: float) -> Calls[A, A]:
        """Call the network; return the guided estimate of x₀."""
        estimate = yield NetworkCall(x, sigma)
        assert estimate is not None
        return estimate.guided

    def denoise_both(self, x: A, sigma: float) -> Calls[A, tuple[A, A]]:
        """Call the network; return the guided estimate of x₀, and the one without the prompt."""
        estimate = yield NetworkCall(x, sigma, both=True)
        assert estimate is not None
        guided, unguided = estimate
        return guided, guided if unguided is None else unguided

    def combine(self, terms: Sequence[tuple[float, A]]) -> A:
        """Return a new array: the sum of factor × array over 1 to 5 ``terms``."""
        return self.algebra.combine(terms)

    def euler_step(self, x: A, denoised: A, high: float, low: float) -> A:
        """Move ``x`` from level ``high`` to ``low`` on the straight line to ``denoised``.

        x + (low - high)·(x - denoised) / high; at level 0 it is ``denoised`` itself.
        """
        if low == 0.0:
            return denoised
        kept = low / high
        return self.combine([(kept, x), (1.0 - kept, denoised)])

    def slope(self, x: A, denoised: A, sigma: float) -> A:
        """Return dx/dσ = (x - D) / σ, which is also the estimate of the noise in ``x``."""
        return self.combine([(1.0 / sigma, x), (-1.0 / sigma, denoised)])

    def ancestral_levels(self, high: float, low: float) -> AncestralLevels:
        """Return where an ancestral step from ``high`` to ``low`` goes, and the noise it adds.

        The noise is η·low·√(1 - low²/high²) (Song et al. 2021, arXiv 2010.02502, equation 16).
        """
        up = self.eta * low * math.sqrt(1.0 - (low / high) ** 2)
        return AncestralLevels(math.sqrt(low**2 - up**2), up)

    def add_noise(self, x: A, deviation: float, index: int) -> A:
        """Add the noise of step ``index`` to ``x``; for a deviation of 0, return ``x`` itself."""
        if deviation > 0.0:
            return self.combine([(1.0, x), (self.options.s_noise * deviation, self.noise(index))])
        return x

    def churn(self, step: Interval, x: A) -> tuple[A, float]:
        """Return ``x`` with fresh noise and its raised level.

        Karras et al. 2022 (arXiv 2206.00364), algorithm 2, lines 4 to 6.
        """
        options = self.options
        if options.s_churn == 0.0 or not options.s_tmin <= step.high <= options.s_tmax:
            return x, step.high
        raised = step.high * (1.0 + min(options.s_churn / step.count, MAX_CHURN))
        added = options.s_noise * math.sqrt(raised**2 - step.high**2)
        return self.combine([(1.0, x), (added, self.noise(step.index))]), raised

    def brownian_path(self) -> BrownianPath[A]:
        """Return a new path whose draws are the run's noise."""
        return BrownianPath(self.algebra, self.noise)


class SamplerFunction(Protocol):
    """A sampler's algorithm: yields one ``Step`` for each interval of the run, and its calls."""

    def __call__(self, run: SamplingRun[A]) -> StepsAndCalls[A]: ...
