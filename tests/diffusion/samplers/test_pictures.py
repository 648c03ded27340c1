"""Every sampler in the pipeline, with the bundled model."""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion import Pipeline, Result, Settings, Step
from diffusion.errors import SettingsError
from diffusion.samplers import SAMPLERS
from diffusion.tasks.sampling_settings import SamplingSettings
from tests.conftest import first_device

SMALL = Settings("a red apple", "blurry", width=64, height=64, steps=5, guidance=4.0, seed=5)


@functools.cache
def pipeline() -> Pipeline:
    """Return the pipeline on the first engine present: these tests are the same on all."""
    return Pipeline.load(device=first_device())


def pixels(settings: Settings) -> NDArray[Any]:
    *_, last = pipeline().generate(settings)
    assert isinstance(last, Result)
    return np.stack([np.asarray(image) for image in last.images])


@pytest.mark.parametrize("name", SAMPLERS.names)
def test_every_sampler_draws(name: str) -> None:
    """Its steps are counted right, its latents are finite and no larger than pictures' are."""
    events = list(pipeline().generate(dataclasses.replace(SMALL, sampler=name)))
    steps = [event for event in events if isinstance(event, Step)]
    assert [step.index for step in steps] == list(range(1, len(steps) + 1))
    if name != "dpm_adaptive":
        assert {step.total for step in steps} == {len(steps)}
    sigmas = [step.sigma for step in steps]
    assert sigmas == sorted(sigmas, reverse=True)
    assert sigmas[-1] < 0.03
    last = steps[-1].latents()
    assert np.isfinite(last).all()
    assert 0.1 < last.std() < 10


@pytest.mark.parametrize(
    "name",
    [
        pytest.param("dpm_adaptive", marks=pytest.mark.slow),
        "dpm_fast",
        "dpmpp_2s_a_cfg_pp",
        "sa_solver",
        "dpmpp_2m_sde",
    ],
)
def test_an_image_does_not_depend_on_its_batch(name: str) -> None:
    two = dataclasses.replace(SMALL, sampler=name, count=2, rng="cpu", steps=3)
    together = pixels(dataclasses.replace(two, batch=2))
    np.testing.assert_array_equal(together, pixels(dataclasses.replace(two, batch=1)))
    second = dataclasses.replace(two, seed=SMALL.seed + 1, count=1)
    np.testing.assert_array_equal(together[1:], pixels(second))
    assert not np.array_equal(together[0], together[1])


@pytest.mark.parametrize(
    ("sampler", "schedule", "sampling"),
    [
        ("euler", "karras", SamplingSettings(s_churn=5.0)),
        ("euler_a", "karras", SamplingSettings(s_noise=0.8)),
        ("deis", "karras", SamplingSettings(order=1)),
        ("dpmpp_2m", "karras", SamplingSettings(rho=4.0)),
        ("dpmpp_2m", "exponential", SamplingSettings(sigma_min=0.1)),
        ("dpmpp_2m", "kl_optimal", SamplingSettings(sigma_max=10.0)),
    ],
)
def test_options_reach_the_sampler(sampler: str, schedule: str, sampling: SamplingSettings) -> None:
    plain = dataclasses.replace(SMALL, sampler=sampler, schedule=schedule, steps=4)
    chosen = dataclasses.replace(plain, sampling=sampling)
    assert not np.array_equal(pixels(plain), pixels(chosen))


def test_the_noise_of_steps_may_have_another_seed() -> None:
    """ENSD: samplers that draw noise step by step change, one that follows a path does not."""
    moved = SamplingSettings(noise_seed_delta=31337)
    for sampler in ("euler_a", "lcm"):
        plain = dataclasses.replace(SMALL, sampler=sampler, steps=3)
        changed = dataclasses.replace(plain, sampling=moved)
        assert not np.array_equal(pixels(plain), pixels(changed)), sampler
    plain = dataclasses.replace(SMALL, sampler="dpmpp_2m_sde", steps=3)
    with pytest.warns(UserWarning, match="noise_seed_delta changes nothing"):
        same = pixels(dataclasses.replace(plain, sampling=moved))
    np.testing.assert_array_equal(pixels(plain), same)


def test_the_noise_generator_matters() -> None:
    one = dataclasses.replace(SMALL, steps=2)
    assert not np.array_equal(pixels(one), pixels(dataclasses.replace(one, rng="cpu")))


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"sampling": SamplingSettings(rho=2.0), "schedule": "uniform"}, "rho"),
        (
            {"sampling": SamplingSettings(sigma_min=3.0, sigma_max=2.0), "schedule": "karras"},
            "sigma_max",
        ),
        ({"sampling": SamplingSettings(s_tmin=3.0, s_tmax=2.0)}, "s_tmax"),
        ({"sampling": SamplingSettings(order=0)}, "order"),
        ({"sampling": SamplingSettings(s_churn=float("nan"))}, "s_churn"),
        ({"rng": "dice"}, "rng"),
    ],
)
def test_settings_that_are_not_valid_are_refused_before_any_work(
    change: dict[str, Any], field: str
) -> None:
    with pytest.raises(SettingsError, match=field):
        next(pipeline().generate(dataclasses.replace(SMALL, **change)))
