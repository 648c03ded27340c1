"""The options that a caller may choose for a schedule: its ends and its exponent."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

from diffusion.errors import SettingsError
from diffusion.schedules.noise_schedule import NoiseSchedule

__all__ = ["NO_OPTIONS", "ScheduleOptions"]


MIN_LEVEL: Final = 1e-6
MIN_RHO: Final = 0.1


@dataclass(frozen=True)
class ScheduleOptions:
    """Options of schedules; None takes the model's value, or the schedule's.

    ``sigma_max``, ``sigma_min``: the highest level and the lowest above 0. ``rho``: the exponent of
    ``karras`` (7 by default) and of ``polyexponential`` (1 by default). Raises ``SettingsError``,
    also for values so small that powers of levels would leave float64.
    """

    sigma_min: float | None = None
    sigma_max: float | None = None
    rho: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.chosen_values().items():
            lowest = MIN_RHO if name == "rho" else MIN_LEVEL
            if not lowest <= value < math.inf:
                raise SettingsError(name, value, f"must be a number from {lowest:g} on")

    def chosen_values(self) -> dict[str, float]:
        """Return the options that were chosen, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def ends(self, noise: NoiseSchedule) -> tuple[float, float]:
        """Return the highest level and the lowest above 0.

        Raises ``SettingsError`` unless the first is above the second.
        """
        high = noise.sigma_max if self.sigma_max is None else self.sigma_max
        low = noise.sigma_min if self.sigma_min is None else self.sigma_min
        if high <= low:
            raise SettingsError("sigma_max", high, f"give more than sigma_min, {low:g}")
        return high, low

    def rho_or(self, default: float) -> float:
        """Return the exponent, or ``default`` where none was chosen."""
        return default if self.rho is None else self.rho


NO_OPTIONS: Final = ScheduleOptions()
