"""Restart: Heun's steps down, and now and then back up by fresh noise over a middle stretch.

Xu et al. 2023 (arXiv 2306.14878), algorithm 1, with A1111's choice of restarts: from 20 steps on
the levels between 0.1 and 2 are walked a second time with 9 of the steps, from 36 on a second and a
third time with a quarter of the steps each. The levels are then Karras's between the list's ends,
fewer by the steps of the restarts, so that all steps together are as many as the list has.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.heun import heun
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.stepping import intervals

__all__ = ["restart", "restarted"]

A = TypeVar("A")

RESTART_STEPS: Final = 20
"""Shorter runs have no restarts."""
LOW: Final = 0.1
HIGH: Final = 2.0
RHO: Final = 7.0


def restart(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``; the only option is ``s_noise``, of the restarts' noise."""
    still = SamplerOptions()
    level = math.inf
    steps = restarted([step.high for step in intervals(sigmas)], float(sigmas[-1]))
    for index, (high, low) in enumerate(steps):
        if high > level:
            added = options.s_noise * math.sqrt(high**2 - level**2)
            x = algebra.combine([(1.0, x), (added, noise(index))])
        (step,) = heun(denoise, x, [high, low], algebra, noise, still)
        x, level = step.x, low
        yield Step(index, low, x, step.denoised)


def restarted(highs: Sequence[float], end: float) -> list[tuple[float, float]]:
    """The steps of a run, each from a level to a lower one, the restarts among them.

    ``highs``: where the list's steps start; ``end``: its last level.
    """
    count = len(highs)
    if count < RESTART_STEPS:
        return list(itertools.pairwise([*highs, end]))
    each, times = (count // 4, 2) if count >= 36 else (9, 1)
    first, last = highs[0], highs[-1] if end == 0.0 else end
    levels = [*_karras(first, last, count - each * times + (end > 0.0)), *([0.0] * (end == 0.0))]
    steps = list(itertools.pairwise(levels))
    bottom, top = (min(range(len(levels)), key=lambda i: abs(levels[i] - at)) for at in (LOW, HIGH))
    if 0 < bottom < len(levels) - 1 and top < bottom:
        again = list(itertools.pairwise(_karras(levels[top], levels[bottom], each + 1)))
        steps[bottom:bottom] = again * times
    return steps


def _karras(first: float, last: float, count: int) -> list[float]:
    """``count`` levels, σ^(1/7) even between both ends (Karras et al. 2022, equation 5)."""
    spaced = np.linspace(first ** (1 / RHO), last ** (1 / RHO), count) ** RHO
    return [first, *spaced[1:-1].tolist(), last] if count > 1 else [first]
