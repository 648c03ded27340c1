"""Runs of diffusers' samplers with a closed-form stand-in for the network.

The script `tools/goldens/samplers.py` and the tests go through one table. Each run is one array of
`tests/data/goldens/samplers.npz`, twice: `f64/name`, diffusers computing in float64 throughout,
and `f32/name`, diffusers as it is. Rows 0 to n; columns: the noise level σ, the time step that the
network is given there (-1 in the last row), then x as diffusers keeps it.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

Array = NDArray[Any]

STEPS = (1, 2, 5, 10, 20)
ELEMENTS = 6

STABLE_DIFFUSION: Mapping[str, object] = {
    "num_train_timesteps": 1000,
    "beta_start": 0.00085,
    "beta_end": 0.012,
    "beta_schedule": "scaled_linear",
}

BETA_RULES: Mapping[str, Mapping[str, object]] = {
    "linear": {"beta_schedule": "linear", "beta_start": 1e-4, "beta_end": 0.02},
    "scaled_linear": STABLE_DIFFUSION,
    "squaredcos_cap_v2": {"beta_schedule": "squaredcos_cap_v2"},
    "trained_betas": {"trained_betas": [0.001, 0.01, 0.02, 0.05, 0.1, 0.2]},
}
"""β rules whose ᾱ is stored as `alphas_cumprod/name`, every 37th value."""
STRIDE = 37


@dataclass(frozen=True)
class SamplerCase:
    """A sampler of ours and the class and config of diffusers that it must equal.

    `schedule`: the name of our schedule that must give diffusers' levels, or "" where none does.
    """

    sampler: str
    diffusers: str
    config: Mapping[str, object]
    schedule: str = ""
    prediction: str = "epsilon"
    eta: float | None = None

    @property
    def preserving(self) -> bool:
        """Whether diffusers keeps x / √(1 + σ²)."""
        return self.sampler in ("ddim", "dpmpp_2m")

    @property
    def starts_low(self) -> bool:
        """Whether diffusers' only step of one would start at time step 0, as with `linspace`."""
        spacing = self.config.get("timestep_spacing", "linspace")
        return spacing == "linspace" and self.sampler != "dpmpp_2m"

    @property
    def name(self) -> str:
        options = "-".join(f"{key}={value}" for key, value in self.config.items())
        eta = "" if self.eta is None else f"-eta={self.eta:g}"
        return f"{self.sampler}-{options}-{self.prediction}{eta}"


_LINSPACE: Mapping[str, object] = {"timestep_spacing": "linspace"}
_TRAILING: Mapping[str, object] = {"timestep_spacing": "trailing"}
_LEADING: Mapping[str, object] = {"timestep_spacing": "leading", "steps_offset": 1}
_KARRAS: Mapping[str, object] = {"use_karras_sigmas": True}
_EXPONENTIAL: Mapping[str, object] = {"use_exponential_sigmas": True}
_DDIM: Mapping[str, object] = {"set_alpha_to_one": False, **_LEADING}
_EULER, _ANCESTRAL = "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"
_HEUN, _DPM, _DDIM_CLASS = "HeunDiscreteScheduler", "DPMSolverMultistepScheduler", "DDIMScheduler"

CASES = [
    SamplerCase("euler", _EULER, _LINSPACE, "uniform"),
    SamplerCase("euler", _EULER, _LINSPACE, "uniform", "v_prediction"),
    SamplerCase("euler", _EULER, _KARRAS, "karras"),
    SamplerCase("euler", _EULER, _EXPONENTIAL, "exponential"),
    SamplerCase("euler", _EULER, _TRAILING, "trailing"),
    SamplerCase("euler", _EULER, _LEADING, "ddim_uniform"),
    SamplerCase("euler_a", _ANCESTRAL, _LINSPACE, "uniform"),
    SamplerCase("euler_a", _ANCESTRAL, _TRAILING, "trailing", "v_prediction"),
    SamplerCase("euler_a", _ANCESTRAL, _LEADING, "ddim_uniform"),
    SamplerCase("heun", _HEUN, _LINSPACE, "uniform"),
    SamplerCase("heun", _HEUN, _KARRAS, "karras"),
    SamplerCase("heun", _HEUN, _TRAILING, "trailing", "v_prediction"),
    SamplerCase("dpmpp_2m", _DPM, _LINSPACE),
    SamplerCase("dpmpp_2m", _DPM, _KARRAS, "karras"),
    SamplerCase("dpmpp_2m", _DPM, _EXPONENTIAL, "exponential"),
    SamplerCase("dpmpp_2m", _DPM, _TRAILING, "trailing", "v_prediction"),
    SamplerCase("dpmpp_2m", _DPM, _TRAILING, "trailing", "sample"),
    SamplerCase("ddim", _DDIM_CLASS, _DDIM, "leading"),
    SamplerCase("ddim", _DDIM_CLASS, _DDIM, "leading", "epsilon", 0.7),
    SamplerCase("ddim", _DDIM_CLASS, _DDIM, "leading", "v_prediction", 1.0),
    SamplerCase("ddim", _DDIM_CLASS, _DDIM, "leading", "sample"),
    SamplerCase("ddim", _DDIM_CLASS, _TRAILING, "trailing"),
    SamplerCase("ddim", _DDIM_CLASS, _TRAILING, "trailing", "epsilon", 1.0),
]


def network(x: Array, timestep: float) -> Array:
    """The stand-in: smooth, bounded, not linear, another function at each time step."""
    return np.tanh(0.8 * x + 0.6 * np.sin(timestep / 100.0)) * 1.1


def initial_noise() -> NDArray[np.float64]:
    """What sampling starts from, before its scale."""
    return 1.4 * np.cos(1.7 * np.arange(ELEMENTS) + 0.3)


def step_noise(step: int) -> NDArray[np.float64]:
    """The noise of one step."""
    return 1.4 * np.sin(1.1 * np.arange(ELEMENTS) + 2.3 * (step + 1))


@dataclass(frozen=True)
class Run:
    """One golden array, its columns named."""

    array: Array
    sigmas: Array = field(init=False)
    timesteps: Array = field(init=False)
    x: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigmas", self.array[:, 0])
        object.__setattr__(self, "timesteps", self.array[:-1, 1])
        object.__setattr__(self, "x", self.array[:, 2:])
