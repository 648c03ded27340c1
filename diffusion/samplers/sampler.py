"""A sampler: its algorithm, its names and its defaults."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Literal, TypeVar

from diffusion.samplers.cfgpp import GUIDANCE_SHARE
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import (
    Algebra,
    Denoiser,
    NoiseSource,
    Sigmas,
    Step,
    StepsAndCalls,
    answer,
)
from diffusion.samplers.sampling_run import SamplerFunction, SamplingRun
from diffusion.schedules import SCHEDULES, NoiseSchedule, Schedule

__all__ = ["Sampler"]

A = TypeVar("A")


def last_of(sigmas: Sigmas) -> float:
    """Return the last level of a list."""
    return float(sigmas[-1])


@dataclass(frozen=True)
class Sampler:
    """A sampler's algorithm, its names and its defaults.

    ``name`` is the identifier, ``label`` is for people, ``aliases`` are other tools' names.
    ``algorithm``: the generator function. ``schedule``: the name of its own schedule of levels.
    ``eta``: the default of η where the sampler has that option, else None, which runs it at 0.
    ``churns``: it has ``s_churn``. ``orders``: its order can be chosen. ``noisy``: runs of more
    than a few steps draw noise, whatever the options. ``splits``: it needs the estimate without the
    prompt, too, and divides the guidance. ``adaptive``: it chooses its steps by their errors, so
    that pictures must be made one by one. ``own_steps``: the number of steps that it makes of the
    number asked for. ``calls``: the most calls of the network that a step makes. ``end``: the level
    of its last step's x, from the list of levels. ``brownian``: its noise is a path's.
    ``skips_level``: it takes a list of one more step and leaves out the level before the last, with
    ``every`` schedule or a ``chosen`` one. ``keeps_lowest``: it ends at the model's lowest level.
    """

    name: str
    label: str
    algorithm: SamplerFunction
    schedule: str
    aliases: tuple[str, ...] = ()
    eta: float | None = None
    churns: bool = False
    orders: bool = False
    noisy: bool = False
    splits: bool = False
    adaptive: bool = False
    own_steps: Callable[[int], int] = int
    calls: int = 1
    end: Callable[[Sigmas], float] = last_of
    brownian: bool = False
    skips_level: Literal["never", "every", "chosen"] = "never"
    keeps_lowest: bool = False

    def run(
        self,
        denoise: Denoiser[A],
        x: A,
        sigmas: Sigmas,
        algebra: Algebra[A],
        noise: NoiseSource[A],
        options: SamplerOptions,
    ) -> Iterator[Step[A]]:
        """Sample from ``x`` down the falling levels ``sigmas``, yielding each step's result.

        No work is done before a step is asked for. Raises ``SettingsError`` then for levels that do
        not fall to 0 or above.
        """
        return answer(self.steps_and_calls(x, sigmas, algebra, noise, options), denoise)

    def steps_and_calls(
        self,
        x: A,
        sigmas: Sigmas,
        algebra: Algebra[A],
        noise: NoiseSource[A],
        options: SamplerOptions,
    ) -> StepsAndCalls[A]:
        """Sample as `run` does, yielding the calls of the network too, and being sent estimates."""
        eta = self.eta if self.eta is None or options.eta is None else options.eta
        chosen = replace(options, eta=eta)
        return self.algorithm(SamplingRun(x, sigmas, algebra, noise, chosen))

    @property
    def guidance_share(self) -> float:
        """The factor of the guidance that a user gives."""
        return GUIDANCE_SHARE if self.splits else 1.0

    def has(self, option: str) -> bool:
        """Tell whether an option of `SamplerOptions` changes anything."""
        if option == "eta":
            return self.eta is not None
        if option == "order":
            return self.orders
        if option == "noise_seed_delta" and self.brownian:
            return False
        if option in ("s_noise", "noise_seed_delta"):
            return self.eta is not None or self.churns or self.noisy
        return self.churns

    def automatic_schedule(self, noise: NoiseSchedule) -> Schedule:
        """Return the sampler's own schedule, or ``trailing`` where the model asks for it.

        Models distilled to few steps are trained for ``trailing`` time steps alone and say so in
        their folder. A ``karras`` or ``exponential`` sampler has no time steps to space.
        """
        has_timesteps = self.schedule not in ("karras", "exponential")
        wants_trailing = noise.timestep_spacing == "trailing" and has_timesteps
        return SCHEDULES.find("trailing" if wants_trailing else self.schedule)
