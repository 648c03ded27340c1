"""Samplers for consistency models: from each estimate of x₀ back up to the next level by noise."""

from __future__ import annotations

import math
from typing import TypeVar

from diffusion.samplers.protocols import StepsAndCalls
from diffusion.samplers.sampling_run import SamplingRun

__all__ = ["lcm", "tcd"]

A = TypeVar("A")


def lcm(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run latent consistency sampling; with η = 1 all noise is drawn anew.

    Luo et al. 2023 (arXiv 2310.04378), algorithm 3. With η below 1 a part of the estimated noise is
    kept, of deviation √(1 - η²) of the level's. It equals ComfyUI's ``lcm``. diffusers'
    LCMScheduler also mixes some 10⁻⁵ of x into the estimate (its boundary condition), which needs
    time steps.
    """
    x, eta = run.x, run.eta
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        x = run.euler_step(x, denoised, step.high, step.low * math.sqrt(1.0 - eta * eta))
        if step.low > 0.0 and eta > 0.0:
            fresh = run.options.s_noise * eta * step.low
            x = run.combine([(1.0, x), (fresh, run.noise(step.index))])
        yield step.result(x, denoised)


def tcd(run: SamplingRun[A]) -> StepsAndCalls[A]:
    """Run trajectory consistency sampling.

    Zheng et al. 2024 (arXiv 2402.19159), algorithm 4, whose γ is η. A step follows the estimated
    noise to the share 1 - η of the next level's time step. Fresh noise brings it up to that level.
    It equals diffusers' TCDScheduler.
    """
    x = run.x
    for step in run.intervals():
        denoised = yield from run.denoise(x, step.high)
        down = step.low
        if run.eta > 0.0 and step.low > 0.0:
            down = run.options.scale_time(step.low, 1.0 - run.eta)
        x = run.euler_step(x, denoised, step.high, down)
        if down < step.low:
            x = run.add_noise(x, math.sqrt(step.low**2 - down**2), step.index)
        yield step.result(x, denoised)
