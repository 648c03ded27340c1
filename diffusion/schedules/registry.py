"""The schedules by name. Labels and aliases are those of A1111, ComfyUI and diffusers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from diffusion.catalogue import Catalogue
from diffusion.errors import SettingsError
from diffusion.schedules import spacings
from diffusion.schedules.noise_schedule import Levels, NoiseSchedule
from diffusion.schedules.span import WHOLE, Span

__all__ = ["AUTOMATIC", "SCHEDULES", "Schedule", "find_schedule"]

AUTOMATIC: Final = "automatic"
"""The name that stands for the sampler's own choice."""


@dataclass(frozen=True)
class Schedule:
    """A way of choosing noise levels.

    ``sigmas(noise, steps)`` gives steps + 1 levels; with a third argument, a ``Span`` of those that
    it ``takes``. ``unit_variance``: sampling starts from noise of variance 1 in the network's own
    scale, as DDIM does and diffusers' Euler with ``leading``; otherwise from σ₀ times unit noise.
    """

    name: str
    label: str
    aliases: tuple[str, ...]
    sigmas: Callable[..., Levels]
    unit_variance: bool = False
    takes: tuple[str, ...] = ()

    def levels(self, noise: NoiseSchedule, steps: int, span: Span = WHOLE) -> Levels:
        """The levels with options. Raises ``SettingsError`` for one that the schedule has not."""
        for name, value in span.given().items():
            if name not in self.takes:
                raise SettingsError(name, value, f"schedule {self.name} does not have it")
        return self.sigmas(noise, steps, span) if self.takes else self.sigmas(noise, steps)

    def initial_scale(self, first_sigma: float) -> float:
        """What unit noise is multiplied by to give the x that sampling starts from."""
        return math.sqrt(1.0 + first_sigma**2) if self.unit_variance else first_sigma


_ENDS: Final = ("sigma_min", "sigma_max")
_BENT: Final = (*_ENDS, "rho")

SCHEDULES: Final = Catalogue(
    "schedule",
    [
        Schedule("karras", "Karras", (), spacings.karras, takes=_BENT),
        Schedule("normal", "Normal", (), spacings.normal),
        Schedule("uniform", "Uniform", ("linspace",), spacings.uniform),
        Schedule("sgm_uniform", "SGM Uniform", (), spacings.sgm_uniform),
        Schedule("exponential", "Exponential", (), spacings.exponential, takes=_ENDS),
        Schedule("polyexponential", "Polyexponential", (), spacings.polyexponential, takes=_BENT),
        Schedule("simple", "Simple", (), spacings.simple),
        Schedule("beta", "Beta", (), spacings.beta, takes=_ENDS),
        Schedule("kl_optimal", "KL Optimal", (), spacings.kl_optimal, takes=_ENDS),
        Schedule(
            "align_your_steps",
            "Align Your Steps",
            ("align_your_steps_11",),
            spacings.align_your_steps,
        ),
        Schedule("linear_quadratic", "Linear Quadratic", (), spacings.linear_quadratic),
        Schedule("trailing", "Trailing", (), spacings.trailing),
        Schedule("ddim_uniform", "DDIM", (), spacings.ddim_uniform),
        Schedule("leading", "Leading", (), spacings.leading, unit_variance=True),
    ],
    special=AUTOMATIC,
)


def find_schedule(text: str) -> Schedule | None:
    """The schedule called ``text``; None for "automatic". Raises ``SettingsError``."""
    return None if text.strip().casefold() == AUTOMATIC else SCHEDULES.find(text)
