"""Which noise levels a sampler steps through: one pure function for each way of choosing them.

Each takes the model's noise schedule and the number of steps n, and gives n + 1 levels, strictly
falling. All end in 0, save ``leading`` (see there). With one step all start at the highest level
that they would have with more; diffusers' ``linspace`` starts at the lowest instead, which samples
nothing.
"""

from __future__ import annotations

import math

import numpy as np

from diffusion.errors import SettingsError
from diffusion.schedules.beta import beta_quantiles
from diffusion.schedules.noise_schedule import Levels, NoiseSchedule
from diffusion.schedules.span import WHOLE, Span

__all__ = [
    "beta",
    "checked",
    "ddim_uniform",
    "ending_in",
    "exponential",
    "karras",
    "kl_optimal",
    "leading",
    "linear_quadratic",
    "normal",
    "polyexponential",
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


def karras(noise: NoiseSchedule, steps: int, span: Span = WHOLE) -> Levels:
    """σ^(1/ρ) evenly from the highest to the lowest level (Karras et al. 2022, equation 5)."""
    rho = span.rho_or(RHO)
    first, last = (end ** (1 / rho) for end in span.ends(noise))
    return ending_in(0.0, np.linspace(first, last, checked(steps)) ** rho)


def exponential(noise: NoiseSchedule, steps: int, span: Span = WHOLE) -> Levels:
    """Log σ evenly from the highest to the lowest level, as k-diffusion's and diffusers'."""
    first, last = map(math.log, span.ends(noise))
    return ending_in(0.0, np.exp(np.linspace(first, last, checked(steps))))


def polyexponential(noise: NoiseSchedule, steps: int, span: Span = WHOLE) -> Levels:
    """Log σ falls as rampᵖ from the highest to the lowest level; p = ρ (k-diffusion).

    With ρ = 1, the default there and here, the levels of ``exponential``.
    """
    high, low = map(math.log, span.ends(noise))
    ramp = np.linspace(1.0, 0.0, checked(steps)) ** span.rho_or(1.0)
    return ending_in(0.0, np.exp(low + ramp * (high - low)))


def kl_optimal(noise: NoiseSchedule, steps: int, span: Span = WHOLE) -> Levels:
    """arctan σ evenly from the highest to the lowest level (Sabour et al. 2024, section 3).

    ComfyUI's ``kl_optimal``, which ends in 0; A1111's spreads one level more and has no 0.
    """
    first, last = map(math.atan, span.ends(noise))
    return ending_in(0.0, np.tan(np.linspace(first, last, checked(steps))))


def beta(noise: NoiseSchedule, steps: int, span: Span = WHOLE) -> Levels:
    """σ from the highest to the lowest level at even shares of Beta(0.6, 0.6).

    A1111's and diffusers' rule, which scales σ itself. ComfyUI's takes time steps at these shares,
    rounds them and drops those that come twice, and so may give fewer levels than asked for.
    """
    share = beta_quantiles(np.linspace(1.0, 0.0, checked(steps)), BETA_SHAPE)
    high, low = span.ends(noise)
    return ending_in(0.0, low + share * (high - low))


def linear_quadratic(noise: NoiseSchedule, steps: int) -> Levels:
    """Half of the steps evenly over the first 2.5 %, then on a parabola to 0, without a kink.

    From the video model Mochi; ComfyUI's ``linear_quadratic``. One step goes straight to 0.
    """
    slow = checked(steps) // 2
    if slow == 0:
        return np.array([noise.sigma_max, 0.0])
    at = np.arange(steps + 1, dtype=np.float64)
    rate = SLOW_SHARE / slow
    parabola = np.maximum((at - slow) / (steps - slow), 0.0) ** 2
    left = 1.0 - rate * at - (1.0 - rate * steps) * parabola
    return ending_in(0.0, noise.sigma_max * left[:-1])


def simple(noise: NoiseSchedule, steps: int) -> Levels:
    """The trained levels at every T/n-th time step, rounded down, from the last (ComfyUI)."""
    count = noise.num_train_timesteps
    back = (np.arange(checked(steps, count)) * (count / steps)).astype(np.int64)
    return ending_in(0.0, noise.sigmas[count - 1 - back])


def normal(noise: NoiseSchedule, steps: int) -> Levels:
    """Time steps evenly from the last to 0, both included; between whole ones log σ is linear.

    k-diffusion's ``get_sigmas``; ComfyUI's ``normal``.
    """
    return ending_in(0.0, noise.sigmas_at(_descending(noise, checked(steps))))


def uniform(noise: NoiseSchedule, steps: int) -> Levels:
    """The time steps of ``normal``; between whole ones σ itself is linear.

    What diffusers' Euler, Euler ancestral and Heun do by default (``linspace``).
    """
    whole = np.arange(noise.num_train_timesteps, dtype=np.float64)
    timesteps = _descending(noise, checked(steps))
    return ending_in(0.0, np.interp(timesteps, whole, noise.sigmas))


def sgm_uniform(noise: NoiseSchedule, steps: int) -> Levels:
    """Time steps evenly from the last towards 0, which is left out (Stability's samplers).

    diffusers' DPMSolverMultistep rounds these time steps by default.
    """
    return ending_in(0.0, noise.sigmas_at(_descending(noise, checked(steps) + 1)[:-1]))


def trailing(noise: NoiseSchedule, steps: int) -> Levels:
    """Whole time steps counted down from the last (Lin et al. 2023, arXiv 2305.08891, table 2)."""
    count = noise.num_train_timesteps
    spaced = count - count / checked(steps, count) * np.arange(steps)
    return ending_in(0.0, noise.sigmas_at(np.round(spaced) - 1.0))


def leading(noise: NoiseSchedule, steps: int) -> Levels:
    """Every ⌊T / n⌋-th of T time steps, counted up from ``steps_offset`` (Lin et al. 2023).

    The way of the DDIM paper (arXiv 2010.02502) and of diffusers' DDIMScheduler. Ends in the
    model's ``final_sigma``: where ``set_alpha_to_one`` is off, as for Stable Diffusion 1.x, that is
    the level of time step 0, or 0 where this is itself the last one stepped from. The offset is
    lowered where it would lead beyond the last time step.
    """
    sigmas = noise.sigmas_at(_every_nth(noise, steps))
    end = noise.final_sigma
    return ending_in(end if end < sigmas[-1] else 0.0, sigmas)


def ddim_uniform(noise: NoiseSchedule, steps: int) -> Levels:
    """The levels of ``leading``, ending in 0: ComfyUI's ``ddim_uniform``."""
    return ending_in(0.0, noise.sigmas_at(_every_nth(noise, steps)))


def _every_nth(noise: NoiseSchedule, steps: int) -> Levels:
    """Leading time steps, falling."""
    count = noise.num_train_timesteps
    highest = (checked(steps, count) - 1) * (count // steps)
    offset = min(noise.steps_offset, count - 1 - highest)
    return np.arange(steps - 1, -1, -1, dtype=np.float64) * (count // steps) + offset


def _descending(noise: NoiseSchedule, count: int) -> Levels:
    """``count`` time steps evenly from the last training step to 0."""
    return np.linspace(noise.num_train_timesteps - 1, 0.0, count)


def ending_in(end: float, sigmas: Levels) -> Levels:
    """``sigmas`` with one more level, ``end``."""
    return np.append(sigmas, end)


def checked(steps: int, most: int | None = None) -> int:
    """``steps``, once it is 1 or more and, for whole time steps, no more than there are.

    Raises ``SettingsError``.
    """
    if steps < 1:
        raise SettingsError("steps", steps, "give 1 or more")
    if most is not None and steps > most:
        raise SettingsError("steps", steps, f"this schedule has {most} time steps to choose from")
    return steps
