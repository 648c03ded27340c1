"""The noise that a model was trained with, and how its time steps and noise levels belong together.

The forward process keeps √ᾱₜ of the picture and adds √(1 - ᾱₜ) of unit noise (Ho et al. 2020,
arXiv 2006.11239). Samplers here work in the variance-exploding form x = x₀ + σ·noise with
σₜ = √((1 - ᾱₜ) / ᾱₜ) (Karras et al. 2022, arXiv 2206.00364); the network's own input is
x / √(1 + σ²).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, Protocol, Self

import numpy as np
from numpy.typing import NDArray

from diffusion.errors import SettingsError

__all__ = ["Levels", "NoiseConfig", "NoiseSchedule", "Scalings"]

Levels = NDArray[np.float64]
"""Noise levels or time steps, float64, one axis."""

PREDICTION_TYPES: Final = ("epsilon", "sample", "v_prediction")
SPACINGS: Final = ("leading", "linspace", "trailing")
LEAST_KEPT: Final = 2.0**-24
"""ᾱ of a last time step that keeps nothing: f16's least number, so that σ is 4096, not infinite."""
LEAST_READ: Final = 1e-12
"""Least ᾱ that is taken, for which σ is a million; f32 computes with such levels."""
LARGEST_BETA: Final = 0.999
"""Cap of the cosine schedule's variances (Nichol and Dhariwal 2021, arXiv 2102.09672)."""


class NoiseConfig(Protocol):
    """What of a model folder's ``scheduler_config.json`` is read here."""

    @property
    def num_train_timesteps(self) -> int: ...

    @property
    def beta_start(self) -> float: ...

    @property
    def beta_end(self) -> float: ...

    @property
    def beta_schedule(self) -> str: ...

    @property
    def prediction_type(self) -> str: ...

    @property
    def steps_offset(self) -> int: ...

    @property
    def set_alpha_to_one(self) -> bool: ...

    @property
    def timestep_spacing(self) -> str: ...

    @property
    def rescale_betas_zero_snr(self) -> bool: ...


class Scalings(NamedTuple):
    """``denoised = skip * x + out * network(into * x, timestep)``: the factors at one level."""

    into: float
    skip: float
    out: float


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """Noise levels of the training time steps.

    ``alphas_cumprod``: ᾱ, falling within (0, 1), one for each training step. ``prediction_type``:
    what the network's output means (``epsilon``, ``v_prediction`` or ``sample``). ``steps_offset``
    and ``set_alpha_to_one`` are DDIM's: added to each ``leading`` time step, and whether its last
    step goes to no noise at all or to the first training step's. ``timestep_spacing``: how the
    model's folder wants time steps spaced. ``large``: of an XL model, for which some searched
    levels are others. Raises ``SettingsError`` for values that cannot be.
    """

    alphas_cumprod: Levels
    prediction_type: str = "epsilon"
    steps_offset: int = 0
    set_alpha_to_one: bool = True
    timestep_spacing: str = "linspace"
    large: bool = False

    def __post_init__(self) -> None:
        kept = np.array(self.alphas_cumprod, dtype=np.float64)
        if kept.ndim != 1 or len(kept) < 2:
            raise SettingsError("alphas_cumprod", f"shape {kept.shape}", "give at least two values")
        if not (np.all(np.diff(kept) < 0) and kept[-1] > 0 and kept[0] < 1):
            raise SettingsError("alphas_cumprod", kept.tolist(), "they must fall within (0, 1)")
        if kept[-1] < LEAST_READ:
            hint = f"less than {LEAST_READ} is no model's; check the scheduler's config"
            raise SettingsError("alphas_cumprod", float(kept[-1]), hint)
        _check("prediction_type", self.prediction_type, PREDICTION_TYPES)
        _check("timestep_spacing", self.timestep_spacing, SPACINGS)
        if self.steps_offset < 0:
            raise SettingsError("steps_offset", self.steps_offset, "give 0 or more")
        kept.flags.writeable = False
        object.__setattr__(self, "alphas_cumprod", kept)

    @classmethod
    def from_config(cls, config: NoiseConfig, trained_betas: Sequence[float] | None = None) -> Self:
        """The schedule of a model folder. ``trained_betas`` replaces the config's β rule."""
        if trained_betas is None:
            variances = betas(
                config.beta_schedule,
                config.beta_start,
                config.beta_end,
                config.num_train_timesteps,
            )
        else:
            variances = np.array(trained_betas, dtype=np.float64)
        kept: Levels = np.cumprod(1.0 - variances, dtype=np.float64)
        return cls(
            without_signal_at_end(kept) if config.rescale_betas_zero_snr else kept,
            config.prediction_type,
            config.steps_offset,
            config.set_alpha_to_one,
            config.timestep_spacing,
        )

    def rescaled(self) -> Self:
        """The same with a last time step that keeps nothing of the picture (Lin et al. 2023).

        Raises ``SettingsError`` where it is so already.
        """
        if self.alphas_cumprod[-1] <= LEAST_KEPT:
            hint = "the model's noise ends so already: turn it off"
            raise SettingsError("zero_snr", True, hint)
        return replace(self, alphas_cumprod=without_signal_at_end(self.alphas_cumprod))

    @property
    def num_train_timesteps(self) -> int:
        """How many training time steps there are."""
        return len(self.alphas_cumprod)

    @functools.cached_property
    def sigmas(self) -> Levels:
        """The noise level of each training time step, rising."""
        return np.sqrt((1.0 - self.alphas_cumprod) / self.alphas_cumprod)

    @functools.cached_property
    def _log_sigmas(self) -> Levels:
        return np.log(self.sigmas)

    @property
    def sigma_min(self) -> float:
        """The level of training step 0."""
        return float(self.sigmas[0])

    @property
    def sigma_max(self) -> float:
        """The level of the last training step."""
        return float(self.sigmas[-1])

    @property
    def final_sigma(self) -> float:
        """The level at which DDIM ends: 0, or ``sigma_min`` where ``set_alpha_to_one`` is off."""
        return 0.0 if self.set_alpha_to_one else self.sigma_min

    def sigmas_at(self, timesteps: Levels) -> Levels:
        """Levels of ``timesteps`` (any shape, fractions too), log σ linear between whole steps."""
        whole = np.arange(self.num_train_timesteps, dtype=np.float64)
        return np.exp(np.interp(timesteps, whole, self._log_sigmas))

    def sigma_of(self, timestep: float) -> float:
        """The level of one time step; outside the training range, the nearest end's."""
        return float(self.sigmas_at(np.array(timestep, dtype=np.float64)))

    def timestep_of(self, sigma: float) -> float:
        """The time step of one level, a fraction between whole ones: undoes ``sigma_of``.

        Levels outside the training range give its ends. The fraction is kept, as k-diffusion does
        without quantizing; of diffusers' classes, DPMSolverMultistep alone rounds it.
        """
        if sigma <= self.sigma_min:
            return 0.0
        whole = np.arange(self.num_train_timesteps, dtype=np.float64)
        return float(np.interp(math.log(sigma), self._log_sigmas, whole))

    def earlier(self, sigma: float, share: float) -> float:
        """The level of the whole time step that is ``share`` of a level's, rounded down."""
        # A whole step's fraction may come out an ulp too low.
        return self.sigma_of(math.floor(share * self.timestep_of(sigma) + 1e-6))

    def scalings(self, sigma: float) -> Scalings:
        """How the network's input and output at ``sigma`` make the denoised picture."""
        spread = math.sqrt(1.0 + sigma * sigma)
        if self.prediction_type == "epsilon":
            return Scalings(1.0 / spread, 1.0, -sigma)
        if self.prediction_type == "v_prediction":
            return Scalings(1.0 / spread, 1.0 / (spread * spread), -sigma / spread)
        return Scalings(1.0 / spread, 0.0, 1.0)


def _check(field: str, value: str, choices: Sequence[str]) -> None:
    if value not in choices:
        raise SettingsError(field, value, f"give one of {', '.join(choices)}")


def without_signal_at_end(alphas_cumprod: Levels) -> Levels:
    """ᾱ shifted and scaled in √ᾱ so that the last time step keeps nothing, the first what it kept.

    (Lin et al. 2023, arXiv 2305.08891, algorithm 1; the last ᾱ as diffusers' Euler has it.)
    """
    root = np.sqrt(alphas_cumprod)
    kept: Levels = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    kept[-1] = LEAST_KEPT
    return kept


def betas(beta_schedule: str, start: float, end: float, count: int) -> Levels:
    """The variance added by each of ``count`` training steps. Raises ``SettingsError``.

    ``linear``: evenly from start to end (Ho et al. 2020). ``scaled_linear``: √β evenly, as Stable
    Diffusion was trained. ``squaredcos_cap_v2``: from ᾱ = cos², needs neither start nor end
    (Nichol and Dhariwal 2021, equation 17).
    """
    _check("beta_schedule", beta_schedule, ("linear", "scaled_linear", "squaredcos_cap_v2"))
    if beta_schedule == "linear":
        return np.linspace(start, end, count)
    if beta_schedule == "scaled_linear":
        return np.linspace(math.sqrt(start), math.sqrt(end), count) ** 2
    times = np.arange(count + 1) / count
    kept = np.cos((times + 0.008) / 1.008 * math.pi / 2.0) ** 2
    variances: Levels = np.minimum(1.0 - kept[1:] / kept[:-1], LARGEST_BETA)
    return variances
