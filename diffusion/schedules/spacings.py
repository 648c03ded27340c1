"""Spacings of the noise levels that a sampler steps through, one function for each.

Each takes the model's noise schedule and the number of steps n, and returns n + 1 strictly falling
levels. All end in 0 except ``leading`` (see there). With one step, all start at the highest level
that they have with more steps. diffusers' ``linspace`` starts at the lowest instead, which samples
nothing.
"""

from __future__ import annotations

import math

import numpy as np

from diffusion.errors import SettingsError
from diffusion.schedules.beta_distribution import beta_quantiles
from diffusion.schedules.noise_schedule import Levels, NoiseSchedule
from diffusion.schedules.options import NO_OPTIONS, ScheduleOptions

__all__ = [
    "append_level",
    "beta",
    "ddim_uniform",
    "exponential",
    "karras",
    "kl_optimal",
    "kl_optimal_0",
    "leading",
    "linear_quadratic",
    "normal",
    "polyexponential",
    "require_steps",
    "sgm_uniform",
    "simple",
    "trailing",
    "uniform",
]

RHO = 7.0
"""The exponent of Karras et al. 2022; theirs for all of their models."""

BETA_SHAPE = 0.6
"""Both parameters of the beta distribution (Lee et al. 2024, arXiv 2407.12173)."""

SLOW_SHARE = 0.025
"""The part of the way that ``linear_quadratic`` takes in the first half of its steps."""


def karras(noise: NoiseSchedule, steps: int, options: ScheduleOptions = NO_OPTIONS) -> Levels:
    """Space σ^(1/ρ) evenly from the highest to the lowest level (Karras et al. 2022, eq. 5)."""
    rho = options.rho_or(RHO)
    first, last = (end ** (1 / rho) for end in options.ends(noise))
    return append_level(np.linspace(first, last, require_steps(steps)) ** rho)


def exponential(noise: NoiseSchedule, steps: int, options: ScheduleOptions = NO_OPTIONS) -> Levels:
    """Space log σ evenly from the highest to the lowest level, as k-diffusion and diffusers do."""
    first, last = map(math.log, options.ends(noise))
    return append_level(np.exp(np.linspace(first, last, require_steps(steps))))


def polyexponential(
    noise: NoiseSchedule, steps: int, options: ScheduleOptions = NO_OPTIONS
) -> Levels:
    """Lower log σ as rampᵖ from the highest to the lowest level; p = ρ (k-diffusion).

    With ρ = 1, the default there and here, these are the levels of ``exponential``.
    """
    high, low = map(math.log, options.ends(noise))
    ramp = np.linspace(1.0, 0.0, require_steps(steps)) ** options.rho_or(1.0)
    return append_level(np.exp(low + ramp * (high - low)))


def kl_optimal(noise: NoiseSchedule, steps: int, options: ScheduleOptions = NO_OPTIONS) -> Levels:
    """Space arctan σ evenly from the highest to the lowest level (Sabour et al. 2024, section 3).

    It is A1111's "KL Optimal": n + 1 levels and no 0, so that the lowest level's noise is left.
    """
    first, last = map(math.atan, options.ends(noise))
    levels: Levels = np.tan(np.linspace(first, last, require_steps(steps) + 1))
    return levels


def kl_optimal_0(noise: NoiseSchedule, steps: int, options: ScheduleOptions = NO_OPTIONS) -> Levels:
    """Space arctan σ evenly over n levels, then 0: ComfyUI's ``kl_optimal``."""
    first, last = map(math.atan, options.ends(noise))
    return append_level(np.tan(np.linspace(first, last, require_steps(steps))))


def beta(noise: NoiseSchedule, steps: int, options: ScheduleOptions = NO_OPTIONS) -> Levels:
    """Place σ from the highest to the lowest level at even shares of Beta(0.6, 0.6).

    It is the rule of A1111 and diffusers, which scales σ itself. ComfyUI takes time steps at these
    shares, rounds them and drops those that come twice. It may so give fewer levels than asked for.
    """
    share = beta_quantiles(np.linspace(1.0, 0.0, require_steps(steps)), BETA_SHAPE)
    high, low = options.ends(noise)
    return append_level(low + share * (high - low))


def linear_quadratic(noise: NoiseSchedule, steps: int) -> Levels:
    """Space half of the steps evenly over the first 2.5 %, the rest on a parabola to 0.

    The two parts meet without a kink. It is the video model Mochi's, and ComfyUI's
    ``linear_quadratic``. One step goes straight to 0.
    """
    slow = require_steps(steps) // 2
    if slow == 0:
        return np.array([noise.sigma_max, 0.0])
    at = np.arange(steps + 1, dtype=np.float64)
    rate = SLOW_SHARE / slow
    parabola = np.maximum((at - slow) / (steps - slow), 0.0) ** 2
    left = 1.0 - rate * at - (1.0 - rate * steps) * parabola
    return append_level(noise.sigma_max * left[:-1])


def simple(noise: NoiseSchedule, steps: int) -> Levels:
    """Take the trained levels at every T/n-th time step, rounded down, from the last (ComfyUI)."""
    count = noise.num_train_timesteps
    back = (np.arange(require_steps(steps, count)) * (count / steps)).astype(np.int64)
    return append_level(noise.sigmas[count - 1 - back])


def normal(noise: NoiseSchedule, steps: int) -> Levels:
    """Space time steps evenly from the last to 0; between whole ones log σ is linear.

    It is k-diffusion's ``get_sigmas`` and ComfyUI's ``normal``.
    """
    return append_level(noise.sigmas_at(_even_timesteps(noise, require_steps(steps))))


def uniform(noise: NoiseSchedule, steps: int) -> Levels:
    """Take the time steps of ``normal``; between whole ones σ itself is linear.

    diffusers' Euler, Euler ancestral and Heun do so by default (``linspace``).
    """
    every_step = np.arange(noise.num_train_timesteps, dtype=np.float64)
    timesteps = _even_timesteps(noise, require_steps(steps))
    return append_level(np.interp(timesteps, every_step, noise.sigmas))


def sgm_uniform(noise: NoiseSchedule, steps: int) -> Levels:
    """Space time steps evenly from the last towards 0, which is left out (Stability's samplers).

    diffusers' DPMSolverMultistep rounds these time steps by default.
    """
    return append_level(noise.sigmas_at(_even_timesteps(noise, require_steps(steps) + 1)[:-1]))


def trailing(noise: NoiseSchedule, steps: int) -> Levels:
    """Count whole time steps down from the last (Lin et al. 2023, arXiv 2305.08891, table 2)."""
    count = noise.num_train_timesteps
    spaced = count - count / require_steps(steps, count) * np.arange(steps)
    return append_level(noise.sigmas_at(np.round(spaced) - 1.0))


def leading(noise: NoiseSchedule, steps: int) -> Levels:
    """Take every ⌊T / n⌋-th of T time steps, counted up from ``steps_offset`` (Lin et al. 2023).

    The DDIM paper (arXiv 2010.02502) and diffusers' DDIMScheduler do so. The list ends in the
    model's ``final_sigma``. Where ``set_alpha_to_one`` is off, as for Stable Diffusion 1.x, this is
    the level of time step 0. If the last step starts from that level itself, the list ends in 0.
    The offset is lowered where it would lead beyond the last time step.
    """
    count = noise.num_train_timesteps
    stride = count // require_steps(steps, count)
    offset = min(noise.steps_offset, count - 1 - (steps - 1) * stride)
    sigmas = noise.sigmas_at(np.arange(steps - 1, -1, -1, dtype=np.float64) * stride + offset)
    end = noise.final_sigma
    return append_level(sigmas, end if end < sigmas[-1] else 0.0)


def ddim_uniform(noise: NoiseSchedule, steps: int) -> Levels:
    """Take every ⌊T / n⌋-th of T time steps, counted up from 1 as far as they go, then 0.

    It is ComfyUI's ``ddim_uniform`` and A1111's "DDIM". Where n does not divide T, there is room
    for more than n time steps: 12 steps of 1000 become 13, and 30 become 31.
    """
    count = noise.num_train_timesteps
    timesteps = np.arange(1, count, count // require_steps(steps, count), dtype=np.float64)
    return append_level(noise.sigmas_at(timesteps[::-1]))


def _even_timesteps(noise: NoiseSchedule, count: int) -> Levels:
    """Return ``count`` time steps evenly from the last training step to 0."""
    return np.linspace(noise.num_train_timesteps - 1, 0.0, count)


def append_level(sigmas: Levels, end: float = 0.0) -> Levels:
    """Return ``sigmas`` with one more level, ``end``."""
    return np.append(sigmas, end)


def require_steps(steps: int, most: int | None = None) -> int:
    """Return ``steps`` if there is 1 or more, and at most ``most``; else raise ``SettingsError``.

    ``most``: the number of time steps, where the schedule takes whole ones.
    """
    if steps < 1:
        raise SettingsError("steps", steps, "give 1 or more")
    if most is not None and steps > most:
        raise SettingsError("steps", steps, f"this schedule has {most} time steps to choose from")
    return steps
