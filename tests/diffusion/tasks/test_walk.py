"""How strength cuts a schedule."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion.errors import SettingsError
from diffusion.schedules import SCHEDULES
from diffusion.tasks.sampling_options import Sampling
from diffusion.tasks.sigmas import Walk, exact_walk, full_walk, tell_idle
from tests.diffusion.noise_schedules import stable_diffusion

SD15 = stable_diffusion()


def walk_of(sampler: str) -> Walk:
    return full_walk(SD15, sampler, "automatic", 5, None)


@pytest.mark.parametrize(
    ("strength", "steps"),
    [(0.0, 1), (0.04, 1), (0.05, 2), (0.5, 11), (0.75, 16), (0.949, 19), (0.95, 20), (1.0, 20)],
)
def test_strength_as_in_the_webui(strength: float, steps: int) -> None:
    """int(strength · 20) + 1 of 20 steps, where 1 counts as 0.999."""
    whole = full_walk(SD15, "euler", "karras", 20, None)
    walk = whole.for_strength(strength)
    assert walk.steps == steps
    np.testing.assert_array_equal(walk.sigmas, whole.sigmas[20 - steps :])
    assert walk.start == walk.sigmas[0]


def test_all_steps_start_where_the_schedule_does() -> None:
    walk = full_walk(SD15, "ddim", "leading", 20, None)
    assert walk.start == SCHEDULES.find("leading").initial_scale(float(walk.sigmas[0]))


@pytest.mark.parametrize(("strength", "steps"), [(0.7, 10), (0.5, 20), (1.0, 7), (0.05, 3)])
def test_hires_makes_exactly_the_steps_asked_for(strength: float, steps: int) -> None:
    walk = exact_walk(SD15, "euler", "karras", steps, None, strength)
    assert walk.steps == steps
    more = int(steps / min(strength, 0.999))
    whole = full_walk(SD15, "euler", "karras", more, None)
    np.testing.assert_array_equal(walk.sigmas, whole.sigmas[-steps - 1 :])


def test_of_too_many_steps_those_given_are_named() -> None:
    hint = "hires strength 0.05 makes them the last of 2000, and this schedule has 1000 time steps"
    with pytest.raises(SettingsError, match=f"^steps cannot be 100; {hint}"):
        exact_walk(SD15, "euler", "trailing", 100, None, 0.05)
    with pytest.raises(SettingsError, match=r"^rho cannot be 5\.0; schedule trailing"):
        exact_walk(SD15, "euler", "trailing", 100, None, 0.5, Sampling(rho=5.0))


@pytest.mark.parametrize(
    ("sampler", "eta", "sampling", "option"),
    [
        ("euler", 0.5, Sampling(), "eta"),
        ("euler_a", None, Sampling(order=2), "order"),
        ("dpmpp_2m", None, Sampling(s_noise=0.9), "s_noise"),
        ("euler_a", None, Sampling(s_churn=1.0), "s_churn"),
        ("lms", None, Sampling(s_tmin=1.0), "s_tmin"),
    ],
)
def test_options_that_change_nothing_are_told(
    sampler: str, eta: float | None, sampling: Sampling, option: str
) -> None:
    with pytest.warns(UserWarning, match=f"^{option} changes nothing: .* has no such option"):
        tell_idle([walk_of(sampler)], eta, sampling)


def test_options_that_neither_pass_has_are_told_once() -> None:
    with pytest.warns(
        UserWarning, match=r"^eta changes nothing: DPM\+\+ 2M and Euler have no"
    ) as told:
        tell_idle([walk_of("dpmpp_2m"), walk_of("euler")], 0.1, Sampling(s_churn=1.0))
    assert len(told) == 1


@pytest.mark.parametrize(
    ("sampler", "eta", "sampling"),
    [
        ("ddim", 0.0, Sampling()),
        ("euler", None, Sampling(s_churn=1.0, s_noise=0.9, s_tmin=0.1, s_tmax=5.0)),
        ("restart", None, Sampling(s_noise=0.9)),
        ("deis", None, Sampling(order=3)),
        ("unipc_bh2", None, Sampling(order=2)),
    ],
)
def test_options_that_count_are_not(sampler: str, eta: float | None, sampling: Sampling) -> None:
    tell_idle([walk_of(sampler)], eta, sampling)  # a warning is an error
    tell_idle([walk_of(sampler), walk_of("dpmpp_2m")], eta, sampling)
    tell_idle([walk_of("dpmpp_2m"), walk_of(sampler)], eta, sampling)
