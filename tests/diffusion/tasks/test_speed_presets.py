"""Presets for LoRAs of few steps: the time steps that they are made for."""

from __future__ import annotations

import pytest

from diffusion import Settings
from diffusion.samplers import SAMPLERS
from diffusion.settings import Defaults
from diffusion.tasks import SPEED_PRESETS
from diffusion.tasks.sigmas import full_schedule
from tests.diffusion.noise_schedules import stable_diffusion

# Even trailing spacing; DMD2's are those that its use is described with.
TIMESTEPS = {
    "dmd2": [999, 749, 499, 249],
    "hyper_2": [999, 499],
    "hyper_4": [999, 749, 499, 249],
    "hyper_8": [999, 874, 749, 624, 499, 374, 249, 124],
    "tcd": [999, 749, 499, 249],
}


@pytest.mark.parametrize("name", SPEED_PRESETS.names)
def test_presets_are_complete_settings(name: str) -> None:
    chosen = SPEED_PRESETS.find(name)
    settings = Settings("x", **chosen.settings).with_defaults(Defaults(64, 64))
    assert (settings.steps, settings.guidance) == (chosen.steps, 1.0)
    assert settings.sampler in SAMPLERS.names


@pytest.mark.parametrize("name", TIMESTEPS)
def test_time_steps_are_those_of_training(name: str) -> None:
    preset, noise = SPEED_PRESETS.find(name), stable_diffusion()
    schedule = full_schedule(noise, preset.sampler, preset.schedule, preset.steps, preset.eta)
    found = [noise.timestep_of(float(sigma)) for sigma in schedule.sigmas[:-1]]
    assert found == pytest.approx(TIMESTEPS[name], abs=1e-3)
