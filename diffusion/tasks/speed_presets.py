"""Settings that LoRAs for few steps were made for: LCM, Lightning, Hyper-SD, TCD and DMD2."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from diffusion.catalogue import Catalogue

__all__ = ["SPEED_PRESETS", "SpeedPreset"]


@dataclass(frozen=True)
class SpeedPreset:
    """The sampler, schedule and steps of a LoRA for few steps, without guidance."""

    name: str
    label: str
    sampler: str
    schedule: str
    steps: int
    eta: float | None = None
    aliases: tuple[str, ...] = ()

    @property
    def settings(self) -> dict[str, Any]:
        """Values of `Settings` by name, for ``dataclasses.replace``."""
        return {
            "sampler": self.sampler,
            "schedule": self.schedule,
            "steps": self.steps,
            "guidance": 1.0,
            "eta": self.eta,
        }


SPEED_PRESETS: Final = Catalogue(
    "speed",
    (
        SpeedPreset("lcm", "LCM", "lcm", "sgm_uniform", 4),
        *(
            SpeedPreset(f"lightning_{n}", f"Lightning {n} steps", "euler", "sgm_uniform", n)
            for n in (2, 4, 8)
        ),
        *(
            SpeedPreset(f"hyper_{n}", f"Hyper-SD {n} steps", "ddim", "trailing", n, 0.0)
            for n in (2, 4, 8)
        ),
        SpeedPreset("tcd", "TCD", "tcd", "trailing", 4, 0.3),
        # Its time steps are 999, 749, 499 and 249.
        SpeedPreset("dmd2", "DMD2", "lcm", "trailing", 4),
    ),
)
"""``lightning_4`` is for the file made for 4 steps.

The values are those that users of these LoRAs pass on; their authors' pages were not at hand. LCM
has the levels of ComfyUI's nodes, not diffusers' own spacing. Hyper-SD of one step is left out.
"""
