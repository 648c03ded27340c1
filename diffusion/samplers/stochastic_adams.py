"""SA-Solver: Adams's predictor and corrector for the stochastic differential equation.

Xue et al. 2023 (arXiv 2309.05019), algorithm 1, data prediction, in the variance-exploding form,
where λ = -log σ. With c = 1 + τ², a step of width h keeps e^(-ch) of x. Its noise has the deviation
σ·√(1 - e^(-2τ²h)) at its end. τ = η (1 by default) between two levels, and 0 elsewhere.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, TypeVar

import numpy as np

from diffusion.samplers.integrals import integrate_grown_polynomials
from diffusion.samplers.protocols import StepsAndCalls
from diffusion.samplers.sampling_run import Interval, SamplingRun

__all__ = ["NOISY_HIGH", "NOISY_LOW", "sa_solver", "sa_solver_pece"]

A = TypeVar("A")

NOISY_LOW: Final = 0.571
NOISY_HIGH: Final = 5.115
"""Steps between these levels draw noise: those of Stable Diffusion's training steps 200 to 800."""
PREDICTOR_STEPS: Final = 3
CORRECTOR_STEPS: Final = 4
"""Both for ``sa_solver_pece``."""


def sa_solver(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run SA-Solver with predictor and corrector of two steps: one network call a step.

    The lines through two estimates count with c·h²/2 and c·h/2 instead of the exact integral, as in
    the code of the authors and of diffusers. τ depends on the level that a step starts from. It
    equals diffusers' SASolverScheduler, whose list ends above 0. Here a step to level 0 ends in the
    denoised picture.
    """
    x = run.x
    previous: A | None = None
    width = tau = 0.0
    last: list[tuple[float, A]] = []  # x before the last step, its noise and its estimate
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        if last:
            change, half = _line_weights(width, tau)
            x = run.combine([*last[:-1], (change - half, last[-1][1]), (half, denoised)])
        tau = _tau(run, step.high)
        if step.low == 0.0:
            x = denoised
        else:
            last_width, width = width, math.log(step.high / step.low)
            start = _start_terms(run, step, x, tau)
            change, half = _line_weights(width, tau)
            is_last = step.index == step.count - 1
            beyond = 0.0 if previous is None or is_last else half * width / last_width
            line = [] if previous is None else [(-beyond, previous)]
            x = run.combine([*start, (change + beyond, denoised), *line])
            last = [*start, (1.0, denoised)]
        previous = denoised
        yield step.result(x, denoised)


def sa_solver_pece(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run SA-Solver in the mode PECE: two network calls a step.

    The steps are predict, evaluate, correct, evaluate. Equations 15 and 18 of the paper: predictor
    of three steps and corrector of four, the polynomials in λ integrated exactly. Orders are
    lowered to 1 towards a last level of 0. τ depends on the level that a step leads to. It is
    ComfyUI's. The first step has one call.
    """
    x = start = run.x
    estimates: list[A] = []
    levels: list[float] = []
    tau = 0.0
    for step in run.intervals():
        steps_left = CORRECTOR_STEPS + 1
        if float(run.sigmas[-1]) == 0.0:
            steps_left = step.count - step.index
        denoised = first = yield from run.denoise(x, step.high)
        estimates = [denoised, *estimates][:CORRECTOR_STEPS]
        levels = [step.high, *levels][:CORRECTOR_STEPS]
        if step.index > 0:
            nodes = levels[: min(CORRECTOR_STEPS, steps_left)]
            factors = _adams_weights(nodes, levels[1], step.high, tau)
            x = run.combine([(1.0, start), *zip(factors, estimates, strict=False)])
            denoised = yield from run.denoise(x, step.high)
            estimates[0] = denoised
        if step.low == 0.0:
            x = denoised
        else:
            tau = _tau(run, step.low)
            start = run.combine(_start_terms(run, step, x, tau))
            nodes = levels[: min(PREDICTOR_STEPS, steps_left - 1)]
            factors = _adams_weights(nodes, step.high, step.low, tau)
            x = run.combine([(1.0, start), *zip(factors, estimates, strict=False)])
        yield step.result(x, first)


def _tau(run: SamplingRun[A], sigma: float) -> float:
    return run.eta if NOISY_LOW <= sigma <= NOISY_HIGH else 0.0


def _start_terms(run: SamplingRun[A], step: Interval, x: A, tau: float) -> list[tuple[float, A]]:
    """Return the terms that predictor and corrector share: the kept part of x, and the noise."""
    width = math.log(step.high / step.low)
    kept = (math.exp(-(1.0 + tau * tau) * width), x)
    if tau == 0.0:
        return [kept]
    spread = step.low * math.sqrt(-math.expm1(-2.0 * tau * tau * width))
    return [kept, (run.options.s_noise * spread, run.noise(step.index))]


def _line_weights(width: float, tau: float) -> tuple[float, float]:
    """Return 1 - e^(-ch), and c·h/2."""
    scaled = (1.0 + tau * tau) * width
    return -math.expm1(-scaled), scaled / 2.0


def _adams_weights(nodes: Sequence[float], high: float, low: float, tau: float) -> list[float]:
    """Return ∫ c·e^(-c(λ' - λ)) of each node's Lagrange polynomial from ``high`` to ``low``."""
    places = np.log(low / np.array(nodes))
    return integrate_grown_polynomials(places, math.log(low / high), 0.0, 1.0 + tau * tau)
