"""Samplers for the stochastic differential equation (SDE) that draw noise at every step.

DPM-Solver++ is that of Lu et al. 2022 (arXiv 2211.01095, section 6 and appendix) in the
variance-exploding form, where λ = -log σ. A step of width h keeps e^(-(1 + η)h) of x, and its noise
has the deviation σ·√(1 - e^(-2ηh)) at its end. η = 1 is the paper's; η = 0 leaves the ordinary
equation.

A step to level 0 ends in the denoised picture. Noise is a ``BrownianPath``'s.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.integrals import phi
from diffusion.samplers.protocols import StepsAndCalls
from diffusion.samplers.sampling_run import SamplingRun

__all__ = [
    "IntervalNoise",
    "SdeWeights",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun",
    "dpmpp_3m_sde",
    "dpmpp_sde",
    "er_sde",
    "line_weights",
    "midpoint_weights",
    "sde_multistep",
]

A = TypeVar("A")
IntervalNoise: TypeAlias = Callable[[float, float], A]
"""``noise(high, low)``: unit normal noise of an interval of levels."""
SdeWeights: TypeAlias = Callable[[float, float, Sequence[float]], list[float]]
"""``weights(h, η, widths)``: those of the last estimates of x₀, newest first.

``widths``: the widths of earlier steps, newest first, two at most.
"""

ER_PARTS: Final = 200
ER_POWER: Final = 0.3
ER_OFFSET: Final = 10.0


def dpmpp_2m_sde(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run DPM-Solver++(2M) for the SDE, with the estimate at the step's middle.

    The last two estimates of x₀ are continued to the middle of the step. It equals diffusers'
    DPMSolverMultistepScheduler (``sde-dpmsolver++``, midpoint); the name is k-diffusion's.
    """
    return sde_multistep(run, midpoint_weights, run.brownian_path())


def dpmpp_2m_sde_heun(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run DPM-Solver++(2M) for the SDE, with the integrated line in λ through two estimates.

    It equals diffusers' DPMSolverMultistepScheduler (``sde-dpmsolver++``, ``heun``).
    """
    return sde_multistep(run, line_weights, run.brownian_path())


def dpmpp_3m_sde(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run DPM-Solver++(3M) for the SDE.

    The line also gets a second difference of the last three estimates, with half the weight of the
    parabola through them. The paper's authors and k-diffusion have it so.
    """
    return sde_multistep(run, parabola_weights, run.brownian_path())


def sde_multistep(
    run: SamplingRun[A], weights: SdeWeights, noise: IntervalNoise[A]
) -> StepsAndCalls[A]:
    """Run a solver that weighs the last estimates of x₀."""
    x, eta = run.x, run.eta
    estimates: list[A] = []
    widths: list[float] = []
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        estimates = [denoised, *estimates][:3]
        if step.low == 0.0:
            x = denoised
        else:
            width = math.log(step.high / step.low)
            kept = math.exp(-(1.0 + eta) * width)
            factors = weights(width, eta, widths)
            x = run.combine([(kept, x), *zip(factors, estimates, strict=False)])
            widths = [width, *widths][:2]
            if eta > 0.0:
                spread = step.low * math.sqrt(-math.expm1(-2.0 * eta * width))
                fresh = noise(step.high, step.low)
                x = run.combine([(1.0, x), (run.options.s_noise * spread, fresh)])
        yield step.result(x, denoised)


def midpoint_weights(width: float, eta: float, widths: Sequence[float]) -> list[float]:
    """Weigh the estimate at the middle of the step: D + (D - D₋₁)·width / (2·last width)."""
    change = -math.expm1(-(1.0 + eta) * width)
    beyond = width / (2.0 * widths[0]) if widths else 0.0
    return [change * (1.0 + beyond), -change * beyond][: len(widths) + 1]


def line_weights(width: float, eta: float, widths: Sequence[float]) -> list[float]:
    """Weigh the line through the last two estimates, integrated with φ₂."""
    change, second, _ = phi((1.0 + eta) * width)
    beyond = second * width / widths[0] if widths else 0.0
    return [change + beyond, -beyond][: len(widths) + 1]


def parabola_weights(width: float, eta: float, widths: Sequence[float]) -> list[float]:
    """Weigh a line with the slope that the parabola through three estimates has now.

    Its bend counts with φ₃.
    """
    if len(widths) < 2:
        return line_weights(width, eta, widths)
    change, second, third = phi((1.0 + eta) * width)
    r0, r1 = widths[0] / width, widths[1] / width
    # The first differences are (D - D₋₁)/r0 and (D₋₁ - D₋₂)/r1; ours are factors of them.
    bend = (second * r0 - third) / (r0 + r1)
    newer, older = (second + bend) / r0, -bend / r1
    return [change + newer, older - newer, -older]


def dpmpp_sde(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run DPM-Solver++(2S) for the SDE, k-diffusion's: two network calls a step.

    The second call is at the middle of the step, which is itself reached with noise.
    """
    path = run.brownian_path()

    def move(x: A, denoised: A, high: float, low: float) -> A:
        down, up = run.ancestral_levels(high, low)
        x = run.euler_step(x, denoised, high, down)
        if up == 0.0:
            return x
        return run.combine([(1.0, x), (run.options.s_noise * up, path(high, low))])

    x = run.x
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        ahead = denoised
        if step.low > 0.0:
            middle = math.sqrt(step.high * step.low)
            halfway = move(x, denoised, step.high, middle)
            ahead = yield from run.denoise(halfway, middle)
        x = move(x, ahead, step.high, step.low)
        yield step.result(x, denoised)


def er_sde(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run ER-SDE-Solver-3. The only option is ``s_noise``.

    Cui et al. 2023 (arXiv 2309.06169), algorithm of order 3, data prediction. The noise of its SDE
    follows φ(σ) = σ·(exp(σ^0.3) + 10): a step from a to b keeps φ(b)/φ(a) of x. The first and
    second difference of the estimates of x₀ are integrated with 1/φ by sums over the lower ends of
    200 equal parts. The authors' code and ComfyUI's ``er_sde`` do so. The first two steps are of
    lower order.
    """
    x, path = run.x, run.brownian_path()
    estimates: list[A] = []
    levels: list[float] = []
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        estimates, levels = [denoised, *estimates][:3], [step.high, *levels][:3]
        if step.low == 0.0:
            x = denoised
        else:
            kept = float(_er_scale(np.array(step.low)) / _er_scale(np.array(step.high)))
            factors = _er_weights(levels, step.low, kept)
            x = run.combine([(kept, x), *zip(factors, estimates, strict=True)])
            spread = run.options.s_noise * math.sqrt(step.low**2 - (kept * step.high) ** 2)
            x = run.combine([(1.0, x), (spread, path(step.high, step.low))])
        yield step.result(x, denoised)


def _er_scale(sigma: NDArray[np.float64]) -> NDArray[np.float64]:
    """Return φ(σ)."""
    scaled: NDArray[np.float64] = sigma * (np.exp(sigma**ER_POWER) + ER_OFFSET)
    return scaled


def _er_weights(levels: Sequence[float], low: float, kept: float) -> list[float]:
    """Return the weights of the last estimates, newest first, for a step to ``low``.

    ``levels``: where they were made; the newest is the step's start.
    """
    width = low - levels[0]
    ends: NDArray[np.float64] = low - width / ER_PARTS * np.arange(ER_PARTS, dtype=np.float64)
    shares = -width / ER_PARTS * float(_er_scale(np.array(low))) / _er_scale(ends)
    weights = np.zeros(len(levels))
    weights[0] = 1.0 - kept
    if len(levels) > 1:
        slope = np.zeros(len(levels))
        slope[:2] = np.array([1.0, -1.0]) / (levels[0] - levels[1])
        weights += (width + shares.sum()) * slope
    if len(levels) > 2:
        last_slope = np.array([0.0, 1.0, -1.0]) / (levels[1] - levels[2])
        bend = (slope - last_slope) / ((levels[0] - levels[2]) / 2.0)
        weights += (width**2 / 2.0 + float(shares @ (ends - levels[0]))) * bend
    return [float(weight) for weight in weights]
