"""SA-Solver: Adams's predictor and corrector for the SDE, one network call a step.

Xue et al. 2023 (arXiv 2309.05019), algorithm 1, predictor and corrector of two steps, data
prediction, in the variance-exploding form, where λ = -log σ. With c = 1 + τ² a step of width h
keeps e^(-ch) of x, and its noise has the deviation σ·√(1 - e^(-2τ²h)) at its end. The lines through
two estimates count with c·h²/2 and c·h/2 instead of the exact integral, as the authors and
diffusers have it. τ = η (1 by default) between two levels, 0 elsewhere. diffusers'
SASolverScheduler, whose list ends above 0; a step to level 0 ends in the denoised picture.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from typing import Final, TypeVar

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import Algebra, Denoiser, NoiseSource, Step
from diffusion.samplers.stepping import Interval, intervals

__all__ = ["SA_ETA", "sa_solver"]

A = TypeVar("A")

SA_ETA: Final = 1.0
NOISY: Final = (0.571, 5.115)
"""Levels where steps draw noise: those of Stable Diffusion's training steps 200 to 800."""


def sa_solver(
    denoise: Denoiser[A],
    x: A,
    sigmas: Sequence[float] | NDArray[np.float64],
    algebra: Algebra[A],
    noise: NoiseSource[A],
    options: SamplerOptions,
) -> Iterator[Step[A]]:
    """Walk ``x`` down ``sigmas``, η = 1 unless chosen otherwise."""
    eta = options.eta_or(SA_ETA)
    before: A | None = None
    width = tau = 0.0
    corrected: list[tuple[float, A]] = []  # x before the last step, its noise and its estimate
    for step in intervals(sigmas):
        denoised = denoise(x, step.high)
        if corrected:
            change, half = _weights(width, tau)
            now = [(change - half, corrected[-1][1]), (half, denoised)]
            x = algebra.combine([*corrected[:-1], *now])
        tau = eta if NOISY[0] <= step.high <= NOISY[1] else 0.0
        if step.low == 0.0:
            x = denoised
        else:
            last_width, width = width, math.log(step.high / step.low)
            start = _started(step, x, width, tau, noise, options)
            change, half = _weights(width, tau)
            final = step.index == step.count - 1
            beyond = 0.0 if before is None or final else half * width / last_width
            line = [] if before is None else [(-beyond, before)]
            x = algebra.combine([*start, (change + beyond, denoised), *line])
            corrected = [*start, (1.0, denoised)]
        before = denoised
        yield Step(step.index, step.low, x, denoised)


def _weights(width: float, tau: float) -> tuple[float, float]:
    """1 - e^(-ch), and c·h/2."""
    scaled = (1.0 + tau * tau) * width
    return -math.expm1(-scaled), scaled / 2.0


def _started(
    step: Interval, x: A, width: float, tau: float, noise: NoiseSource[A], options: SamplerOptions
) -> list[tuple[float, A]]:
    """What a step's predictor and its corrector share: the part of x that stays, and the noise."""
    kept = (math.exp(-(1.0 + tau * tau) * width), x)
    if tau == 0.0:
        return [kept]
    spread = step.low * math.sqrt(-math.expm1(-2.0 * tau * tau * width))
    return [kept, (options.s_noise * spread, noise(step.index))]
