"""Higher order from the slopes of earlier steps: one network call a step.

The slope dx/dσ = ε = (x - D)/σ is continued from its last values and integrated over the step:

* ``lms``: by the polynomial in σ through the last four (Adams and Bashforth's for uneven steps);
  diffusers' LMSDiscreteScheduler and k-diffusion's ``sample_lms``;
* ``deis``: by the polynomial in log σ through the last two (Zhang and Chen 2022, arXiv 2204.13902,
  ρAB with log ρ as variable); diffusers' DEISMultistepScheduler, order 3 without
  ``lower_order_final``. Its step to level 0, where log σ is infinite, is Euler's;
* ``ipndm``: by Adams and Bashforth's weights for equal steps, whatever the steps (the same paper,
  section 4), to order 4, the step to level 0 Euler's as in ComfyUI;
* ``ipndm_v``: as ``lms``, the step to level 0 Euler's: iPNDM with the weights of uneven steps. In
  the code of zju-pi/diff-sampler, and so in ComfyUI, a bracket of the third weight and a ratio of
  the fourth are misplaced, which counts where steps are uneven; here they are the method's;
* ``gradient_estimation``: by 2 and -1 of the last two, whatever the steps (Permenter and Yuan 2023,
  arXiv 2306.04848, their second-order sampler with γ = 2), the step to level 0 Euler's; ComfyUI's,
  and stable-diffusion.cpp's ``euler_ge``;
* ``plms``: as ``ipndm``, but the first step is Heun's with a second network call (Liu et al. 2022,
  arXiv 2202.09778, without Runge-Kutta's steps), and the step to level 0 is as the others;
  diffusers' PNDMScheduler with ``skip_prk_steps`` for networks that predict noise; of those that
  predict v it weighs v's instead.

The option ``order`` lowers the number of slopes (``deis``: up to 4). The higher the order, the
sooner guidance makes it unstable: guidance multiplies how far a change of x changes the slope, and
Adams and Bashforth's method of order 4 is stable over a seventh of what Euler's is. With few steps
or much guidance, choose order 2.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.polynomials import grown_shares, shares
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.stepping import intervals, slope, towards

__all__ = ["deis", "gradient_estimation", "ipndm", "ipndm_v", "lms", "plms"]

A = TypeVar("A")

Weights: TypeAlias = Callable[[Sequence[float], float], list[float] | None]
"""``weights(levels, low)``: those of the last slopes, newest first; None for an Euler step."""

MOST_ORDER = 4
DEIS_ORDER = 2
EQUAL_STEPS = (
    (1.0,),
    (3 / 2, -1 / 2),
    (23 / 12, -16 / 12, 5 / 12),
    (55 / 24, -59 / 24, 37 / 24, -9 / 24),
)
"""Adams and Bashforth's weights, newest slope first."""


def plms(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``. Draws no noise; order 4 unless chosen otherwise."""
    order = max(2, options.order_or(MOST_ORDER, MOST_ORDER))
    slopes: list[A] = []
    levels: list[float] = []
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        slopes = [slope(algebra, x, denoised, step.high), *slopes][:order]
        levels = [step.high, *levels][:order]
        if len(slopes) > 1:
            x = _moved(algebra, x, _equal_weights(levels, step.low), slopes)
        else:
            ahead = towards(algebra, x, denoised, step.high, step.low)
            if step.low > 0.0:
                there = slope(algebra, ahead, denoise(ahead, step.low), step.low)
                half = (step.low - step.high) / 2.0
                ahead = algebra.combine([(1.0, x), (half, slopes[0]), (half, there)])
            x = ahead
        yield Step(step.index, step.low, x, denoised)


def _moved(algebra: Algebra[A], x: A, weights: Sequence[float], slopes: Sequence[A]) -> A:
    """x + Σ weight·slope."""
    return algebra.combine([(1.0, x), *zip(weights, slopes, strict=True)])


def _equal_weights(levels: Sequence[float], low: float) -> list[float]:
    """Weights of the last slopes for equal steps, times the step's width."""
    return [weight * (low - levels[0]) for weight in EQUAL_STEPS[len(levels) - 1]]


def _ipndm_weights(levels: Sequence[float], low: float) -> list[float] | None:
    """Those for equal steps; the step to level 0 is Euler's."""
    return _equal_weights(levels, low) if low > 0.0 else None


def _ipndm_v_weights(levels: Sequence[float], low: float) -> list[float] | None:
    """Those of the polynomial in σ; the step to level 0 is Euler's."""
    return _weights_in_sigma(levels, low) if low > 0.0 else None


def _deis_weights(levels: Sequence[float], low: float) -> list[float] | None:
    """Those of the polynomial in log σ; the step to level 0 is Euler's."""
    return _weights_in_log_sigma(levels, low) if low > 0.0 else None


def _estimated_weights(levels: Sequence[float], low: float) -> list[float] | None:
    """γ and 1 - γ for γ = 2, times the step's width; the step to level 0 is Euler's."""
    width = low - levels[0]
    return [2.0 * width, -width] if low > 0.0 else None


def _weights_in_sigma(levels: Sequence[float], low: float) -> list[float]:
    """∫ of each level's Lagrange polynomial in σ, from the newest level to ``low``."""
    return shares(np.array(levels), levels[0], low)


def _weights_in_log_sigma(levels: Sequence[float], low: float) -> list[float]:
    """∫ of each level's Lagrange polynomial in u = log(σ / σ_newest), over σ, to ``low``.

    dσ = σ_newest·eᵘ du.
    """
    nodes = np.log(np.array(levels) / levels[0])
    end = math.log(low / levels[0])
    return [levels[0] * share for share in grown_shares(nodes, 0.0, end, 1.0)]


@dataclass(frozen=True)
class SlopeSampler:
    """The samplers of this file with one network call a step; ``weights`` tells them apart.

    ``order``: how many slopes count, unless chosen otherwise.
    """

    weights: Weights
    order: int = MOST_ORDER

    def __call__(
        self,
        denoise: Denoiser[A],
        x: A,
        sigmas: Sequence[float] | NDArray[np.float64],
        algebra: Algebra[A],
        noise: NoiseSource[A],
        options: SamplerOptions,
    ) -> Iterator[Step[A]]:
        """Walk ``x`` down ``sigmas``. Draws no noise."""
        order = options.order_or(self.order, MOST_ORDER)
        return through_slopes(denoise, x, sigmas, algebra, self.weights, order)


def through_slopes(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    weights: Weights,
    order: int,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas`` by the weighted sum of the last ``order`` slopes."""
    slopes: list[A] = []
    levels: list[float] = []
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        slopes = [slope(algebra, x, denoised, step.high), *slopes][:order]
        levels = [step.high, *levels][:order]
        given = weights(levels, step.low) if len(slopes) > 1 else None
        if given is None:
            x = towards(algebra, x, denoised, step.high, step.low)
        else:
            x = _moved(algebra, x, given, slopes)
        yield Step(step.index, step.low, x, denoised)


def gradient_estimation(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``. Draws no noise and has no options."""
    return through_slopes(denoise, x, sigmas, algebra, _estimated_weights, 2)


lms = SlopeSampler(_weights_in_sigma)
deis = SlopeSampler(_deis_weights, DEIS_ORDER)
ipndm = SlopeSampler(_ipndm_weights)
ipndm_v = SlopeSampler(_ipndm_v_weights)
