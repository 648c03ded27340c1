"""Sigma schedules: cut by strength, and warnings of idle options."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion.errors import SettingsError
from diffusion.schedules import SCHEDULES
from diffusion.tasks.sampling_settings import SamplingSettings
from diffusion.tasks.sigmas import (
    SigmaSchedule,
    full_schedule,
    partial_schedule,
    warn_of_idle_options,
)
from tests.diffusion.noise_schedules import stable_diffusion

SD15 = stable_diffusion()


def schedule_of(sampler: str) -> SigmaSchedule:
    return full_schedule(SD15, sampler, "automatic", 5, None)


@pytest.mark.parametrize(
    ("strength", "steps"),
    [(0.0, 1), (0.04, 1), (0.05, 2), (0.5, 11), (0.75, 16), (0.949, 19), (0.95, 20), (1.0, 20)],
)
def test_strength_as_in_the_webui(strength: float, steps: int) -> None:
    """int(strength · 20) + 1 of 20 steps, where 1 counts as 0.999."""
    full = full_schedule(SD15, "euler", "karras", 20, None)
    schedule = full.for_strength(strength)
    assert schedule.steps == steps
    np.testing.assert_array_equal(schedule.sigmas, full.sigmas[20 - steps :])
    assert schedule.noise_scale == schedule.sigmas[0]


@pytest.mark.parametrize("sampler", ["DPM2", "DPM2 a", "DPM++ 3M SDE"])
@pytest.mark.parametrize("schedule", ["automatic", "karras", "normal", "Align Your Steps"])
def test_a_level_is_left_out_as_in_the_webui(sampler: str, schedule: str) -> None:
    """A1111's ``discard_next_to_last_sigma``: n + 1 levels above 0, without the lowest of them."""
    found = full_schedule(SD15, sampler, schedule, 7, None)
    name = found.sampler.schedule if schedule == "automatic" else schedule
    longer = SCHEDULES.find(name).sigmas(SD15, 8)
    np.testing.assert_array_equal(found.sigmas, [*longer[:7], 0.0])
    assert found.steps == 7


def test_kl_optimal_loses_the_level_before_its_last() -> None:
    found = full_schedule(SD15, "dpm2", "kl_optimal", 4, None).sigmas
    longer = SCHEDULES.find("kl_optimal").sigmas(SD15, 5)
    np.testing.assert_array_equal(found, longer[[0, 1, 2, 3, 5]])


@pytest.mark.parametrize("sampler", ["uni_pc", "uni_pc_bh2"])
def test_unipc_leaves_a_level_out_of_a_chosen_schedule(sampler: str) -> None:
    """ComfyUI does, which always has a schedule's name; A1111, which has its own list, does not."""
    own = full_schedule(SD15, sampler, "automatic", 7, None).sigmas
    np.testing.assert_array_equal(own, SCHEDULES.find("sgm_uniform").sigmas(SD15, 7))
    for chosen in (sampler + " karras", sampler):
        schedule = "automatic" if "karras" in chosen else "karras"
        found = full_schedule(SD15, chosen, schedule, 7, None).sigmas
        np.testing.assert_array_equal(found, [*SCHEDULES.find("karras").sigmas(SD15, 8)[:7], 0.0])


def test_no_level_is_left_for_a_step_more() -> None:
    hint = "this sampler takes the levels of one step more, and this schedule has 1000 time steps"
    with pytest.raises(SettingsError, match=f"^steps cannot be 1000; {hint}"):
        full_schedule(SD15, "dpm2", "trailing", 1000, None)


@pytest.mark.parametrize("schedule", ["automatic", "karras", "kl_optimal", "leading"])
def test_tcd_ends_at_the_models_lowest_level(schedule: str) -> None:
    """diffusers' TCDScheduler goes to time step 0 at last, not to a level of 0."""
    for steps in (1, 4, 12):
        sigmas = full_schedule(SD15, "tcd", schedule, steps, None).sigmas
        assert sigmas[-1] == pytest.approx(SD15.sigma_min, rel=1e-12)
        assert np.all(np.diff(sigmas) < 0)
        assert len(sigmas) == steps + 1


def test_all_steps_start_at_the_schedules_first_sigma() -> None:
    schedule = full_schedule(SD15, "ddim", "leading", 20, None)
    assert schedule.noise_scale == SCHEDULES.find("leading").initial_scale(
        float(schedule.sigmas[0])
    )


@pytest.mark.parametrize(("strength", "steps"), [(0.7, 10), (0.5, 20), (1.0, 7), (0.05, 3)])
def test_hires_makes_exactly_the_steps_asked_for(strength: float, steps: int) -> None:
    schedule = partial_schedule(SD15, "euler", "karras", steps, None, strength)
    assert schedule.steps == steps
    more = int(steps / min(strength, 0.999))
    full = full_schedule(SD15, "euler", "karras", more, None)
    np.testing.assert_array_equal(schedule.sigmas, full.sigmas[-steps - 1 :])


def test_an_error_of_too_many_steps_names_those_given() -> None:
    hint = "hires strength 0.05 makes them the last of 2000, and this schedule has 1000 time steps"
    with pytest.raises(SettingsError, match=f"^steps cannot be 100; {hint}"):
        partial_schedule(SD15, "euler", "trailing", 100, None, 0.05)
    with pytest.raises(SettingsError, match=r"^rho cannot be 5\.0; schedule trailing"):
        partial_schedule(SD15, "euler", "trailing", 100, None, 0.5, SamplingSettings(rho=5.0))


@pytest.mark.parametrize(
    ("sampler", "eta", "sampling", "option"),
    [
        ("euler", 0.5, SamplingSettings(), "eta"),
        ("euler_a", None, SamplingSettings(order=2), "order"),
        ("dpmpp_2m", None, SamplingSettings(s_noise=0.9), "s_noise"),
        ("euler_a", None, SamplingSettings(s_churn=1.0), "s_churn"),
        ("lms", None, SamplingSettings(s_tmin=1.0), "s_tmin"),
        ("dpmpp_2m", None, SamplingSettings(noise_seed_delta=31337), "noise_seed_delta"),
        ("dpmpp_2m_sde", None, SamplingSettings(noise_seed_delta=31337), "noise_seed_delta"),
    ],
)
def test_idle_options_give_a_warning(
    sampler: str, eta: float | None, sampling: SamplingSettings, option: str
) -> None:
    with pytest.warns(UserWarning, match=f"^{option} changes nothing: .* has no such option"):
        warn_of_idle_options([schedule_of(sampler)], eta, sampling)


def test_an_option_that_neither_pass_has_gives_one_warning() -> None:
    with pytest.warns(
        UserWarning, match=r"^eta changes nothing: DPM\+\+ 2M and Euler have no"
    ) as warned:
        warn_of_idle_options(
            [schedule_of("dpmpp_2m"), schedule_of("euler")], 0.1, SamplingSettings(s_churn=1.0)
        )
    assert len(warned) == 1


@pytest.mark.parametrize(
    ("sampler", "eta", "sampling"),
    [
        ("ddim", 0.0, SamplingSettings()),
        ("euler", None, SamplingSettings(s_churn=1.0, s_noise=0.9, s_tmin=0.1, s_tmax=5.0)),
        ("restart", None, SamplingSettings(s_noise=0.9)),
        ("deis", None, SamplingSettings(order=3)),
        ("unipc_bh2", None, SamplingSettings(order=2)),
    ],
)
def test_options_that_count_give_no_warning(
    sampler: str, eta: float | None, sampling: SamplingSettings
) -> None:
    warn_of_idle_options([schedule_of(sampler)], eta, sampling)  # a warning is an error
    warn_of_idle_options([schedule_of(sampler), schedule_of("dpmpp_2m")], eta, sampling)
    warn_of_idle_options([schedule_of("dpmpp_2m"), schedule_of(sampler)], eta, sampling)
