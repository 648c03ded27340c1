"""Finding samplers by the names that users write, also the names of samplers missing here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, TypeAlias

from diffusion.catalogue import Catalogue
from diffusion.errors import SettingsError
from diffusion.samplers.registry import SAMPLERS
from diffusion.samplers.sampler import Sampler
from diffusion.samplers.sampling_run import SamplerFunction
from diffusion.schedules import SCHEDULES, Schedule, ScheduleChoice, find_schedule

__all__ = ["SamplerChoice", "choose_schedule", "find_sampler", "find_sampler_and_schedule"]

SamplerChoice: TypeAlias = str | Sampler | SamplerFunction
"""A name in ``SAMPLERS``, a sampler of the caller's, or its generator function alone."""


@dataclass(frozen=True)
class MissingSampler:
    """A known sampler that is not here. ``reason``: why, and the nearest one that is here."""

    name: str
    label: str
    aliases: tuple[str, ...]
    reason: str


_EDM: Final = "it is for models trained on EDM's noise levels, which are not here"

MISSING: Final = Catalogue(
    "sampler",
    [
        MissingSampler(
            "edm_euler",
            "EDM Euler",
            ("EDMEulerScheduler", "EDMEuler"),
            f"{_EDM}; the nearest is euler",
        ),
        MissingSampler(
            "edm_dpm_multistep",
            "EDM DPM Multistep",
            ("EDMDPMSolverMultistepScheduler", "EDMDPMSolverMultistep"),
            f"{_EDM}; the nearest is dpmpp_2m",
        ),
        MissingSampler(
            "unipc_vary_coeff",
            "UniPC vary_coeff",
            ("uni_pc_vary_coeff", "vary_coeff"),
            "UniPC's third variant is not here; the nearest are unipc and unipc_bh2",
        ),
    ],
)


def find_sampler(text: SamplerChoice) -> Sampler:
    """Return the sampler called ``text``, or the one that is given.

    A function becomes a sampler without options. Raises ``SettingsError`` that lists the nearest
    names, or says why the sampler is not here.
    """
    if isinstance(text, Sampler):
        return text
    if not isinstance(text, str):
        if not callable(text):
            raise SettingsError("sampler", text, "must be a name, a Sampler or a function")
        name = getattr(text, "__name__", "custom")
        return Sampler(name, name, text, "uniform")
    missing = MISSING.get(text)
    if missing is not None:
        raise SettingsError("sampler", text, missing.reason)
    return SAMPLERS.find(text)


def choose_schedule(
    sampler: SamplerChoice, schedule: ScheduleChoice | None, default: ScheduleChoice
) -> ScheduleChoice:
    """Return ``schedule`` if given, else the one in the sampler's name, else ``default``."""
    if schedule:
        return schedule
    named = find_sampler_and_schedule(sampler)[1]
    return named.name if named else default


def find_sampler_and_schedule(text: SamplerChoice) -> tuple[Sampler, Schedule | None]:
    """Find a sampler, and a schedule if the text names both: "DPM++ 2M Karras", ``ddim_trailing``.

    Raises ``SettingsError`` as `find_sampler` does.
    """
    if not isinstance(text, str):
        return find_sampler(text), None
    words = text.replace("_", " ").split()
    for cut in range(len(words) - 1, 0, -1):
        head, tail = " ".join(words[:cut]), " ".join(words[cut:])
        sampler = SAMPLERS.get(head)
        if sampler is not None and SAMPLERS.get(text) is None and SCHEDULES.get(tail) is not None:
            return sampler, find_schedule(tail)
    return find_sampler(text), None
