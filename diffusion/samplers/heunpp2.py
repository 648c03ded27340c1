"""Heun++: Euler's slopes at up to three levels ahead, weighed by their levels.

From the project Carzit/sd-webui-samplers-scheduler, as ComfyUI and Forge have it: the slopes at the
next level and the one after weigh σ/(k·σ₀) each, with k the number of slopes and σ₀ the run's
highest level; the first slope takes the rest. The last step is Euler's, the one before looks one
level ahead: n steps, two or more, take 3n - 3 network calls.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.stepping import churned, intervals, slope, towards

__all__ = ["heunpp2"]

A = TypeVar("A")

LEVELS_AHEAD = 2


def heunpp2(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``. Noise is drawn only with ``s_churn``."""
    for step in intervals(sigmas):
        x, high = churned(step, x, algebra, noise, options)
        denoised = denoise(x, high)
        ends = [float(sigma) for sigma in sigmas[step.index + 1 : -1]][:LEVELS_AHEAD]
        if not ends:
            x = towards(algebra, x, denoised, high, step.low)
        else:
            slopes = [slope(algebra, x, denoised, high)]
            level, ahead = high, x
            for end in ends:
                ahead = algebra.combine([(1.0, ahead), (end - level, slopes[-1])])
                slopes.append(slope(algebra, ahead, denoise(ahead, end), end))
                level = end
            shares = [end / (len(slopes) * float(sigmas[0])) for end in ends]
            weights = [1.0 - sum(shares), *shares]
            moved = [(w * (step.low - high), d) for w, d in zip(weights, slopes, strict=True)]
            x = algebra.combine([(1.0, x), *moved])
        yield Step(step.index, step.low, x, denoised)
