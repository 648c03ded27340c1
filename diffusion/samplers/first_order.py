"""Samplers of first order: one network call a step, and no history."""

from __future__ import annotations

from typing import TypeVar

from diffusion.samplers.protocols import StepsAndCalls
from diffusion.samplers.sampling_run import SamplingRun

__all__ = ["euler", "euler_a"]

A = TypeVar("A")


def euler(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run Euler's method on dx/dσ = (x - D(x, σ)) / σ. It draws noise only with ``s_churn``.

    Karras et al. 2022 (arXiv 2206.00364), algorithm 2 without its second-order part. It equals
    diffusers' EulerDiscreteScheduler. With churning, the network sees x after the noise is added,
    as in the paper; diffusers calls the network before.
    """
    x = run.x
    for step in run.intervals():
        x, high = run.churn(step, x)
        denoised = yield from run.denoise(x, high)
        x = run.euler_step(x, denoised, high, step.low)
        yield step.result(x, denoised)


def euler_a(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run Euler's ancestral method, DDIM and DDPM; with η = 0 it is Euler's method.

    Each step goes below its level and adds noise back up to it. The noise of a step from level a to
    b has the deviation u = η·b·√(1 - b²/a²). The deterministic part leads to d = √(b² - u²). DDIM's
    equations (12) and (16) (Song et al. 2021, arXiv 2010.02502), written for x / √ᾱ, are

        x' = x₀ + √(b² - u²)·ε + u·z      with a² = (1 - ᾱ)/ᾱ and b² = (1 - ᾱ')/ᾱ'.

    Since x₀ + d·ε lies on the straight line from x to x₀, this is Euler's step to d with noise u.
    The three differ in their defaults: η is 0 for DDIM and 1 for the others, and their schedules
    differ. DDIM's ends in the level of time step 0 for models with ``set_alpha_to_one`` off.
    It equals diffusers' EulerAncestralDiscreteScheduler, DDIMScheduler and DDPMScheduler.
    """
    x = run.x
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        down, up = run.ancestral_levels(step.high, step.low)
        if up == 0.0:
            x = run.euler_step(x, denoised, step.high, step.low)
        else:
            kept = down / step.high
            fresh = (run.options.s_noise * up, run.noise(step.index))
            x = run.combine([(kept, x), (1.0 - kept, denoised), fresh])
        yield step.result(x, denoised)
