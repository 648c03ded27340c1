"""The options of schedules: their ends and their exponent."""

import math

import numpy as np
import pytest

from diffusion.errors import SettingsError
from diffusion.schedules import NO_OPTIONS, SCHEDULES, ScheduleOptions
from tests.diffusion.noise_schedules import stable_diffusion

NOISE = stable_diffusion()
WITH_ENDS = ("karras", "exponential", "polyexponential", "beta", "kl_optimal", "kl_optimal_0")
WITH_RHO = ("karras", "polyexponential")


@pytest.mark.parametrize("name", WITH_ENDS)
@pytest.mark.parametrize("steps", [2, 3, 10])
def test_ends_are_those_chosen(name: str, steps: int) -> None:
    schedule = SCHEDULES.find(name)
    for options, high, low in (
        (ScheduleOptions(sigma_min=0.1, sigma_max=9.0), 9.0, 0.1),
        (ScheduleOptions(sigma_min=0.1), NOISE.sigma_max, 0.1),
        (ScheduleOptions(sigma_max=20.0), 20.0, NOISE.sigma_min),
    ):
        levels = schedule.sigmas(NOISE, steps, options)
        assert len(levels) == steps + 1
        lowest = levels[-1] if name == "kl_optimal" else levels[-2]
        np.testing.assert_allclose([levels[0], lowest], [high, low], rtol=1e-12)
        assert levels[-1] == (lowest if name == "kl_optimal" else 0.0)
        assert np.all(np.diff(levels) < 0)


@pytest.mark.parametrize("name", SCHEDULES.names)
def test_without_a_choice_nothing_changes(name: str) -> None:
    schedule = SCHEDULES.find(name)
    expected = schedule.sigmas(NOISE, 7)
    np.testing.assert_array_equal(schedule.sigmas(NOISE, 7), expected)
    np.testing.assert_array_equal(schedule.sigmas(NOISE, 7, NO_OPTIONS), expected)


def test_rho() -> None:
    """Karras et al. 2022, equation 5; k-diffusion's ``get_sigmas_polyexponential``."""
    ramp = np.arange(6) / 5
    options = ScheduleOptions(sigma_min=0.1, sigma_max=9.0, rho=3.0)
    karras = (9.0 ** (1 / 3) + ramp * (0.1 ** (1 / 3) - 9.0 ** (1 / 3))) ** 3
    found = SCHEDULES.find("karras").sigmas(NOISE, 6, options)
    np.testing.assert_allclose(found[:-1], karras, rtol=1e-12)
    poly = np.exp((1 - ramp) ** 3 * (math.log(9.0) - math.log(0.1)) + math.log(0.1))
    found = SCHEDULES.find("polyexponential").sigmas(NOISE, 6, options)
    np.testing.assert_allclose(found[:-1], poly, rtol=1e-12)


@pytest.mark.parametrize("name", SCHEDULES.names)
@pytest.mark.parametrize("option", ["sigma_min", "sigma_max", "rho"])
def test_an_option_that_a_schedule_does_not_have_is_refused(name: str, option: str) -> None:
    has = name in (WITH_RHO if option == "rho" else WITH_ENDS)
    options = ScheduleOptions(**{option: 5.0})
    if has:
        SCHEDULES.find(name).sigmas(NOISE, 5, options)
    else:
        with pytest.raises(SettingsError, match=rf"{option} cannot be 5\.0; schedule {name}"):
            SCHEDULES.find(name).sigmas(NOISE, 5, options)


@pytest.mark.parametrize("value", [0.0, -1.0, math.inf, math.nan])
@pytest.mark.parametrize("option", ["sigma_min", "sigma_max", "rho"])
def test_values_out_of_range(option: str, value: float) -> None:
    with pytest.raises(SettingsError, match=option):
        ScheduleOptions(**{option: value})


def test_ends_must_fall() -> None:
    with pytest.raises(SettingsError, match=r"sigma_max cannot be 0\.1; give more than sigma_min"):
        SCHEDULES.find("karras").sigmas(NOISE, 5, ScheduleOptions(sigma_min=0.1, sigma_max=0.1))
