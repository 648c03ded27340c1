"""SA-Solver with both of its network calls: predict, evaluate, correct, evaluate.

Xue et al. 2023 (arXiv 2309.05019), algorithm 1 in the mode PECE, equations 15 and 18, data
prediction, in the variance-exploding form: predictor of three steps and corrector of four, the
polynomials in λ = -log σ integrated exactly, orders lowered to 1 towards a last level of 0.
ComfyUI's ``sa_solver_pece``; ``sa_solver`` is diffusers', of two steps and one call. τ = η (1 by
default) for steps that lead to a level between the two of ``sa_solver``, 0 elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.polynomials import grown_shares
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.sa_solver import NOISY, SA_ETA
from diffusion.samplers.stepping import Interval, intervals

__all__ = ["sa_solver_pece"]

A = TypeVar("A")

PREDICTOR: Final = 3
CORRECTOR: Final = 4


def sa_solver_pece(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``, η = 1 unless chosen otherwise. Two calls a step but the first."""
    seen: list[A] = []
    levels: list[float] = []
    tau, start = 0.0, x
    for step in intervals(sigmas):
        left = step.count - step.index if float(sigmas[-1]) == 0.0 else CORRECTOR + 1
        denoised = first = denoise(x, step.high)
        seen, levels = [denoised, *seen][:CORRECTOR], [step.high, *levels][:CORRECTOR]
        if step.index > 0:
            nodes = levels[: min(CORRECTOR, left)]
            given = _weights(nodes, (levels[1], step.high), tau)
            x = algebra.combine([(1.0, start), *zip(given, seen, strict=False)])
            denoised = denoise(x, step.high)
            seen[0] = denoised
        if step.low == 0.0:
            x = denoised
        else:
            tau = options.eta_or(SA_ETA) if NOISY[0] <= step.low <= NOISY[1] else 0.0
            start = _started(step, x, tau, algebra, noise, options)
            nodes = levels[: min(PREDICTOR, left - 1)]
            given = _weights(nodes, (step.high, step.low), tau)
            x = algebra.combine([(1.0, start), *zip(given, seen, strict=False)])
        yield Step(step.index, step.low, x, first)


def _weights(nodes: Sequence[float], step: tuple[float, float], tau: float) -> list[float]:
    """∫ c·e^(-c(λ' - λ)) of each level's Lagrange polynomial over a step; c = 1 + τ²."""
    high, low = step
    places = np.log(low / np.array(nodes))
    return grown_shares(places, math.log(low / high), 0.0, 1.0 + tau * tau)


def _started(
    step: Interval,
    x: A,
    tau: float,
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> A:
    """What a step's predictor and its corrector share: the part of x that stays, and the noise."""
    width = math.log(step.high / step.low)
    kept = [(math.exp(-(1.0 + tau * tau) * width), x)]
    if tau == 0.0:
        return algebra.combine(kept)
    spread = step.low * math.sqrt(-math.expm1(-2.0 * tau * tau * width))
    return algebra.combine([*kept, (options.s_noise * spread, noise(step.index))])
