"""How strength cuts a schedule."""

from __future__ import annotations

import numpy as np
import pytest

from diffusion.schedules import SCHEDULES
from diffusion.tasks.walk import exact_walk, full_walk
from tests.diffusion.noise_schedules import stable_diffusion

SD15 = stable_diffusion()


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
