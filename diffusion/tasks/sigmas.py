"""The sigma schedule of one pass: all noise levels of a schedule, or its end for a given picture.

Strength cuts a schedule by the WebUI's rule: the last int(strength n) + 1 of n steps are made, n at
most, from x = picture + σ·noise. diffusers makes int(strength n) steps. Both use the same
levels where the counts are equal.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

import numpy as np

from diffusion.errors import SettingsError
from diffusion.samplers import (
    Sampler,
    SamplerChoice,
    SamplerOptions,
    find_sampler_and_schedule,
)
from diffusion.schedules import Levels, NoiseSchedule, Schedule, ScheduleChoice, find_schedule
from diffusion.tasks.sampling_settings import SamplingSettings

__all__ = ["SigmaSchedule", "full_schedule", "partial_schedule", "warn_of_idle_options"]

LARGEST_STRENGTH: Final = 0.999
NO_CHOICES: Final = SamplingSettings()
SAMPLER_OPTIONS: Final = (
    *("eta", "order", "s_churn", "s_tmin", "s_tmax", "s_noise", "noise_seed_delta"),
)
"""Options that only some samplers have. Those about levels are refused by the schedule itself."""


@dataclass(frozen=True, eq=False)
class SigmaSchedule:
    """Falling noise levels, and the sampler that follows them.

    ``noise_scale``: the factor of the unit noise that sampling begins with. ``reaches_end``: it
    ends where the whole schedule does, and not where another model goes on.
    """

    sampler: Sampler
    options: SamplerOptions
    sigmas: Levels
    noise_scale: float
    reaches_end: bool = True

    @property
    def steps(self) -> int:
        """The number of steps between the levels."""
        return len(self.sigmas) - 1

    @property
    def steps_made(self) -> int:
        """The number of steps that the sampler makes of them; an adaptive one may make others."""
        return self.sampler.own_steps(self.steps)

    @property
    def last_sigma(self) -> float:
        """The noise level of x after the last step."""
        return self.sampler.end(self.sigmas)

    def first_steps(self, count: int) -> SigmaSchedule:
        """Return the schedule of the first ``count`` steps."""
        return replace(self, sigmas=self.sigmas[: count + 1], reaches_end=count == self.steps)

    def last_steps(self, count: int) -> SigmaSchedule:
        """Return the last ``count`` steps, from a picture with noise of their first level."""
        sigmas = self.sigmas[self.steps - count :]
        return replace(self, sigmas=sigmas, noise_scale=float(sigmas[0]))

    def for_strength(self, strength: float) -> SigmaSchedule:
        """Return the steps that draw ``strength`` of a picture anew: at least one."""
        return self.last_steps(int(min(strength, LARGEST_STRENGTH) * self.steps) + 1)


def full_schedule(
    noise: NoiseSchedule,
    sampler: SamplerChoice,
    schedule: ScheduleChoice,
    steps: int,
    eta: float | None,
    sampling: SamplingSettings = NO_CHOICES,
) -> SigmaSchedule:
    """Return all steps of a schedule. Raises `SettingsError`."""
    found, named = find_sampler_and_schedule(sampler)
    asked = find_schedule(schedule) or named
    chosen = asked or found.automatic_schedule(noise)
    skips = found.skips_level == "every" or (found.skips_level == "chosen" and asked is not None)
    if skips:
        sigmas = _skip_level(chosen, noise, steps, sampling)
    else:
        sigmas = chosen.sigmas(noise, steps, sampling.span())
    if len(sigmas) < 2:
        raise SettingsError("steps", steps, f"{chosen.name} has no levels for so many")
    if found.keeps_lowest and sigmas[-1] == 0.0 and sigmas[-2] > noise.sigma_min:
        sigmas = np.append(sigmas[:-1], noise.sigma_min)
    options = sampling.sampler_options(noise, eta)
    return SigmaSchedule(found, options, sigmas, chosen.initial_scale(float(sigmas[0])))


def _skip_level(
    chosen: Schedule, noise: NoiseSchedule, steps: int, sampling: SamplingSettings
) -> Levels:
    """Return a schedule of one more step, without the level before the last one.

    A1111 calls it "discard penultimate sigma"; ComfyUI does the same. The last step so starts
    higher, where a solver that looks ahead is still stable. Raises `SettingsError`.
    """
    try:
        sigmas = chosen.sigmas(noise, steps + 1, sampling.span())
    except SettingsError as error:
        if error.field != "steps":
            raise
        hint = f"this sampler takes the levels of one step more, and {error.hint}"
        raise SettingsError("steps", steps, hint) from error
    return np.delete(sigmas, -2)


def partial_schedule(
    noise: NoiseSchedule,
    sampler: SamplerChoice,
    schedule: ScheduleChoice,
    steps: int,
    eta: float | None,
    strength: float,
    sampling: SamplingSettings = NO_CHOICES,
) -> SigmaSchedule:
    """Return exactly ``steps`` steps from the level of ``strength`` on, as hires fix makes.

    Raises `SettingsError`, also where a schedule has not enough levels for them.
    """
    all_steps = int(steps / min(strength, LARGEST_STRENGTH))
    try:
        full = full_schedule(noise, sampler, schedule, all_steps, eta, sampling)
    except SettingsError as error:
        if error.field != "steps":
            raise
        hint = f"hires strength {strength} makes them the last of {all_steps}, and {error.hint}"
        raise SettingsError("steps", steps, hint) from error
    return full.last_steps(min(steps, full.steps))


def warn_of_idle_options(
    schedules: Sequence[SigmaSchedule], eta: float | None, sampling: SamplingSettings
) -> None:
    """Warn of options that are chosen and that no sampler of the schedules has."""
    chosen = {"eta": eta, **asdict(sampling)}
    samplers = {each.sampler.label: each.sampler for each in schedules}
    have = "have" if len(samplers) > 1 else "has"
    for option in SAMPLER_OPTIONS:
        if chosen[option] is not None and not any(s.has(option) for s in samplers.values()):
            message = f"{option} changes nothing: {' and '.join(samplers)} {have} no such option"
            warnings.warn(message, UserWarning, stacklevel=3)
