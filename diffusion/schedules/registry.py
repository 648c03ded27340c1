"""The table of schedules, with the names that A1111, ComfyUI and diffusers have for them."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final, TypeAlias

import numpy as np

from diffusion.catalogue import Catalogue
from diffusion.errors import SettingsError
from diffusion.schedules import spacings
from diffusion.schedules.noise_schedule import Levels, NoiseSchedule
from diffusion.schedules.options import NO_OPTIONS, ScheduleOptions
from diffusion.schedules.searched_levels import (
    align_your_steps,
    align_your_steps_10,
    align_your_steps_32,
    align_your_steps_gits,
)

__all__ = ["AUTOMATIC", "SCHEDULES", "Schedule", "ScheduleChoice", "find_schedule"]

AUTOMATIC: Final = "automatic"
"""The name that stands for the sampler's own choice."""


@dataclass(frozen=True)
class Schedule:
    """A way of choosing noise levels, with its names.

    ``name`` is the identifier, ``label`` is for people, ``aliases`` are other tools' names.
    ``spacing(noise, steps)`` returns steps + 1 levels; it has a third argument, the options, where
    it has any. ``option_names``: the fields of ``ScheduleOptions`` that it has. ``unit_variance``:
    sampling starts from noise of variance 1 in the network's own scale, as DDIM does and diffusers'
    Euler with ``leading``; otherwise it starts from σ₀ times unit noise.
    """

    name: str
    label: str
    aliases: tuple[str, ...]
    spacing: Callable[..., Levels]
    option_names: tuple[str, ...] = ()
    unit_variance: bool = False

    def sigmas(
        self, noise: NoiseSchedule, steps: int, options: ScheduleOptions = NO_OPTIONS
    ) -> Levels:
        """Return the levels. Raises ``SettingsError`` for an option that the schedule has not."""
        for name, value in options.chosen_values().items():
            if name not in self.option_names:
                raise SettingsError(name, value, f"schedule {self.name} does not have it")
        if self.option_names:
            return self.spacing(noise, steps, options)
        return self.spacing(noise, steps)

    def initial_scale(self, first_sigma: float) -> float:
        """Return the factor of unit noise that gives the x to start from."""
        return math.sqrt(1.0 + first_sigma**2) if self.unit_variance else first_sigma


SpacingFunction: TypeAlias = Callable[[NoiseSchedule, int], Sequence[float] | Levels]
"""``spacing(noise, steps)``: steps + 1 falling levels, the last 0 or above."""

ScheduleChoice: TypeAlias = str | Schedule | SpacingFunction
"""A name in ``SCHEDULES``, a schedule of the caller's, or its function alone."""


def _call_spacing(spacing: SpacingFunction, noise: NoiseSchedule, steps: int) -> Levels:
    """Return a caller's levels as an array. Raises ``SettingsError`` where they do not fall."""
    levels = np.asarray(spacing(noise, steps), np.float64)
    falls = levels.ndim == 1 and bool(np.all(np.diff(levels) < 0))
    if not (falls and len(levels) > 1 and np.isfinite(levels).all() and levels[-1] >= 0):
        raise SettingsError("schedule", levels.tolist(), "must give levels that fall to 0 or above")
    return levels


_ENDS: Final = ("sigma_min", "sigma_max")
_ENDS_AND_RHO: Final = (*_ENDS, "rho")


def _spacing_aliases(name: str) -> tuple[str, ...]:
    """Return the names of diffusers' setting: its value alone, and with the setting's name."""
    return name, f"timestep_spacing={name}"


# fmt: off
_TABLE: Final = [
    Schedule("karras", "Karras", ("use_karras_sigmas", "ka"), spacings.karras, _ENDS_AND_RHO),
    Schedule("normal", "Normal", (), spacings.normal),
    Schedule("uniform", "Uniform", _spacing_aliases("linspace"), spacings.uniform),
    Schedule("sgm_uniform", "SGM Uniform", (), spacings.sgm_uniform),
    Schedule("exponential", "Exponential", ("use_exponential_sigmas", "exp"),
             spacings.exponential, _ENDS),
    Schedule("polyexponential", "Polyexponential", (), spacings.polyexponential, _ENDS_AND_RHO),
    Schedule("simple", "Simple", (), spacings.simple),
    Schedule("beta", "Beta", ("use_beta_sigmas",), spacings.beta, _ENDS),
    Schedule("kl_optimal", "KL Optimal", (), spacings.kl_optimal, _ENDS),
    Schedule("kl_optimal_0", "KL Optimal 0", (), spacings.kl_optimal_0, _ENDS),
    Schedule("align_your_steps", "Align Your Steps", (), align_your_steps),
    Schedule("align_your_steps_10", "Align Your Steps 10", ("ays", "ays_10"), align_your_steps_10),
    Schedule("align_your_steps_11", "Align Your Steps 11", ("ays_11",), align_your_steps),
    Schedule("align_your_steps_32", "Align Your Steps 32", ("ays_32",), align_your_steps_32),
    Schedule("align_your_steps_gits", "Align Your Steps GITS", ("gits",), align_your_steps_gits),
    Schedule("linear_quadratic", "Linear Quadratic", (), spacings.linear_quadratic),
    Schedule("trailing", "Trailing", _spacing_aliases("trailing"), spacings.trailing),
    Schedule("ddim_uniform", "DDIM", (), spacings.ddim_uniform),
    Schedule("leading", "Leading", _spacing_aliases("leading"), spacings.leading,
             unit_variance=True),
]
# fmt: on

SCHEDULES: Final = Catalogue("schedule", _TABLE, special=AUTOMATIC)


def find_schedule(text: ScheduleChoice) -> Schedule | None:
    """Return the schedule called ``text``, or the one that is given; None for "automatic".

    A function becomes a schedule without options. Raises ``SettingsError``.
    """
    if isinstance(text, Schedule):
        return text
    if not isinstance(text, str):
        if not callable(text):
            raise SettingsError("schedule", text, "must be a name, a Schedule or a function")
        name = getattr(text, "__name__", "custom")
        return Schedule(name, name, (), partial(_call_spacing, text))
    return None if text.strip().casefold() == AUTOMATIC else SCHEDULES.find(text)
