"""The levels that a sampler walks: all of a schedule, or its end for a picture that is there.

How strength cuts a schedule is the WebUI's rule: of n steps the last int(strength n) + 1 are made
(n at most), from x = picture + σ·noise. diffusers cuts at int(strength n); both walk the same
levels where the counts are equal.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Final

from diffusion.errors import SettingsError
from diffusion.samplers import Sampler, SamplerOptions, find_sampler_and_schedule
from diffusion.schedules import Levels, NoiseSchedule, find_schedule
from diffusion.tasks.sampling_options import Sampling

__all__ = ["Walk", "exact_walk", "full_walk", "tell_idle"]

LARGEST_STRENGTH: Final = 0.999
PLAIN: Final = Sampling()
IDLE: Final = ("eta", "order", "s_churn", "s_tmin", "s_tmax", "s_noise")
"""Options that only some samplers have; those about levels a schedule refuses itself."""


@dataclass(frozen=True, eq=False)
class Walk:
    """``sigmas``: levels, falling. ``start``: what the unit noise of its beginning is times.

    ``whole``: it ends where the schedule does, and not where another model goes on.
    """

    sampler: Sampler
    options: SamplerOptions
    sigmas: Levels
    start: float
    whole: bool = True

    @property
    def steps(self) -> int:
        """How many steps it has."""
        return len(self.sigmas) - 1

    @property
    def made(self) -> int:
        """How many steps the sampler makes of them; an adaptive one may make others."""
        return self.sampler.own_steps(self.steps)

    @property
    def end(self) -> float:
        """The level of the last step's x."""
        return self.sampler.end(self.sigmas)

    def first(self, count: int) -> Walk:
        """Its first ``count`` steps."""
        return replace(self, sigmas=self.sigmas[: count + 1], whole=count == self.steps)

    def last(self, count: int) -> Walk:
        """Its last ``count`` steps, which start at a picture with noise of their first level."""
        sigmas = self.sigmas[self.steps - count :]
        return replace(self, sigmas=sigmas, start=float(sigmas[0]))

    def for_strength(self, strength: float) -> Walk:
        """The steps that draw ``strength`` of a picture anew: at least one."""
        return self.last(int(min(strength, LARGEST_STRENGTH) * self.steps) + 1)


def full_walk(
    noise: NoiseSchedule,
    sampler: str,
    schedule: str,
    steps: int,
    eta: float | None,
    sampling: Sampling = PLAIN,
) -> Walk:
    """A whole schedule. Raises `SettingsError`."""
    found, named = find_sampler_and_schedule(sampler)
    chosen = find_schedule(schedule) or named or found.automatic_schedule(noise)
    sigmas = chosen.sigmas(noise, steps, sampling.span())
    if len(sigmas) < 2:
        raise SettingsError("steps", steps, f"{chosen.name} has no levels for so many")
    options = sampling.options(noise, eta)
    return Walk(found, options, sigmas, chosen.initial_scale(float(sigmas[0])))


def tell_idle(walks: Sequence[Walk], eta: float | None, sampling: Sampling) -> None:
    """Warn of options that are chosen and that no sampler of the walks has."""
    chosen = {"eta": eta, **asdict(sampling)}
    samplers = {walk.sampler.label: walk.sampler for walk in walks}
    have = "have" if len(samplers) > 1 else "has"
    for option in IDLE:
        if chosen[option] is not None and not any(s.has(option) for s in samplers.values()):
            message = f"{option} changes nothing: {' and '.join(samplers)} {have} no such option"
            warnings.warn(message, UserWarning, stacklevel=3)


def exact_walk(
    noise: NoiseSchedule,
    sampler: str,
    schedule: str,
    steps: int,
    eta: float | None,
    strength: float,
    sampling: Sampling = PLAIN,
) -> Walk:
    """Exactly ``steps`` steps from the level that ``strength`` starts at, as hires fix makes.

    Raises `SettingsError`, where a schedule has not that many levels for ``steps`` as given.
    """
    more = int(steps / min(strength, LARGEST_STRENGTH))
    try:
        whole = full_walk(noise, sampler, schedule, more, eta, sampling)
    except SettingsError as error:
        if error.field != "steps":
            raise
        hint = f"hires strength {strength} makes them the last of {more}, and {error.hint}"
        raise SettingsError("steps", steps, hint) from error
    return whole.last(min(steps, whole.steps))
