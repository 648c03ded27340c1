"""The noise schedules of the golden runs, in float64.

All of them end in σ = 0. A level σ and a timestep t belong together by linear interpolation of
log σ over the 1000 training timesteps, as in k-diffusion's DiscreteSchedule without quantizing.

- "karras": ρ = 7 between the training range's ends (Karras et al. 2022, equation 5); the UNet gets
  the fractional timestep. diffusers: `use_karras_sigmas`; its DPMSolverMultistep rounds t, its
  Euler does not.
- "normal": t evenly from 999 to 0, both included. diffusers: `timestep_spacing="linspace"` of its
  Euler classes (which interpolate σ, not log σ; with 4 steps every t is whole and both agree).
- "sgm_uniform": t evenly from 999 towards 0, the last left out. diffusers: "linspace" of its
  DPMSolverMultistep, where t is rounded.
- "trailing": round(1000 - 1000 i / n) - 1 (Lin et al. 2023, table 2). diffusers: "trailing" of
  all its schedulers.
"""

from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from tests.goldens.configs import SCHEDULER

Levels: TypeAlias = NDArray[np.float64]

_RHO = 7.0


class Schedule(NamedTuple):
    """`sigmas` (n + 1,), falling to 0, and the UNet's `timesteps` (n,)."""

    sigmas: Levels
    timesteps: Levels


def training_sigmas() -> Levels:
    """Return σ of each training timestep, rising: (1000,)."""
    start, end, count = (
        SCHEDULER[key] for key in ("beta_start", "beta_end", "num_train_timesteps")
    )
    assert isinstance(start, float)
    assert isinstance(end, float)
    assert isinstance(count, int)
    kept = np.cumprod(1.0 - np.linspace(start**0.5, end**0.5, count) ** 2)
    return np.sqrt((1.0 - kept) / kept)


def schedule(name: str, steps: int) -> Schedule:
    """Return the schedule `name` of the list above with `steps` steps."""
    table = np.log(training_sigmas())
    every = np.arange(len(table), dtype=np.float64)
    if name == "karras":
        first, last = np.exp(table[[-1, 0]] / _RHO)
        sigmas = np.linspace(first, last, steps) ** _RHO
        timesteps = np.interp(np.log(sigmas), table, every)
    else:
        timesteps = _timesteps(name, steps, len(table))
        sigmas = np.exp(np.interp(timesteps, every, table))
    return Schedule(np.append(sigmas, 0.0), timesteps)


def _timesteps(name: str, steps: int, count: int) -> Levels:
    last = count - 1
    if name == "normal":
        return np.linspace(last, 0.0, steps)
    if name == "sgm_uniform":
        return np.linspace(last, 0.0, steps + 1)[:-1]
    assert name == "trailing"
    return np.round(count - count / steps * np.arange(steps)) - 1.0
