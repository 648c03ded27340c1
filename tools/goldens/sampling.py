"""diffusers' samplers on a given list of noise levels, with given noise.

diffusers ties each sampler to its own choice of timesteps. Here every one steps along the same
list, so that any sampler goes with any schedule, while the step itself is diffusers':

- euler: EulerDiscreteScheduler; euler_a: EulerAncestralDiscreteScheduler; dpmpp_2m:
  DPMSolverMultistepScheduler (order 2, midpoint, last step of order 1 as σ ends in 0).
- ddim: DDIMScheduler over a training table that consists of the list's own levels, so that
  "the previous training timestep" is the next level. (With diffusers' "linspace" spacing DDIM's
  previous timestep is not the next one of its list; "trailing" agrees with what is done here.)

ddim and dpmpp_2m keep x / √(1 + σ²), the others x: `scale` is the factor from the one to the other.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import torch
from diffusers import (
    DDIMScheduler,
    DPMSolverMultistepScheduler,
    EulerAncestralDiscreteScheduler,
    EulerDiscreteScheduler,
    schedulers,
)

from tests.goldens.cases import PipelineCase
from tests.goldens.configs import SCHEDULER
from tools.goldens.schedules import Levels, Schedule

_BETAS = {key: SCHEDULER[key] for key in ("beta_start", "beta_end", "beta_schedule")}
_VARIANCE_PRESERVING = ("ddim", "dpmpp_2m")
_DRAWING_MODULES = (
    schedulers.scheduling_ddim,
    schedulers.scheduling_euler_ancestral_discrete,
)


def scale(sampler: str, sigmas: Levels) -> Levels:
    """Return the factors that turn diffusers' latents at `sigmas` into x = x₀ + σ·noise."""
    if sampler in _VARIANCE_PRESERVING:
        return np.sqrt(1.0 + sigmas**2)
    return np.ones_like(sigmas)


def native_scheduler(sampler: str, schedule: str) -> Any:
    """Return diffusers' scheduler as a user sets it up, or None where it lacks the schedule."""
    if schedule == "trailing" and sampler == "ddim":
        return DDIMScheduler(
            **_BETAS, clip_sample=False, set_alpha_to_one=True, timestep_spacing="trailing"
        )
    constructors: dict[str, Callable[..., Any]] = {
        "dpmpp_2m": DPMSolverMultistepScheduler,
        "euler": EulerDiscreteScheduler,
        "euler_a": EulerAncestralDiscreteScheduler,
    }
    spacings = {"normal": "linspace", "trailing": "trailing"}
    if schedule == "karras" and sampler == "euler":
        return EulerDiscreteScheduler(**_BETAS, use_karras_sigmas=True)
    if (
        sampler == "ddim"
        or schedule not in spacings
        or (sampler, schedule) == ("dpmpp_2m", "normal")
    ):
        return None
    return constructors[sampler](**_BETAS, timestep_spacing=spacings[schedule])


def scheduler(sampler: str, given: Schedule, dtype: torch.dtype) -> Any:
    """Return diffusers' scheduler for `sampler`, with the levels of `given`."""
    if sampler == "ddim":
        return _ddim(given, dtype)
    made = {
        "dpmpp_2m": DPMSolverMultistepScheduler,
        "euler": EulerDiscreteScheduler,
        "euler_a": EulerAncestralDiscreteScheduler,
    }[sampler](**_BETAS)
    made.set_timesteps = _use_levels(made, made.set_timesteps, given, dtype)
    return made


def _use_levels(
    made: Any, original: Callable[..., None], given: Schedule, dtype: torch.dtype
) -> Callable[..., None]:
    """Return a `set_timesteps` that resets as the original does, then installs `given`."""

    def set_timesteps(count: int, device: object = None) -> None:
        original(count, device=device)
        made.sigmas = torch.from_numpy(given.sigmas).to(dtype)
        made.timesteps = torch.from_numpy(given.timesteps).to(dtype)

    return set_timesteps


def _ddim(given: Schedule, dtype: torch.dtype) -> Any:
    count = len(given.timesteps)
    made = DDIMScheduler(num_train_timesteps=count, clip_sample=False, set_alpha_to_one=True)
    kept = 1.0 / (1.0 + given.sigmas[-2::-1] ** 2)
    made.alphas_cumprod = torch.from_numpy(kept.copy()).to(dtype)
    original_step, position = made.step, {float(t): i for i, t in enumerate(given.timesteps)}

    def set_timesteps(steps: int, device: object = None) -> None:
        made.num_inference_steps = steps
        made.timesteps = torch.from_numpy(given.timesteps)

    def step(
        output: torch.Tensor,
        timestep: torch.Tensor,
        sample: torch.Tensor,
        eta: float = 0.0,
        return_dict: bool = True,
    ) -> Any:
        index = count - 1 - position[float(timestep)]
        return original_step(output, index, sample, eta=eta, return_dict=return_dict)

    made.set_timesteps, made.step = set_timesteps, step
    return made


@contextmanager
def given_noise(case: PipelineCase) -> Iterator[None]:
    """Replace a scheduler's k-th draw of noise by `case.step_noise(k)`, inside the context."""
    drawn = 0

    def draw(shape: Any, *, dtype: torch.dtype, **_: object) -> torch.Tensor:
        nonlocal drawn
        noise = torch.from_numpy(case.step_noise(drawn)).to(dtype)
        assert noise.shape == shape
        drawn += 1
        return noise

    originals = [module.randn_tensor for module in _DRAWING_MODULES]
    for module in _DRAWING_MODULES:
        module.randn_tensor = draw
    try:
        yield
    finally:
        for module, original in zip(_DRAWING_MODULES, originals, strict=True):
            module.randn_tensor = original
