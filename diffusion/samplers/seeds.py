"""SEEDS: exponential integrators for the SDE with network calls inside the step, no history.

Gonzalez et al. 2023 (arXiv 2305.14267), data prediction, in the variance-exploding form, where
λ = -log σ: as in ``sde.py``, a stretch of width h keeps e^(-(1 + η)h) of x. A step goes to levels
inside it, always from its start, and the noise of a stretch is carried on into the next: what is
left of it, and fresh noise for the new part. As ComfyUI has them:

* ``seeds_2``: a call at the middle, whose estimate makes the whole step;
* ``seeds_3``: calls at a third and at two thirds; each stretch is led by the line through the first
  and the latest estimate, integrated with φ₂.

A step to level 0 ends in the denoised picture. Noise is a ``BrownianPath``'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.brownian import BrownianPath
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.sde import SDE_ETA, IntervalNoise
from diffusion.samplers.stepping import Interval, intervals, phi

__all__ = ["seeds_2", "seeds_3"]

A = TypeVar("A")


@dataclass(frozen=True)
class SeedsSampler:
    """``shares``: where in a step, from 0 to 1, the network is called again."""

    shares: tuple[float, ...]

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
        for step in intervals(sigmas):
            denoised = denoise(x, step.high)
            if step.low == 0.0:
                x = denoised
            else:
                x = self._stepped(step, (x, denoised), denoise, algebra, path, options)
            yield Step(step.index, step.low, x, denoised)

    def _stepped(
        self,
        step: Interval,
        start: tuple[A, A],
        denoise: Denoiser[A],
        algebra: Algebra[A],
        path: IntervalNoise[A],
        options: SamplerOptions,
    ) -> A:
        """x at the step's end. ``start``: x and the estimate at its beginning."""
        x, first = start
        eta = options.eta_or(SDE_ETA)
        latest, drawn = first, None
        level, share = step.high, 0.0
        for part in (*self.shares, 1.0):
            low = step.high * (step.low / step.high) ** part if part < 1.0 else step.low
            if eta > 0.0:
                drawn = _carried(algebra, drawn, path, (level, low), eta)
            change, newest = self._weights((1.0 + eta) * math.log(step.high / low), part, share)
            terms = [(1.0 - change, x), (change - newest, first)]
            terms += [(newest, latest)] if share else []
            terms += [] if drawn is None else [(options.s_noise * low, drawn)]
            reached = algebra.combine(terms)
            if part < 1.0:
                latest = denoise(reached, low)
            level, share = low, part
        return reached

    def _weights(self, width: float, part: float, share: float) -> tuple[float, float]:
        """Of both estimates together, and of the one at ``share``, for the way to ``part``."""
        change, second, _ = phi(width)
        if share == 0.0:
            return change, 0.0
        line = change / 2.0 if len(self.shares) == 1 else second
        return change, line * part / share


def _carried(
    algebra: Algebra[A],
    drawn: A | None,
    path: IntervalNoise[A],
    levels: tuple[float, float],
    eta: float,
) -> A:
    """Noise of a step up to the lower of two levels, in its units; ``drawn``: to the higher."""
    high, low = levels
    left = eta * math.log(low / high)
    fresh = (math.sqrt(-math.expm1(2.0 * left)), path(high, low))
    return algebra.combine([fresh] if drawn is None else [(math.exp(left), drawn), fresh])


seeds_2 = SeedsSampler((1 / 2,))
seeds_3 = SeedsSampler((1 / 3, 2 / 3))
