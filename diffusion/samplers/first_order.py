"""Samplers of first order: one network call a step, and no history.

``euler``: dx/dσ = (x - D(x, σ)) / σ (Karras et al. 2022, arXiv 2206.00364, algorithm 2 without its
second-order part). It equals diffusers' EulerDiscreteScheduler. With churning, the network sees x
after the noise is added, as in the paper; diffusers calls the network before.

``euler_a``: each step goes below its level and adds noise back up to it. From level a to b the step
draws noise of deviation u = η·b·√(1 - b²/a²), so that the deterministic part must lead to
d = √(b² - u²). DDIM and DDPM are the same step. DDIM's equations (12) and (16) (Song et al. 2021,
arXiv 2010.02502), written for x / √ᾱ, are

    x' = x₀ + √(b² - u²)·ε + u·z      with a² = (1 - ᾱ)/ᾱ and b² = (1 - ᾱ')/ᾱ'.

Since x₀ + d·ε lies on the straight line from x to x₀, this is Euler's step to d with noise u.
The three differ by default: η is 0 for DDIM and 1 for the others, and their schedules differ.
DDIM's schedule ends in the level of time step 0 for models with ``set_alpha_to_one`` off.
They equal diffusers' EulerAncestralDiscreteScheduler, DDIMScheduler and DDPMScheduler.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypeVar

from diffusion.samplers.protocols import Step
from diffusion.samplers.sampling_run import SamplingRun

__all__ = ["euler", "euler_a"]

A = TypeVar("A")


def euler(run: SamplingRun[A]) -> Iterator[Step[A]]:
    """Run Euler's method. It draws noise only with ``s_churn``."""
    x = run.x
    for step in run.intervals():
        x, high = run.churn(step, x)
        denoised = run.denoise(x, high)
        x = run.euler_step(x, denoised, high, step.low)
        yield step.result(x, denoised)


def euler_a(run: SamplingRun[A]) -> Iterator[Step[A]]:
    """Run Euler's ancestral method; with η = 0 it is Euler's."""
    x = run.x
    for step in run.intervals():
        denoised = run.denoise(x, step.high)
        down, up = run.ancestral_levels(step.high, step.low)
        if up == 0.0:
            x = run.euler_step(x, denoised, step.high, step.low)
        else:
            kept = down / step.high
            fresh = (run.options.s_noise * up, run.noise(step.index))
            x = run.combine([(kept, x), (1.0 - kept, denoised), fresh])
        yield step.result(x, denoised)
