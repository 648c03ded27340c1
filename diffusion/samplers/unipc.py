"""UniPC: a multistep predictor, corrected by the next step's own network call; one call a step.

Zhao et al. 2023 (arXiv 2302.04867), algorithms 5 and 6 (data prediction) of order 3, in the
variance-exploding form, where λ is -log σ. ``unipc_bh2`` has B(h) = eʰ - 1 (``bh2``), ``unipc`` has
B(h) = h. Lower orders start a run and end it. diffusers' UniPCMultistepScheduler with
``solver_order=3`` and ``final_sigmas_type="zero"``.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.stepping import intervals, towards

__all__ = ["unipc", "unipc_bh2"]

A = TypeVar("A")

ORDER = 3


def unipc_bh2(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas`` with B(h) = eʰ - 1. Draws no noise; order 3 unless chosen."""
    return _walk(denoise, x, sigmas, algebra, True, options.order_or(ORDER, ORDER))


def unipc(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas`` with B(h) = h. Draws no noise; order 3 unless chosen."""
    return _walk(denoise, x, sigmas, algebra, False, options.order_or(ORDER, ORDER))


def _walk(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    curved: bool,
    most: int,
) -> Iterator[Step[A]]:
    """``curved``: B(h) = eʰ - 1. ``most``: the order in the middle of a run."""
    seen: list[A] = []
    levels: list[float] = []
    before, order = x, 0
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        if order > 0:
            kept, now, old = _corrector(step.high, levels[:order], curved)
            terms = [(kept, before), (now, denoised), *zip(old, seen, strict=False)]
            x = algebra.combine(terms)
        seen, levels = [denoised, *seen][:most], [step.high, *levels][:most]
        order = min(most, len(seen), step.count - step.index)
        before = x
        if order == 1:
            x = towards(algebra, x, denoised, step.high, step.low)
        else:
            kept, given = _predictor(step.low, levels[:order], curved)
            x = algebra.combine([(kept, x), *zip(given, seen, strict=False)])
        yield Step(step.index, step.low, x, denoised)


def _predictor(low: float, levels: Sequence[float], curved: bool) -> tuple[float, list[float]]:
    """Weights of x and of the last estimates, newest first, for a step to ``low``."""
    width, ratios = _places(low, levels)
    matrix, moments, scale = _conditions(width, [*ratios, 1.0], curved)
    if len(ratios) == 1:
        factors = np.array([0.5])
    else:
        factors = np.linalg.solve(matrix[:-1, :-1], moments[:-1])
    return low / levels[0], _on_estimates(width, scale, ratios, factors)


def _corrector(
    low: float, levels: Sequence[float], curved: bool
) -> tuple[float, float, list[float]]:
    """Weights of x before the step, of the estimate at ``low``, and of those before it."""
    width, ratios = _places(low, levels)
    matrix, moments, scale = _conditions(width, [*ratios, 1.0], curved)
    factors: NDArray[np.float64] = np.array([0.5])
    if ratios:
        factors = np.linalg.solve(matrix, moments).astype(np.float64)
    now = scale * float(factors[-1])
    old = _on_estimates(width, scale, ratios, factors[:-1])
    return low / levels[0], now, [old[0] - now, *old[1:]]


def _places(low: float, levels: Sequence[float]) -> tuple[float, list[float]]:
    """The step's width h in λ, and the older levels' places in units of it (below 0)."""
    width = math.log(levels[0] / low)
    return width, [math.log(levels[0] / level) / width for level in levels[1:]]


def _conditions(
    width: float, places: Sequence[float], curved: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64], float]:
    """The order conditions' matrix and right side (equation 8, with -h for h), and -B(-h)."""
    scale = -math.expm1(-width) if curved else width
    moments = []
    phi = math.expm1(-width) / -width - 1.0
    for k in range(1, len(places) + 1):
        moments.append(-phi * math.factorial(k) / scale)
        phi = phi / -width - 1.0 / math.factorial(k + 1)
    rows = [np.array(places) ** power for power in range(len(places))]
    return np.stack(rows), np.array(moments), scale


def _on_estimates(
    width: float, scale: float, ratios: Sequence[float], factors: NDArray[np.float64]
) -> list[float]:
    """Weights of the estimates where the differences (Dₖ - D₀)/rₖ have ``factors``."""
    old = [scale * float(f) / r for f, r in zip(factors, ratios, strict=True)]
    return [-math.expm1(-width) - sum(old), *old]
