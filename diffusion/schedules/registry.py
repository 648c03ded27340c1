"""The schedules by name. Labels and aliases are those of A1111, ComfyUI and diffusers."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from diffusion.catalogue import Catalogue
from diffusion.errors import SettingsError
from diffusion.schedules import aligned, spacings
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


def _spacing(name: str) -> tuple[str, ...]:
    """diffusers' setting, alone and with its value."""
    return name, f"timestep_spacing={name}"


SCHEDULES: Final = Catalogue(
    "schedule",
    [
        Schedule("karras", "Karras", ("use_karras_sigmas", "ka"), spacings.karras, takes=_BENT),
        Schedule("normal", "Normal", (), spacings.normal),
        Schedule("uniform", "Uniform", _spacing("linspace"), spacings.uniform),
        Schedule("sgm_uniform", "SGM Uniform", (), spacings.sgm_uniform),
        Schedule(
            "exponential",
            "Exponential",
            ("use_exponential_sigmas", "exp"),
            spacings.exponential,
            takes=_ENDS,
        ),
        Schedule("polyexponential", "Polyexponential", (), spacings.polyexponential, takes=_BENT),
        Schedule("simple", "Simple", (), spacings.simple),
        Schedule("beta", "Beta", ("use_beta_sigmas",), spacings.beta, takes=_ENDS),
        Schedule("kl_optimal", "KL Optimal", (), spacings.kl_optimal, takes=_ENDS),
        Schedule("align_your_steps", "Align Your Steps", ("ays",), aligned.align_your_steps),
        Schedule(
            "align_your_steps_11",
            "Align Your Steps 11",
            ("ays_11",),
            aligned.align_your_steps_11,
        ),
        Schedule(
            "align_your_steps_32",
            "Align Your Steps 32",
            ("ays_32",),
            aligned.align_your_steps_32,
        ),
        Schedule(
            "align_your_steps_gits",
            "Align Your Steps GITS",
            ("gits",),
            aligned.align_your_steps_gits,
        ),
        Schedule("linear_quadratic", "Linear Quadratic", (), spacings.linear_quadratic),
        Schedule("trailing", "Trailing", _spacing("trailing"), spacings.trailing),
        Schedule("ddim_uniform", "DDIM", (), spacings.ddim_uniform),
        Schedule(
            "leading",
            "Leading",
            _spacing("leading"),
            spacings.leading,
            unit_variance=True,
        ),
    ],
    special=AUTOMATIC,
)


def find_schedule(text: str) -> Schedule | None:
    """The schedule called ``text``; None for "automatic". Raises ``SettingsError``."""
    return None if text.strip().casefold() == AUTOMATIC else SCHEDULES.find(text)
