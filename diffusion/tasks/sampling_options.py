"""The rarer choices about sampling, which few samplers or schedules have."""

from __future__ import annotations

from dataclasses import dataclass, replace

from diffusion.checks import check_integer, check_number
from diffusion.samplers import SamplerOptions
from diffusion.schedules import NoiseSchedule, ScheduleOptions

__all__ = ["Sampling"]

_MOST = 1e6


@dataclass(frozen=True)
class Sampling:
    """None takes the sampler's, the schedule's or the model's own.

    ``order``: of a multistep sampler. ``s_churn``, ``s_tmin``, ``s_tmax``, ``s_noise``: noise added
    before a step, the levels between which it is, and the deviation of all noise drawn. These count
    where a sampler has them (see ``SamplerOptions``). ``sigma_min``, ``sigma_max``, ``rho``: of the
    schedule, refused where it has none (see ``ScheduleOptions``).
    """

    order: int | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: float | None = None
    s_noise: float | None = None
    sigma_min: float | None = None
    sigma_max: float | None = None
    rho: float | None = None

    def check(self) -> None:
        """Raise `SettingsError` for the first value that cannot be."""
        check_integer("order", self.order, 1, 4)
        for name in ("s_churn", "s_tmin", "s_tmax", "s_noise", "sigma_min", "sigma_max", "rho"):
            check_number(name, getattr(self, name), 0, _MOST)
        self._noise(SamplerOptions())
        self.span()

    def options(self, noise: NoiseSchedule, eta: float | None) -> SamplerOptions:
        """For a sampler on a model."""
        return self._noise(SamplerOptions(eta=eta, order=self.order, scale_time=noise.scale_time))

    def _noise(self, options: SamplerOptions) -> SamplerOptions:
        """``options`` with what was chosen about noise."""
        names = ("s_churn", "s_tmin", "s_tmax", "s_noise")
        given = {name: getattr(self, name) for name in names}
        return replace(options, **{name: x for name, x in given.items() if x is not None})

    def span(self) -> ScheduleOptions:
        """For a schedule."""
        return ScheduleOptions(self.sigma_min, self.sigma_max, self.rho)
