"""The part of the settings about sampling that few samplers or schedules have."""

from __future__ import annotations

from dataclasses import dataclass, replace

from diffusion.checks import check_integer, check_number
from diffusion.samplers import SamplerOptions
from diffusion.schedules import NoiseSchedule, ScheduleOptions

__all__ = ["SamplingSettings"]

_MOST = 1e6
_MOST_DELTA = 2**64 - 1


@dataclass(frozen=True)
class SamplingSettings:
    """Rarer choices about sampling. None takes the sampler's, the schedule's or the model's own.

    A user chooses these. `sampler_options` and `span` turn them into what a sampler function and a
    schedule read.

    ``order``: of a multistep sampler. ``s_churn``, ``s_tmin``, ``s_tmax``: the noise added before a
    step, and the levels between which it is added. ``s_noise``: the deviation of all noise drawn.
    They count where a sampler has them; see `SamplerOptions`. ``noise_seed_delta``: added to the
    seed for the noise that steps draw, as A1111's "eta noise seed delta" (ENSD); the paths of SDE
    samplers keep the seed. ``sigma_min``, ``sigma_max``,
    ``rho``: of the schedule, refused where it has none; see `ScheduleOptions`.
    """

    order: int | None = None
    s_churn: float | None = None
    s_tmin: float | None = None
    s_tmax: float | None = None
    s_noise: float | None = None
    sigma_min: float | None = None
    sigma_max: float | None = None
    rho: float | None = None
    noise_seed_delta: int | None = None

    def check(self) -> None:
        """Raise `SettingsError` for the first value that is out of range."""
        check_integer("order", self.order, 1, 4)
        check_integer("noise_seed_delta", self.noise_seed_delta, -_MOST_DELTA, _MOST_DELTA)
        for name in ("s_churn", "s_tmin", "s_tmax", "s_noise", "sigma_min", "sigma_max", "rho"):
            check_number(name, getattr(self, name), 0, _MOST)
        self._with_noise_options(SamplerOptions())
        self.span()

    def sampler_options(self, noise: NoiseSchedule, eta: float | None) -> SamplerOptions:
        """Return the options of a sampler on a model."""
        options = SamplerOptions(eta=eta, order=self.order, scale_time=noise.scale_time)
        return self._with_noise_options(options)

    def _with_noise_options(self, options: SamplerOptions) -> SamplerOptions:
        """Return ``options`` with the choices about noise."""
        names = ("s_churn", "s_tmin", "s_tmax", "s_noise")
        given = {name: getattr(self, name) for name in names}
        return replace(options, **{name: x for name, x in given.items() if x is not None})

    def span(self) -> ScheduleOptions:
        """Return the ends and the exponent of a schedule."""
        return ScheduleOptions(self.sigma_min, self.sigma_max, self.rho)
