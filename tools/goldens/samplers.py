"""`python -m tools.goldens.samplers`: make tests/data/goldens/samplers.npz.

diffusers' own schedulers, each along its own levels and time steps, with the stand-in network and
the given noise of `tests/diffusion/samplers/diffusers_runs.py`, which also says what is stored.
Made with diffusers 0.39.0, torch 2.13.0 (CPU), NumPy 2.4.6.

The schedulers cast to f32 at every turn. For the float64 runs their modules see a `torch` and an
`np` whose `float32` is `float64`; nothing else of them changes.
"""

import contextlib
import functools
import sys
from collections.abc import Iterator
from types import ModuleType
from typing import Any

import diffusers
import numpy as np
import torch

from tests.diffusion.samplers.diffusers_runs import (
    BETA_RULES,
    CASES,
    STABLE_DIFFUSION,
    STRIDE,
    Array,
    SamplerCase,
    initial_noise,
    network,
    step_noise,
)
from tests.goldens.loader import FOLDER

TCD_ETA = 0.3
"""diffusers' own default."""


class Widened:
    """A module whose `float32` is `float64`."""

    def __init__(self, module: ModuleType) -> None:
        self._module = module
        self.float32 = module.float64

    def __getattr__(self, name: str) -> Any:
        return getattr(self._module, name)


@contextlib.contextmanager
def computing_in(dtype: torch.dtype, owner: type) -> Iterator[None]:
    """Make the scheduler class `owner` compute in `dtype`, inside the context."""
    module: Any = sys.modules[owner.__module__]
    if dtype == torch.float32:
        yield
        return
    torch.set_default_dtype(torch.float64)
    originals = module.torch, module.np
    module.torch, module.np = Widened(torch), Widened(np)
    try:
        yield
    finally:
        module.torch, module.np = originals
        torch.set_default_dtype(torch.float32)


def levels(scheduler: Any, case: SamplerCase) -> tuple[Array, Array]:
    """Return diffusers' noise levels (n + 1) and time steps (n)."""
    timesteps = scheduler.timesteps.numpy()
    if case.sampler in ("ddim", "ddpm", "lcm", "plms", "tcd"):
        if case.sampler == "plms":
            timesteps = np.delete(timesteps, 1)
        final = 1.0 if case.sampler in ("ddpm", "lcm") else float(scheduler.final_alpha_cumprod)
        if case.sampler == "tcd":  # its last step goes to time step 0
            final = float(scheduler.alphas_cumprod[0])
        kept = np.append(scheduler.alphas_cumprod.numpy()[timesteps], final)
        return np.sqrt((1.0 - kept) / kept), timesteps
    sigmas = scheduler.sigmas.numpy()
    if case.sampler == "heun":
        return np.append(sigmas[:1], sigmas[1::2]), np.append(timesteps[:1], timesteps[1::2])
    if case.twice:
        return np.append(sigmas[:1], sigmas[1:-2:2]), timesteps[::2]
    return sigmas, timesteps


def run(case: SamplerCase, steps: int, dtype: torch.dtype) -> Array:
    """Run once and return the array that `diffusers_runs.GoldenRun` reads."""
    owner = getattr(diffusers, case.diffusers)
    clip = {"clip_sample": False} if case.sampler in ("ddim", "ddpm") else {}
    with computing_in(dtype, owner):
        scheduler = owner(
            **{**STABLE_DIFFUSION, **case.config, **clip, "prediction_type": case.prediction}
        )
        scheduler.set_timesteps(steps)
        sigmas, timesteps = levels(scheduler, case)
        states = run_steps(scheduler, case, dtype)
    rows = np.empty((steps + 1, 2 + states.shape[1]))
    rows[:, 0], rows[:, 1], rows[:, 2:] = sigmas, np.append(timesteps, -1.0), states
    return rows.astype(np.float32) if dtype == torch.float32 else rows


def run_steps(scheduler: Any, case: SamplerCase, dtype: torch.dtype) -> Array:
    """Return x before the first step and after each; a step may be two of diffusers'."""
    x = torch.from_numpy(initial_noise()).to(dtype)[None] * scheduler.init_noise_sigma
    states = [x[0].numpy()]
    for index, timestep in enumerate(scheduler.timesteps):
        given = scheduler.scale_model_input(x, timestep).numpy()
        output = torch.from_numpy(network(given, float(timestep))).to(dtype)
        noise = torch.from_numpy(step_noise(len(states) - 1)).to(dtype)[None]
        x = step(scheduler, case, noise)(output, timestep, x).prev_sample
        assert x.dtype == dtype
        last = index == len(scheduler.timesteps) - 1
        if index > 0 if case.sampler == "plms" else not case.twice or index % 2 == 1 or last:
            states.append(x[0].numpy())
    return np.stack(states)


def step(scheduler: Any, case: SamplerCase, noise: torch.Tensor) -> Any:
    """Call the scheduler's `step` with its noise given."""
    if case.sampler == "ddim":
        given = noise if case.eta else None
        return functools.partial(scheduler.step, eta=case.eta or 0.0, variance_noise=given)
    if case.sampler == "tcd":
        sys.modules[type(scheduler).__module__].randn_tensor = lambda *_, **__: noise
        return functools.partial(scheduler.step, eta=TCD_ETA if case.eta is None else case.eta)
    if "_sde" in case.sampler:
        return functools.partial(scheduler.step, variance_noise=noise)
    if case.sampler in ("euler_a", "dpm2_a", "ddpm", "lcm", "sa_solver"):
        sys.modules[type(scheduler).__module__].randn_tensor = lambda *_, **__: noise
    return scheduler.step


def alphas_cumprod(rule: str) -> Array:
    """Return every 37th ᾱ of a β rule in float64."""
    owner = diffusers.DDIMScheduler
    with computing_in(torch.float64, owner):
        kept: Array = owner(**BETA_RULES[rule]).alphas_cumprod.numpy()
    return kept[::STRIDE] if len(kept) > STRIDE else kept


def main() -> None:
    """Make the file."""
    arrays = {f"alphas_cumprod/{rule}": alphas_cumprod(rule) for rule in BETA_RULES}
    for case in CASES:
        for steps in case.steps:
            arrays[f"f64/{case.name}-{steps}"] = run(case, steps, torch.float64)
            arrays[f"f32/{case.name}-{steps}"] = run(case, steps, torch.float32)
    np.savez_compressed(FOLDER / "samplers.npz", **arrays)
    print(f"{len(arrays)} arrays, {(FOLDER / 'samplers.npz').stat().st_size} bytes")


if __name__ == "__main__":
    main()
