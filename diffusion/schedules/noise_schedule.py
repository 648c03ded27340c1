"""The noise that a model was trained with: the noise level of each training time step.

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
ZERO_SNR_ALPHA: Final = 2.0**-24
"""ᾱ of a last time step that keeps nothing of the picture.

It is f16's smallest number, so that σ is 4096 and not infinite.
"""
MIN_ALPHA: Final = 1e-12
"""The smallest ᾱ that is accepted: its σ is a million, a level that f32 can compute with."""
MAX_BETA: Final = 0.999
"""Cap of the cosine schedule's variances (Nichol and Dhariwal 2021, arXiv 2102.09672)."""


class NoiseConfig(Protocol):
    """The fields of a model folder's ``scheduler_config.json`` that are read here."""

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
    """Factors at one level: ``denoised = skip * x + out * network(into * x, timestep)``."""

    into: float
    skip: float
    out: float


@dataclass(frozen=True, eq=False)
class NoiseSchedule:
    """Noise levels of the training time steps.

    ``alphas_cumprod``: ᾱ, falling within (0, 1), one for each training step. ``prediction_type``:
    the meaning of the network's output (``epsilon``, ``v_prediction`` or ``sample``).
    ``steps_offset`` and ``set_alpha_to_one`` are DDIM's: the first is added to each ``leading``
    time step. With the second, DDIM's last step goes to no noise at all, else to the noise of the
    first training step. ``timestep_spacing``: the spacing that the model's folder asks for.
    ``large``: the model is an XL model, which has its own searched levels. Raises
    ``SettingsError`` for values that are not valid.
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
        if kept[-1] < MIN_ALPHA:
            hint = f"less than {MIN_ALPHA} is no model's; check the scheduler's config"
            raise SettingsError("alphas_cumprod", float(kept[-1]), hint)
        _require_choice("prediction_type", self.prediction_type, PREDICTION_TYPES)
        _require_choice("timestep_spacing", self.timestep_spacing, SPACINGS)
        if self.steps_offset < 0:
            raise SettingsError("steps_offset", self.steps_offset, "give 0 or more")
        kept.flags.writeable = False
        object.__setattr__(self, "alphas_cumprod", kept)

    @classmethod
    def from_config(cls, config: NoiseConfig, trained_betas: Sequence[float] | None = None) -> Self:
        """Return the schedule of a model folder. ``trained_betas`` replaces the config's β rule."""
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
            rescale_to_zero_snr(kept) if config.rescale_betas_zero_snr else kept,
            config.prediction_type,
            config.steps_offset,
            config.set_alpha_to_one,
            config.timestep_spacing,
        )

    def with_zero_snr(self) -> Self:
        """Return the schedule with a last time step that keeps nothing (Lin et al. 2023).

        Raises ``SettingsError`` where the model's noise ends so already.
        """
        if self.alphas_cumprod[-1] <= ZERO_SNR_ALPHA:
            hint = "the model's noise ends so already: turn it off"
            raise SettingsError("zero_snr", True, hint)
        return replace(self, alphas_cumprod=rescale_to_zero_snr(self.alphas_cumprod))

    @property
    def num_train_timesteps(self) -> int:
        """The number of training time steps."""
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
        """Return the levels of ``timesteps`` of any shape, log σ linear between whole steps."""
        every_step = np.arange(self.num_train_timesteps, dtype=np.float64)
        return np.exp(np.interp(timesteps, every_step, self._log_sigmas))

    def sigma_of(self, timestep: float) -> float:
        """Return the level of one time step; outside the training range, the nearest end's."""
        return float(self.sigmas_at(np.array(timestep, dtype=np.float64)))

    def timestep_of(self, sigma: float) -> float:
        """Return the time step of one level, a fraction between whole ones.

        The inverse of ``sigma_of``. Levels outside the training range give its ends. The fraction
        is kept, as in k-diffusion without quantizing; diffusers' DPMSolverMultistep alone rounds
        it.
        """
        if sigma <= self.sigma_min:
            return 0.0
        every_step = np.arange(self.num_train_timesteps, dtype=np.float64)
        return float(np.interp(math.log(sigma), self._log_sigmas, every_step))

    def scale_time(self, sigma: float, share: float) -> float:
        """Return the level of the whole time step at ``share`` of a level's, rounded down."""
        # A whole step's fraction may come out an ulp too low.
        return self.sigma_of(math.floor(share * self.timestep_of(sigma) + 1e-6))

    def scalings(self, sigma: float) -> Scalings:
        """Return the factors that make a denoised picture of input and output at ``sigma``."""
        spread = math.sqrt(1.0 + sigma * sigma)
        if self.prediction_type == "epsilon":
            return Scalings(1.0 / spread, 1.0, -sigma)
        if self.prediction_type == "v_prediction":
            return Scalings(1.0 / spread, 1.0 / (spread * spread), -sigma / spread)
        return Scalings(1.0 / spread, 0.0, 1.0)


def _require_choice(field: str, value: str, choices: Sequence[str]) -> None:
    """Raise ``SettingsError`` unless ``value`` is one of ``choices``."""
    if value not in choices:
        raise SettingsError(field, value, f"must be one of {', '.join(choices)}")


def rescale_to_zero_snr(alphas_cumprod: Levels) -> Levels:
    """Shift and scale √ᾱ so that the last time step keeps nothing, and the first what it kept.

    Lin et al. 2023 (arXiv 2305.08891), algorithm 1; the last ᾱ as diffusers' Euler has it.
    """
    root = np.sqrt(alphas_cumprod)
    kept: Levels = ((root - root[-1]) * root[0] / (root[0] - root[-1])) ** 2
    kept[-1] = ZERO_SNR_ALPHA
    return kept


def betas(beta_schedule: str, start: float, end: float, count: int) -> Levels:
    """Return the variance added by each of ``count`` training steps. Raises ``SettingsError``.

    ``linear``: evenly from start to end (Ho et al. 2020). ``scaled_linear``: √β evenly, as Stable
    Diffusion was trained. ``squaredcos_cap_v2``: from ᾱ = cos², needs neither start nor end
    (Nichol and Dhariwal 2021, equation 17).
    """
    _require_choice(
        "beta_schedule", beta_schedule, ("linear", "scaled_linear", "squaredcos_cap_v2")
    )
    if beta_schedule == "linear":
        return np.linspace(start, end, count)
    if beta_schedule == "scaled_linear":
        return np.linspace(math.sqrt(start), math.sqrt(end), count) ** 2
    times = np.arange(count + 1) / count
    kept = np.cos((times + 0.008) / 1.008 * math.pi / 2.0) ** 2
    variances: Levels = np.minimum(1.0 - kept[1:] / kept[:-1], MAX_BETA)
    return variances
