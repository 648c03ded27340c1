"""Samplers by what users write, with those that are known by name and not there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from diffusion.catalogue import Catalogue
from diffusion.errors import SettingsError
from diffusion.samplers.registry import SAMPLERS
from diffusion.samplers.sampler import Sampler
from diffusion.schedules import SCHEDULES, Schedule, find_schedule

__all__ = ["chosen_schedule", "find_sampler", "find_sampler_and_schedule"]


@dataclass(frozen=True)
class Absent:
    """A sampler of the field that is not here. ``reason``: why, and the nearest that is."""

    name: str
    label: str
    aliases: tuple[str, ...]
    reason: str


_EDM: Final = "it is for models trained on EDM's noise levels, which are not here"

ABSENT: Final = Catalogue(
    "sampler",
    [
        Absent(
            "edm_euler",
            "EDM Euler",
            ("EDMEulerScheduler", "EDMEuler"),
            f"{_EDM}; the nearest is euler",
        ),
        Absent(
            "edm_dpm_multistep",
            "EDM DPM Multistep",
            ("EDMDPMSolverMultistepScheduler", "EDMDPMSolverMultistep"),
            f"{_EDM}; the nearest is dpmpp_2m",
        ),
        Absent(
            "unipc_vary_coeff",
            "UniPC vary_coeff",
            ("uni_pc_vary_coeff", "vary_coeff"),
            "UniPC's third variant is not here; the nearest are unipc and unipc_bh2",
        ),
    ],
)


def find_sampler(text: str) -> Sampler:
    """The sampler called ``text``.

    Raises ``SettingsError`` that lists the nearest names, or says that the sampler is not here.
    """
    absent = ABSENT.get(text)
    if absent is not None:
        raise SettingsError("sampler", text, absent.reason)
    return SAMPLERS.find(text)


def chosen_schedule(sampler: str, schedule: str | None, otherwise: str) -> str:
    """The schedule that is given, else the one in the sampler's name, else another."""
    named = None if schedule else find_sampler_and_schedule(sampler)[1]
    return schedule or (named.name if named else otherwise)


def find_sampler_and_schedule(text: str) -> tuple[Sampler, Schedule | None]:
    """Read also names of both, "DPM++ 2M Karras" or ``ddim_trailing``; None: none was named."""
    words = text.replace("_", " ").split()
    for cut in range(len(words) - 1, 0, -1):
        head, tail = " ".join(words[:cut]), " ".join(words[cut:])
        sampler = SAMPLERS.get(head)
        if sampler is not None and SAMPLERS.get(text) is None and SCHEDULES.get(tail) is not None:
            return sampler, find_schedule(tail)
    return find_sampler(text), None
