"""The samplers by name. Labels and aliases are those of A1111, ComfyUI, diffusers and sd.cpp."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from diffusion.catalogue import Catalogue
from diffusion.samplers.ancestral import DDIM_ETA, EULER_A_ETA, ddim, euler_a
from diffusion.samplers.dpmpp import dpmpp_2m
from diffusion.samplers.euler import euler
from diffusion.samplers.heun import heun
from diffusion.samplers.options import SamplerOptions
from diffusion.samplers.protocols import SamplerFunction
from diffusion.schedules import SCHEDULES, NoiseSchedule, Schedule, find_schedule

__all__ = ["SAMPLERS", "Sampler", "find_sampler", "find_sampler_and_schedule"]


@dataclass(frozen=True)
class Sampler:
    """A sampler and what it is by default.

    ``run``: the generator function. ``schedule``: the name of its own schedule. ``eta``: its
    default where it is ancestral, else None. ``churns``: whether it has ``s_churn``.
    """

    name: str
    label: str
    aliases: tuple[str, ...]
    run: SamplerFunction
    schedule: str
    eta: float | None = None
    churns: bool = False

    def needs_noise(self, options: SamplerOptions) -> bool:
        """Tell whether steps may draw noise, beyond that which sampling starts from."""
        ancestral = self.eta is not None and options.eta_or(self.eta) > 0.0
        return ancestral or (self.churns and options.s_churn > 0.0)

    def automatic_schedule(self, noise: NoiseSchedule) -> Schedule:
        """The sampler's own schedule; ``trailing`` where a model wants that and it may be.

        Models distilled to few steps are trained for ``trailing`` time steps alone and say so in
        their folder. A ``karras`` sampler has no time steps to space.
        """
        wants_trailing = noise.timestep_spacing == "trailing" and self.schedule != "karras"
        return SCHEDULES.find("trailing" if wants_trailing else self.schedule)


SAMPLERS: Final = Catalogue(
    "sampler",
    [
        Sampler(
            "euler",
            "Euler",
            ("k_euler", "EulerDiscreteScheduler"),
            euler,
            "uniform",
            churns=True,
        ),
        Sampler(
            "euler_a",
            "Euler a",
            ("k_euler_a", "euler_ancestral", "EulerAncestralDiscreteScheduler"),
            euler_a,
            "uniform",
            eta=EULER_A_ETA,
        ),
        Sampler("heun", "Heun", ("k_heun", "HeunDiscreteScheduler"), heun, "uniform", churns=True),
        Sampler(
            "dpmpp_2m",
            "DPM++ 2M",
            ("k_dpmpp_2m", "DPMSolverMultistepScheduler"),
            dpmpp_2m,
            "karras",
        ),
        Sampler("ddim", "DDIM", ("DDIMScheduler",), ddim, "leading", eta=DDIM_ETA),
    ],
)


def find_sampler(text: str) -> Sampler:
    """The sampler called ``text``. Raises ``SettingsError`` that lists the nearest names."""
    return SAMPLERS.find(text)


def find_sampler_and_schedule(text: str) -> tuple[Sampler, Schedule | None]:
    """Read also the old labels that name both, such as "DPM++ 2M Karras"; None: none was named."""
    words = text.split()
    for cut in range(len(words) - 1, 0, -1):
        head, tail = " ".join(words[:cut]), " ".join(words[cut:])
        sampler = SAMPLERS.get(head)
        if sampler is not None and SAMPLERS.get(text) is None and SCHEDULES.get(tail) is not None:
            return sampler, find_schedule(tail)
    return SAMPLERS.find(text), None
