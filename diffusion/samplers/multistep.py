"""Higher order from the slopes of earlier steps: one network call a step.

The slope dx/dσ = ε = (x - D)/σ is continued from its last values and integrated over the step.
These samplers draw no noise. The option ``order`` is the number of slopes, by default 4.

The higher the order, the sooner guidance makes a sampler unstable, since guidance multiplies how
much a change of x changes the slope. The range over which Adams and Bashforth's method
of order 4 is stable is a seventh of Euler's. With few steps or much guidance, choose order 2.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Sequence
from typing import Final, TypeAlias, TypeVar

import numpy as np

from diffusion.samplers.integrals import integrate_grown_polynomials, integrate_polynomials
from diffusion.samplers.protocols import StepsAndCalls
from diffusion.samplers.sampling_run import SamplingRun

__all__ = ["deis", "gradient_estimation", "ipndm", "ipndm_v", "lms", "plms"]

A = TypeVar("A")

SlopeWeights: TypeAlias = Callable[[Sequence[float], float], list[float]]
"""``weights(levels, low)``: those of the last slopes, newest first, for a step to ``low``.

``levels``: where the slopes were taken, newest first.
"""

MAX_ORDER: Final = 4
DEIS_ORDER: Final = 2
LOWER_ORDER_STEPS: Final = 15
"""DEIS ends shorter runs than this with lower orders."""
EQUAL_STEPS: Final = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Adams and Bashforth's weights of order 1 to 4, newest slope first."""


def lms(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run the linear multistep method: Adams and Bashforth's for uneven steps.

    The polynomial in σ through the last slopes is integrated. It equals diffusers'
    LMSDiscreteScheduler and k-diffusion's ``sample_lms``.
    """
    order = run.options.order_or(MAX_ORDER, MAX_ORDER)
    return _multistep(run, _weights_in_sigma, order, euler_to_zero=False)


def deis(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run DEIS, of order 2 unless chosen otherwise: the polynomial is one in log σ.

    Zhang and Chen 2022 (arXiv 2204.13902), ρAB with log ρ as variable. The step to level 0, where
    log σ is infinite, is Euler's. Runs of less than 15 steps end with order 1 and, before it, 2, as
    in diffusers' DEISMultistepScheduler, which this equals with orders 2 and 3.
    """
    order = run.options.order_or(DEIS_ORDER, MAX_ORDER)
    return _multistep(run, _weights_in_log_sigma, order, fewest_steps=LOWER_ORDER_STEPS)


def ipndm(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run iPNDM: Adams and Bashforth's weights for equal steps, whatever the steps.

    Zhang and Chen 2022 (arXiv 2204.13902), section 4. The step to level 0 is Euler's, as in
    ComfyUI.
    """
    return _multistep(run, _weights_of_equal_steps, run.options.order_or(MAX_ORDER, MAX_ORDER))


def ipndm_v(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run iPNDM with weights for uneven steps; the step to level 0 is Euler's.

    The weights are those of zju-pi/diff-sampler, and so of ComfyUI, the only tools with this name.
    With order 3 and 4 they differ from the method's own where steps are uneven: ``lms`` has those.
    """
    return _multistep(run, _weights_of_ipndm_v, run.options.order_or(MAX_ORDER, MAX_ORDER))


def gradient_estimation(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run gradient estimation: the last two slopes weigh 2 and -1, whatever the steps.

    Permenter and Yuan 2023 (arXiv 2306.04848), their second-order sampler with γ = 2. The step to
    level 0 is Euler's. It is ComfyUI's, and stable-diffusion.cpp's ``euler_ge``; it has no options.
    """
    return _multistep(run, _weights_of_gradient_estimation, 2)


def _multistep(
    run: SamplingRun[A],
    weights: SlopeWeights,
    order: int,
    *,
    euler_to_zero: bool = True,
    fewest_steps: int = 0,
) -> StepsAndCalls[A]:
    """Run a solver that weighs the last ``order`` slopes; the first step is Euler's.

    ``euler_to_zero``: a step to level 0 is Euler's, too. ``fewest_steps``: in shorter runs, the
    order is at most the number of steps left.
    """
    x = run.x
    slopes: list[A] = []
    levels: list[float] = []
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        slopes = [run.slope(x, denoised, step.high), *slopes][:order]
        levels = [step.high, *levels][:order]
        left = step.count - step.index
        used = min(len(slopes), left) if step.count < fewest_steps else len(slopes)
        if used == 1 or (step.low == 0.0 and euler_to_zero):
            x = run.euler_step(x, denoised, step.high, step.low)
        else:
            factors = weights(levels[:used], step.low)
            x = run.combine([(1.0, x), *zip(factors, slopes, strict=False)])
        yield step.result(x, denoised)


def plms(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run PLMS, of order 4 unless 2 or 3 is chosen: ``ipndm`` with another first and last step.

    Liu et al. 2022 (arXiv 2202.09778), without the steps of Runge-Kutta. The first step is Heun's,
    with a second network call; the step to level 0 is as the others. It equals diffusers'
    PNDMScheduler with ``skip_prk_steps`` for networks that predict noise. For networks that predict
    v, diffusers weighs the v's instead.
    """
    x = run.x
    order = max(2, run.options.order_or(MAX_ORDER, MAX_ORDER))
    slopes: list[A] = []
    levels: list[float] = []
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        slopes = [run.slope(x, denoised, step.high), *slopes][:order]
        levels = [step.high, *levels][:order]
        if len(slopes) > 1:
            factors = _weights_of_equal_steps(levels, step.low)
            x = run.combine([(1.0, x), *zip(factors, slopes, strict=True)])
        else:
            ahead = run.euler_step(x, denoised, step.high, step.low)
            if step.low > 0.0:
                denoised_ahead = yield from run.denoise(ahead, step.low)
                slope_ahead = run.slope(ahead, denoised_ahead, step.low)
                half = (step.low - step.high) / 2.0
                ahead = run.combine([(1.0, x), (half, slopes[0]), (half, slope_ahead)])
            x = ahead
        yield step.result(x, denoised)


def _weights_of_equal_steps(levels: Sequence[float], low: float) -> list[float]:
    """Return Adams and Bashforth's weights for equal steps, times the step's width."""
    return [weight * (low - levels[0]) for weight in EQUAL_STEPS[len(levels) - 1]]


def _weights_of_gradient_estimation(levels: Sequence[float], low: float) -> list[float]:
    """Return γ and 1 - γ for γ = 2, times the step's width."""
    width = low - levels[0]
    return [2.0 * width, -width]


def _weights_in_sigma(levels: Sequence[float], low: float) -> list[float]:
    """Return ∫ of each level's Lagrange polynomial in σ, from the newest level to ``low``."""
    return integrate_polynomials(np.array(levels), levels[0], low)


def _weights_of_ipndm_v(levels: Sequence[float], low: float) -> list[float]:
    """Return the weights of zju-pi/diff-sampler's ``ipndm_v`` for 2 to 4 slopes.

    Each slope from the third on brings a further difference of slopes; its share is not quite the
    integral that Adams and Bashforth's method has there.
    """
    ends = [low, *levels]
    a, b, *earlier = [end - start for end, start in itertools.pairwise(ends)]
    weights = np.zeros(len(levels))
    weights[:2] = 1.0 + a / (2.0 * b), -a / (2.0 * b)
    if earlier:
        c = earlier[0]
        share = (1.0 - a * a / (3.0 * b * (b + c))) / 2.0
        weights[:3] += share * np.array([1.0, -1.0 - b / c, b / c])
    if len(earlier) > 1:
        d, two, three = earlier[1], a + b, a + b + c
        share = (1.0 - a / (3.0 * two)) / 2.0 + (1.0 - a / (2.0 * two)) * a / (6.0 * three)
        share *= a * two * three / (b * (b + c) * (b + c + d))
        far = b * (b + c) / (c * (c + d))
        weights += share * np.array(
            [1.0, -1.0 - b / c - far, b / c + far * (1.0 + c / d), -far * b / c]
        )
    return [float(a * weight) for weight in weights]


def _weights_in_log_sigma(levels: Sequence[float], low: float) -> list[float]:
    """Return ∫ of each level's Lagrange polynomial in u = log(σ / σ_newest), over σ, to ``low``.

    dσ = σ_newest·eᵘ du.
    """
    nodes = np.log(np.array(levels) / levels[0])
    end = math.log(low / levels[0])
    return [levels[0] * each for each in integrate_grown_polynomials(nodes, 0.0, end, 1.0)]
