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
    def keeps_variance(self) -> bool:
        """Tell whether diffusers keeps x / √(1 + σ²)."""
        return self.rounds_timesteps or self.sampler in ("ddim", "ddpm", "lcm", "plms", "tcd")

    @property
    def rounds_timesteps(self) -> bool:
        """Tell whether diffusers rounds time steps, and takes n of n + 1 with `linspace`."""
        return self.sampler.startswith(("dpmpp", "unipc", "deis", "sa_"))

    @property
    def twice(self) -> bool:
        """Tell whether a step of ours is two of diffusers'."""
        return self.sampler in ("heun", "dpm2", "dpm2_a")

    @property
    def order(self) -> int | None:
        """Return the order of a multistep sampler, where it is not diffusers' own, 2."""
        order = self.config.get("solver_order")
        assert order is None or isinstance(order, int)
        return order

    @property
    def starts_low(self) -> bool:
        """Tell whether a run of one step would start at time step 0, as with `linspace`."""
        spacing = self.config.get("timestep_spacing", "linspace")
        return spacing == "linspace" and not self.rounds_timesteps

    @property
    def ends_in_nan(self) -> bool:
        """Tell whether diffusers' step to level 0 gives NaN.

        The step is of infinite width in λ and comes to infinity times 0.
        """
        return self.sampler == "unipc"

    @property
    def steps(self) -> tuple[int, ...]:
        """Return the lengths of runs. diffusers' PNDM cannot make one step."""
        return STEPS[1:] if self.sampler == "plms" else STEPS

    @property
    def name(self) -> str:
        """Return the case's name in the file of golden arrays."""
        options = "-".join(f"{key}={value}" for key, value in self.config.items())
        eta = "" if self.eta is None else f"-eta={self.eta:g}"
        return f"{self.sampler}-{options}-{self.prediction}{eta}"


_LINSPACE: Mapping[str, object] = {"timestep_spacing": "linspace"}
_TRAILING: Mapping[str, object] = {"timestep_spacing": "trailing"}
_LEADING: Mapping[str, object] = {"timestep_spacing": "leading", "steps_offset": 1}
_KARRAS: Mapping[str, object] = {"use_karras_sigmas": True}
_EXPONENTIAL: Mapping[str, object] = {"use_exponential_sigmas": True}
_DDIM: Mapping[str, object] = {"set_alpha_to_one": False, **_LEADING}
_ALPHA_ONE: Mapping[str, object] = {"timestep_spacing": "leading", "steps_offset": 0}
_BETA: Mapping[str, object] = {"use_beta_sigmas": True}
_SDE: Mapping[str, object] = {"algorithm_type": "sde-dpmsolver++"}
_SDE_HEUN: Mapping[str, object] = {**_SDE, "solver_type": "heun"}
_BH1: Mapping[str, object] = {"solver_order": 3, "solver_type": "bh1"}
_BH2: Mapping[str, object] = {"solver_order": 3, "solver_type": "bh2"}
_DEIS: Mapping[str, object] = {"solver_order": 3}
_UNIPC_2: Mapping[str, object] = {"solver_order": 2, "solver_type": "bh2"}
_PLMS: Mapping[str, object] = {"skip_prk_steps": True, **_DDIM}
# With time steps so large that its boundary condition takes nothing of x.
_LCM: Mapping[str, object] = {"timestep_scaling": 1e9}
_EULER, _ANCESTRAL = "EulerDiscreteScheduler", "EulerAncestralDiscreteScheduler"
_HEUN, _DPM, _DDIM_CLASS = "HeunDiscreteScheduler", "DPMSolverMultistepScheduler", "DDIMScheduler"
_DPM2, _DPM2_A = "KDPM2DiscreteScheduler", "KDPM2AncestralDiscreteScheduler"
_SINGLESTEP = "DPMSolverSinglestepScheduler"
_UNIPC, _LMS, _DEIS_CLASS = (
    "UniPCMultistepScheduler",
    "LMSDiscreteScheduler",
    "DEISMultistepScheduler",
)

CASES = [
    SamplerCase("euler", _EULER, _LINSPACE, "uniform"),
    SamplerCase("euler", _EULER, _LINSPACE, "uniform", "v_prediction"),
    SamplerCase("euler", _EULER, _KARRAS, "karras"),
    SamplerCase("euler", _EULER, _EXPONENTIAL, "exponential"),
    SamplerCase("euler", _EULER, _TRAILING, "trailing"),
    SamplerCase("euler", _EULER, _LEADING, "leading"),
    SamplerCase("euler_a", _ANCESTRAL, _LINSPACE, "uniform"),
    SamplerCase("euler_a", _ANCESTRAL, _TRAILING, "trailing", "v_prediction"),
    SamplerCase("euler_a", _ANCESTRAL, _LEADING, "leading"),
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
    SamplerCase("euler", _EULER, _BETA, "beta"),
    SamplerCase("ddpm", "DDPMScheduler", _ALPHA_ONE, "leading"),
    SamplerCase("lms", _LMS, _LINSPACE, "uniform"),
    SamplerCase("lms", _LMS, _KARRAS, "karras", "v_prediction"),
    SamplerCase("dpm2", _DPM2, _LINSPACE, "uniform"),
    SamplerCase("dpm2", _DPM2, _KARRAS, "karras", "v_prediction"),
    SamplerCase("dpm2_a", _DPM2_A, _LINSPACE, "uniform"),
    SamplerCase("dpm2_a", _DPM2_A, _KARRAS, "karras", "v_prediction"),
    SamplerCase("dpmpp_2m_sde", _DPM, {**_SDE, **_EXPONENTIAL}, "exponential"),
    SamplerCase("dpmpp_2m_sde", _DPM, {**_SDE, **_TRAILING}, "trailing", "v_prediction"),
    SamplerCase("dpmpp_2m_sde_heun", _DPM, {**_SDE_HEUN, **_EXPONENTIAL}, "exponential"),
    SamplerCase("dpmpp_2m_sde_heun", _DPM, {**_SDE_HEUN, **_KARRAS}, "karras"),
    SamplerCase("unipc", _UNIPC, {**_BH1, **_TRAILING}, "trailing"),
    SamplerCase("unipc", _UNIPC, {**_BH1, **_KARRAS}, "karras", "v_prediction"),
    SamplerCase("unipc_bh2", _UNIPC, {**_BH2, **_TRAILING}, "trailing"),
    SamplerCase("unipc_bh2", _UNIPC, {**_BH2, **_KARRAS}, "karras", "v_prediction"),
    SamplerCase("unipc_bh2", _UNIPC, {**_UNIPC_2, **_TRAILING}, "trailing"),
    SamplerCase("deis", _DEIS_CLASS, _TRAILING),
    SamplerCase("deis", _DEIS_CLASS, {**_DEIS, **_LINSPACE}),
    SamplerCase("deis", _DEIS_CLASS, {**_DEIS, **_TRAILING}, "", "v_prediction"),
    SamplerCase("plms", "PNDMScheduler", _PLMS, "leading"),
    SamplerCase("lcm", "LCMScheduler", _LCM),
    SamplerCase("tcd", "TCDScheduler", {}),
    SamplerCase("tcd", "TCDScheduler", {}, "", "v_prediction", 0.8),
    SamplerCase("tcd", "TCDScheduler", {}, "", "epsilon", 0.0),
    SamplerCase("dpmpp_2s", _SINGLESTEP, _KARRAS, "karras"),
    SamplerCase("dpmpp_2s", _SINGLESTEP, _EXPONENTIAL, "exponential", "v_prediction"),
    SamplerCase("sa_solver", "SASolverScheduler", _LINSPACE),
    SamplerCase("sa_solver", "SASolverScheduler", _TRAILING, "", "v_prediction"),
]


def network(x: Array, timestep: float) -> Array:
    """Stand in for a network: smooth, bounded, not linear, another function at each time step."""
    return np.tanh(0.8 * x + 0.6 * np.sin(timestep / 100.0)) * 1.1


def initial_noise() -> NDArray[np.float64]:
    """Return the noise that sampling starts from, before its scale."""
    return 1.4 * np.cos(1.7 * np.arange(ELEMENTS) + 0.3)


def step_noise(step: int) -> NDArray[np.float64]:
    """Return the noise of one step."""
    return 1.4 * np.sin(1.1 * np.arange(ELEMENTS) + 2.3 * (step + 1))


@dataclass(frozen=True)
class GoldenRun:
    """One golden array, its columns named."""

    array: Array
    sigmas: Array = field(init=False)
    timesteps: Array = field(init=False)
    x: Array = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "sigmas", self.array[:, 0])
        object.__setattr__(self, "timesteps", self.array[:-1, 1])
        object.__setattr__(self, "x", self.array[:, 2:])
