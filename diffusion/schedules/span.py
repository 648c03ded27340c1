"""What a caller may choose about a schedule's ends and bend."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Final

from diffusion.errors import SettingsError
from diffusion.schedules.noise_schedule import NoiseSchedule

__all__ = ["WHOLE", "Span"]


LEAST_LEVEL: Final = 1e-6
LEAST_RHO: Final = 0.1


@dataclass(frozen=True)
class Span:
    """None takes the model's, or the schedule's.

    ``sigma_max``, ``sigma_min``: the highest level and the lowest above 0. ``rho``: the exponent of
    ``karras`` (7 of its own) and ``polyexponential`` (1). Raises ``SettingsError``, also for those
    so small that powers of levels would leave float64.
    """

    sigma_min: float | None = None
    sigma_max: float | None = None
    rho: float | None = None

    def __post_init__(self) -> None:
        for name, value in self.given().items():
            least = LEAST_RHO if name == "rho" else LEAST_LEVEL
            if not least <= value < math.inf:
                raise SettingsError(name, value, f"give a number from {least:g} on")

    def given(self) -> dict[str, float]:
        """What was chosen, by name."""
        values = {field.name: getattr(self, field.name) for field in fields(self)}
        return {name: value for name, value in values.items() if value is not None}

    def ends(self, noise: NoiseSchedule) -> tuple[float, float]:
        """The highest level and the lowest above 0. Raises ``SettingsError`` if none falls."""
        high = noise.sigma_max if self.sigma_max is None else self.sigma_max
        low = noise.sigma_min if self.sigma_min is None else self.sigma_min
        if high <= low:
            raise SettingsError("sigma_max", high, f"give more than sigma_min, {low:g}")
        return high, low

    def rho_or(self, default: float) -> float:
        """The exponent."""
        return default if self.rho is None else self.rho


WHOLE: Final = Span()
"""Nothing chosen."""
