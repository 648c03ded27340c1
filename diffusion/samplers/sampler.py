"""What is known of a sampler beside its steps."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from diffusion.samplers.cfgpp import GUIDANCE_SHARE
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import SamplerFunction
from diffusion.schedules import SCHEDULES, Levels, NoiseSchedule, Schedule

__all__ = ["Sampler"]


def last_level(sigmas: Levels) -> float:
    """Where a list ends."""
    return float(sigmas[-1])


@dataclass(frozen=True)
class Sampler:
    """A sampler and what it is by default.

    ``run``: the generator function. ``schedule``: the name of its own schedule. ``eta``: its
    default where it is ancestral, else None. ``churns``: whether it has ``s_churn``. ``orders``:
    whether its order can be chosen. ``noisy``: whether runs of more than a few steps draw noise
    whatever the options. ``splits``: whether it takes the estimate without the prompt apart, and
    divides the guidance. ``adaptive``: whether it chooses its steps by its errors, so that pictures
    must be made one by one. ``own_steps``: how many steps it makes of those asked for, where not as
    many. ``end``: the level of its last step's x.
    """

    name: str
    label: str
    aliases: tuple[str, ...]
    run: SamplerFunction
    schedule: str
    eta: float | None = None
    churns: bool = False
    orders: bool = False
    noisy: bool = False
    splits: bool = False
    adaptive: bool = False
    own_steps: Callable[[int], int] = int
    end: Callable[[Levels], float] = last_level

    @property
    def guidance_share(self) -> float:
        """What the guidance that a user gives is multiplied by."""
        return GUIDANCE_SHARE if self.splits else 1.0

    def needs_noise(self, options: SamplerOptions) -> bool:
        """Tell whether steps may draw noise, beyond that which sampling starts from."""
        ancestral = self.eta is not None and options.eta_or(self.eta) > 0.0
        return ancestral or self.noisy or (self.churns and options.s_churn > 0.0)

    def has(self, option: str) -> bool:
        """Tell whether an option of `SamplerOptions` changes anything."""
        if option == "eta":
            return self.eta is not None
        if option == "order":
            return self.orders
        if option == "s_noise":
            return self.eta is not None or self.churns or self.noisy
        return self.churns

    def automatic_schedule(self, noise: NoiseSchedule) -> Schedule:
        """The sampler's own schedule; ``trailing`` where a model wants that and it may be.

        Models distilled to few steps are trained for ``trailing`` time steps alone and say so in
        their folder. A ``karras`` or ``exponential`` sampler has no time steps to space.
        """
        spaced = self.schedule not in ("karras", "exponential")
        wants_trailing = noise.timestep_spacing == "trailing" and spaced
        return SCHEDULES.find("trailing" if wants_trailing else self.schedule)
