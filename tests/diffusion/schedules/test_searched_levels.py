"""Searched levels: their lists for both kinds of model, and both rules for other lengths."""

import dataclasses
import math

import numpy as np
import pytest

from diffusion.errors import SettingsError
from diffusion.schedules import SCHEDULES
from tests.diffusion.noise_schedules import stable_diffusion

SMALL = stable_diffusion()
LARGE = dataclasses.replace(SMALL, large=True)
NAMES = ["align_your_steps", "align_your_steps_11", "align_your_steps_32", "align_your_steps_gits"]


def levels(name: str, steps: int, large: bool = False) -> list[float]:
    return SCHEDULES.find(name).sigmas(LARGE if large else SMALL, steps).tolist()


@pytest.mark.parametrize("name", ["align_your_steps", "align_your_steps_10"])
def test_xl_has_levels_of_its_own(name: str) -> None:
    """Sabour et al. 2024, arXiv 2404.14507: the list that its authors gave for XL."""
    found = [14.615, 6.315, 3.771, 2.181, 1.342, 0.862, 0.555, 0.380, 0.234, 0.113]
    steps = 10 if name.endswith("10") else 11
    ends = [0.0] if name.endswith("10") else [0.029, 0.0]
    assert levels(name, steps, large=True) == pytest.approx([*found, *ends], rel=1e-12)


def test_gits_has_its_levels() -> None:
    assert levels("align_your_steps_gits", 11)[1:6] == pytest.approx(
        [4.617, 2.507, 1.236, 0.702, 0.402], rel=1e-12
    )
    assert levels("align_your_steps_gits", 11, large=True)[1:6] == pytest.approx(
        [4.734, 2.567, 1.529, 0.987, 0.652], rel=1e-12
    )


def test_thirty_two_go_on_below_the_models_lowest_level() -> None:
    for large, second, last in ((False, 11.23951352, 0.03166121), (True, 11.1491618, 0.02877334)):
        found = levels("align_your_steps_32", 32, large)
        assert found[1] == pytest.approx(second, rel=1e-12)
        assert found[30:] == pytest.approx([last, 0.015, 0.0], rel=1e-12)


@pytest.mark.parametrize("large", [False, True])
@pytest.mark.parametrize("name", NAMES)
def test_the_webuis_rule_ends_at_the_last_level_and_then_at_0(name: str, large: bool) -> None:
    """Interpolated as np.interp over [0, 1] in log σ, from the lowest, reversed; then a 0."""
    count = 32 if name.endswith("32") else 11
    found = levels(name, count, large)[:-1]
    places = np.linspace(0, 1, count)
    logs = np.log(found[::-1])
    expected = np.exp(np.interp(np.linspace(0, 1, 17), places, logs))[::-1]
    np.testing.assert_allclose(levels(name, 17, large), [*expected, 0.0], 1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_one_step_starts_at_the_top(name: str) -> None:
    assert levels(name, 1) == pytest.approx([14.615, 0.0], rel=1e-12)
    assert all(math.isfinite(level) for level in levels(name, 1000))
    with pytest.raises(SettingsError, match="steps cannot be 0"):
        levels(name, 0)
