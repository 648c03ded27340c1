"""ER-SDE-Solver-3: third order for an SDE whose noise follows a chosen function of the level.

Cui et al. 2023 (arXiv 2309.06169), algorithm of order 3, data prediction, in the variance-exploding
form, with their φ(σ) = σ·(exp(σ^0.3) + 10): a step from a to b keeps φ(b)/φ(a) of x. The first and
second difference of the estimates of x₀ are integrated with 1/φ by sums over the lower ends of 200
equal parts, as the authors' code and ComfyUI's ``er_sde`` have it. The first two steps are of lower
order; a step to level 0 ends in the denoised picture. Noise is a ``BrownianPath``'s.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.brownian import BrownianPath
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.stepping import intervals

__all__ = ["er_sde"]

A = TypeVar("A")

PARTS: Final = 200
POWER: Final = 0.3
OFFSET: Final = 10.0


def er_sde(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``; the only option is ``s_noise``."""
    path = BrownianPath(algebra, noise)
    seen: list[A] = []
    levels: list[float] = []
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        seen, levels = [denoised, *seen][:3], [step.high, *levels][:3]
        if step.low == 0.0:
            x = denoised
        else:
            kept = float(_scale(np.array(step.low)) / _scale(np.array(step.high)))
            given = _weights(levels, step.low, kept)
            x = algebra.combine([(kept, x), *zip(given, seen, strict=True)])
            spread = options.s_noise * math.sqrt(step.low**2 - (kept * step.high) ** 2)
            x = algebra.combine([(1.0, x), (spread, path(step.high, step.low))])
        yield Step(step.index, step.low, x, denoised)


def _scale(sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """φ(σ)."""
    scaled: NDArray[np.float64] = sigma * (np.exp(sigma**POWER) + OFFSET)
    return scaled


def _weights(levels: Sequence[float], low: float, kept: float) -> list[float]:
    """Of the last estimates, newest first, for a step from the newest level to ``low``."""
    width = low - levels[0]
    ends: NDArray[np.float64] = low - width / PARTS * np.arange(PARTS, dtype=np.float64)
    shares = -width / PARTS * float(_scale(np.array(low))) / _scale(ends)
    weights = np.zeros(len(levels))
    weights[0] = 1.0 - kept
    if len(levels) > 1:
        slope = np.zeros(len(levels))
        slope[:2] = np.array([1.0, -1.0]) / (levels[0] - levels[1])
        weights += (width + shares.sum()) * slope
    if len(levels) > 2:
        before = np.array([0.0, 1.0, -1.0]) / (levels[1] - levels[2])
        bend = (slope - before) / ((levels[0] - levels[2]) / 2.0)
        weights += (width**2 / 2.0 + float(shares @ (ends - levels[0]))) * bend
    return [float(weight) for weight in weights]
