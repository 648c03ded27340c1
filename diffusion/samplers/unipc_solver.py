"""UniPC: a multistep predictor, corrected by the next step's own network call; one call a step.

Zhao et al. 2023 (arXiv 2302.04867), algorithms 5 and 6 (data prediction) of order 3, in the
variance-exploding form, where λ is -log σ. ``unipc_bh2`` has B(h) = eʰ - 1 (``bh2``), ``unipc`` has
B(h) = h. Lower orders start a run and end it. It equals diffusers' UniPCMultistepScheduler with
``solver_order=3`` and ``final_sigmas_type="zero"``.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.protocols import StepsAndCalls
from diffusion.samplers.sampling_run import SamplingRun

__all__ = ["unipc", "unipc_bh2"]

A = TypeVar("A")

MAX_ORDER: Final = 3


class _OrderConditions(NamedTuple):
    """The linear system of equation 8, with -h for h, and the factor -B(-h)."""

    matrix: NDArray[np.float64]
    moments: NDArray[np.float64]
    scale: float


def unipc_bh2(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run UniPC with B(h) = eʰ - 1, of order 3 unless chosen lower. It draws no noise."""
    return _predict_and_correct(run, exponential=True)


def unipc(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run UniPC with B(h) = h, of order 3 unless chosen lower. It draws no noise."""
    return _predict_and_correct(run, exponential=False)


def _predict_and_correct(run: SamplingRun[A], *, exponential: bool) -> StepsAndCalls[A]:
    """Run UniPC. ``exponential``: B(h) = eʰ - 1."""
    highest = run.options.order_or(MAX_ORDER, MAX_ORDER)
    estimates: list[A] = []
    levels: list[float] = []
    x = start = run.x
    order = 0
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        if order > 0:
            kept, new, old = _corrector_weights(step.high, levels[:order], exponential)
            x = run.combine([(kept, start), (new, denoised), *zip(old, estimates, strict=False)])
        estimates, levels = [denoised, *estimates][:highest], [step.high, *levels][:highest]
        order = min(highest, len(estimates), step.count - step.index)
        start = x
        if order == 1:
            x = run.euler_step(x, denoised, step.high, step.low)
        else:
            kept, factors = _predictor_weights(step.low, levels[:order], exponential)
            x = run.combine([(kept, x), *zip(factors, estimates, strict=False)])
        yield step.result(x, denoised)


def _predictor_weights(
    low: float, levels: Sequence[float], exponential: bool
) -> tuple[float, list[float]]:
    """Return the weights of x and of the last estimates, newest first, for a step to ``low``."""
    width, ratios = _measure_step(low, levels)
    matrix, moments, scale = _order_conditions(width, [*ratios, 1.0], exponential)
    if len(ratios) == 1:
        factors = np.array([0.5])
    else:
        factors = np.linalg.solve(matrix[:-1, :-1], moments[:-1])
    return low / levels[0], _estimate_weights(width, scale, ratios, factors)


def _corrector_weights(
    low: float, levels: Sequence[float], exponential: bool
) -> tuple[float, float, list[float]]:
    """Return the weights of x before the step, of the estimate at ``low``, and of older ones."""
    width, ratios = _measure_step(low, levels)
    matrix, moments, scale = _order_conditions(width, [*ratios, 1.0], exponential)
    factors: NDArray[np.float64] = np.array([0.5])
    if ratios:
        factors = np.linalg.solve(matrix, moments).astype(np.float64)
    new = scale * float(factors[-1])
    old = _estimate_weights(width, scale, ratios, factors[:-1])
    return low / levels[0], new, [old[0] - new, *old[1:]]


def _measure_step(low: float, levels: Sequence[float]) -> tuple[float, list[float]]:
    """Return the step's width h in λ, and the older levels' places in units of it (below 0)."""
    width = math.log(levels[0] / low)
    return width, [math.log(levels[0] / level) / width for level in levels[1:]]


def _order_conditions(width: float, places: Sequence[float], exponential: bool) -> _OrderConditions:
    """Return the conditions that weights at ``places`` meet."""
    scale = -math.expm1(-width) if exponential else width
    moments = []
    phi = math.expm1(-width) / -width - 1.0
    for k in range(1, len(places) + 1):
        moments.append(-phi * math.factorial(k) / scale)
        phi = phi / -width - 1.0 / math.factorial(k + 1)
    rows = [np.array(places) ** power for power in range(len(places))]
    return _OrderConditions(np.stack(rows), np.array(moments), scale)


def _estimate_weights(
    width: float, scale: float, ratios: Sequence[float], factors: NDArray[np.float64]
) -> list[float]:
    """Return the estimates' weights where the differences (Dₖ - D₀)/rₖ have ``factors``."""
    old = [scale * float(f) / r for f, r in zip(factors, ratios, strict=True)]
    return [-math.expm1(-width) - sum(old), *old]
