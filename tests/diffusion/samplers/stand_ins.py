"""Stand-ins for the network and the noise, and runs of samplers with them in float64."""

import math

import numpy as np
from numpy.typing import NDArray

from diffusion.samplers import (
    Denoiser,
    NoiseSource,
    NumpyAlgebra,
    SamplerOptions,
    Step,
    find_sampler,
)

Reals = NDArray[np.float64]

START = np.array([1.0, -2.0, 0.5, 3.0])
"""The unit noise that runs start from."""
SIGMAS = np.append(np.linspace(2.4, 0.3, 9) ** 3, 0.0)
"""Levels of uneven steps, also in log σ."""
PLAIN = SamplerOptions()
SPREAD = 0.8
"""The standard deviation of the data that ``denoise_gaussian`` knows."""


def denoise_gaussian(x: Reals, sigma: float) -> Reals:
    """Return the best estimate of x₀ for data distributed as N(0, s²), which is linear in x."""
    return x * (SPREAD**2 / (SPREAD**2 + sigma**2))


def denoise_curved(x: Reals, sigma: float) -> Reals:
    """Return an estimate that is not linear in x."""
    return np.tanh(x / math.sqrt(1.0 + sigma**2)) + 0.1 * math.sin(sigma)


def wave_noise(number: int) -> Reals:
    """Return the noise of a draw, another one for each number."""
    return np.sin(1.3 * np.arange(4) + 0.7 * number)


def no_noise(number: int) -> Reals:
    """Fail, as a noise source of a sampler that must not draw."""
    raise AssertionError("no noise is to be drawn")


def run_sampler(
    name: str,
    sigmas: Reals = SIGMAS,
    options: SamplerOptions = PLAIN,
    denoise: Denoiser[Reals] = denoise_curved,
    noise: NoiseSource[Reals] = wave_noise,
) -> list[Step[Reals]]:
    """Return all steps of a run that starts from ``START`` times the first level."""
    x = START * sigmas[0]
    return list(find_sampler(name).run(denoise, x, sigmas, NumpyAlgebra(), noise, options))


def split_level(high: float, low: float, eta: float) -> tuple[float, float]:
    """Return an ancestral step's lower level, and the noise back up (Song et al. 2021)."""
    up = eta * math.sqrt(low**2 * (high**2 - low**2) / high**2)
    return math.sqrt(low**2 - up**2), up
