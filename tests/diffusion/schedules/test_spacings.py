"""Lists of levels: their laws for all lengths, their formulas, and their names."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from diffusion.errors import SettingsError
from diffusion.schedules import SCHEDULES, NoiseSchedule, Schedule, find_schedule
from diffusion.schedules.noise_schedule import betas
from diffusion.schedules.options import ScheduleOptions
from diffusion.schedules.spacings import polyexponential
from tests.diffusion.noise_schedules import stable_diffusion

SHIFTED = stable_diffusion()
PLAIN = stable_diffusion(offset=0, alpha_one=True)
every_schedule = pytest.mark.parametrize("schedule", list(SCHEDULES), ids=lambda each: each.name)


def levels(name: str, steps: int, noise: NoiseSchedule = SHIFTED) -> list[float]:
    return SCHEDULES.find(name).sigmas(noise, steps).tolist()


@every_schedule
@settings(deadline=None)
@given(steps=st.integers(1, 1000), offset=st.integers(0, 1000), alpha_one=st.booleans())
def test_levels_fall_strictly(schedule: Schedule, steps: int, offset: int, alpha_one: bool) -> None:
    noise = stable_diffusion(offset=offset, alpha_one=alpha_one)
    sigmas = schedule.sigmas(noise, steps)
    # Both tools' DDIM lists take each ⌊1000/n⌋-th time step from 1 on, however many there are.
    count = len(range(1, 1000, 1000 // steps)) if schedule.name == "ddim_uniform" else steps
    assert sigmas.shape == (count + 1,)
    assert sigmas.dtype == np.float64
    assert np.all(np.diff(sigmas) < 0)
    # The searched ones are rounded, and those of 32 end below the model's own.
    least = 0.015 if schedule.name == "align_your_steps_32" else min(noise.sigma_min, 0.029)
    searched = schedule.name.startswith("align_your_steps")
    assert sigmas[0] <= max(noise.sigma_max * (1 + 1e-12), 14.615)
    assert sigmas[-2] >= (least if searched else noise.sigma_min) * (1 - 1e-12)
    if schedule.name == "kl_optimal":
        assert sigmas[-1] == pytest.approx(noise.sigma_min)
    else:
        assert sigmas[-1] in ({0.0, noise.final_sigma} if schedule.name == "leading" else {0.0})


@every_schedule
@pytest.mark.parametrize("steps", [1, 2, 3, 7, 500, 501, 999, 1000])
@pytest.mark.parametrize("rule", ["linear", "squaredcos_cap_v2"])
def test_levels_fall_for_other_training_noise(schedule: Schedule, steps: int, rule: str) -> None:
    noise = NoiseSchedule(np.cumprod(1.0 - betas(rule, 1e-4, 0.02, 1000)), steps_offset=1)
    assert np.all(np.diff(schedule.sigmas(noise, steps)) < 0)


@every_schedule
def test_steps_below_one(schedule: Schedule) -> None:
    with pytest.raises(SettingsError, match="steps cannot be 0"):
        schedule.sigmas(SHIFTED, 0)


@pytest.mark.parametrize("name", ["trailing", "leading", "ddim_uniform", "simple"])
def test_more_steps_than_time_steps(name: str) -> None:
    with pytest.raises(SettingsError, match="1000 time steps"):
        levels(name, 1001)


@pytest.mark.parametrize("steps", [2, 9, 50])
def test_karras_is_the_papers_formula(steps: int) -> None:
    """Equation 5 of arXiv 2206.00364, written out."""
    high, low = SHIFTED.sigma_max, SHIFTED.sigma_min
    expected = [
        (high ** (1 / 7) + i / (steps - 1) * (low ** (1 / 7) - high ** (1 / 7))) ** 7
        for i in range(steps)
    ]
    np.testing.assert_allclose(levels("karras", steps), [*expected, 0.0], 1e-12)


def test_exponential_has_one_ratio() -> None:
    sigmas = np.array(levels("exponential", 12)[:-1])
    ratio = (SHIFTED.sigma_min / SHIFTED.sigma_max) ** (1 / 11)
    np.testing.assert_allclose(sigmas[1:] / sigmas[:-1], ratio, 1e-12)
    assert sigmas[0] == pytest.approx(SHIFTED.sigma_max, rel=1e-14)


@pytest.mark.parametrize(
    ("name", "steps", "timesteps"),
    [
        ("normal", 4, [999, 666, 333, 0]),
        ("normal", 3, [999, 499.5, 0]),
        ("sgm_uniform", 3, [999, 666, 333]),
        ("sgm_uniform", 4, [999, 749.25, 499.5, 249.75]),
        # round(1000 - 1000 i / n) - 1
        ("trailing", 4, [999, 749, 499, 249]),
        ("trailing", 3, [999, 666, 332]),
        ("leading", 4, [751, 501, 251, 1]),
        ("leading", 3, [667, 334, 1]),
        ("ddim_uniform", 3, [667, 334, 1]),
        # 999 - floor(1000 i / n)
        ("simple", 4, [999, 749, 499, 249]),
        ("simple", 3, [999, 666, 333]),
    ],
)
def test_time_steps(name: str, steps: int, timesteps: list[float]) -> None:
    expected = [SHIFTED.sigma_of(timestep) for timestep in timesteps]
    np.testing.assert_allclose(levels(name, steps)[:-1], expected, 1e-12)


def test_uniform_is_linear_in_sigma_between_time_steps() -> None:
    middle = (SHIFTED.sigmas[499] + SHIFTED.sigmas[500]) / 2
    assert levels("uniform", 3)[1] == pytest.approx(middle, rel=1e-14)
    assert levels("uniform", 3)[1] != levels("normal", 3)[1]


def test_one_step_starts_at_the_top() -> None:
    for name in ("karras", "exponential", "normal", "uniform", "sgm_uniform", "trailing"):
        assert levels(name, 1) == pytest.approx([SHIFTED.sigma_max, 0.0], rel=1e-12)


@pytest.mark.parametrize(
    "name", ["polyexponential", "simple", "beta", "kl_optimal_0", "linear_quadratic"]
)
def test_one_step_of_the_others(name: str) -> None:
    assert levels(name, 1) == pytest.approx([SHIFTED.sigma_max, 0.0], rel=1e-12)


def test_polyexponential_is_the_formula() -> None:
    """k-diffusion's: log σ = rampᵖ (log max - log min) + log min; ρ = 1: exponential."""
    high, low = math.log(SHIFTED.sigma_max), math.log(SHIFTED.sigma_min)
    expected = [math.exp((1 - i / 8) ** 2.5 * (high - low) + low) for i in range(9)]
    np.testing.assert_allclose(
        polyexponential(SHIFTED, 9, ScheduleOptions(rho=2.5)), [*expected, 0.0], 1e-12
    )
    np.testing.assert_allclose(levels("polyexponential", 9), levels("exponential", 9), 1e-12)


def test_kl_optimal_is_the_papers_formula() -> None:
    """Sabour et al. 2024, arXiv 2404.14507: σ = tan((1 - i/n) arctan max + i/n arctan min)."""
    high, low = math.atan(SHIFTED.sigma_max), math.atan(SHIFTED.sigma_min)
    expected = [math.tan((1 - i / 6) * high + i / 6 * low) for i in range(7)]
    np.testing.assert_allclose(levels("kl_optimal", 6), expected, 1e-12)
    np.testing.assert_allclose(levels("kl_optimal_0", 7), [*expected, 0.0], 1e-12)


@pytest.mark.parametrize(("steps", "count"), [(7, 8), (12, 13), (15, 16), (20, 20), (30, 31)])
def test_ddim_uniform_goes_on_as_far_as_time_steps_go(steps: int, count: int) -> None:
    """A1111's "DDIM" and ComfyUI's ``ddim_uniform``: x = 1, then + ⌊1000/n⌋ while x < 1000."""
    timesteps, x = [], 1
    while x < 1000:
        timesteps.append(x)
        x += 1000 // steps
    assert len(timesteps) == count
    expected = [SHIFTED.sigma_of(timestep) for timestep in reversed(timesteps)]
    np.testing.assert_allclose(levels("ddim_uniform", steps), [*expected, 0.0], 1e-12)
    assert levels("ddim_uniform", steps, PLAIN) == levels("ddim_uniform", steps)


def test_align_your_steps_10_has_the_papers_levels() -> None:
    found = [14.615, 6.475, 3.861, 2.697, 1.886, 1.396, 0.963, 0.652, 0.399, 0.152]
    assert levels("align_your_steps_10", 10) == pytest.approx([*found, 0.0], rel=1e-12)
    twice = levels("align_your_steps_10", 20)
    assert twice[:20:2] == pytest.approx(found, rel=1e-12)
    assert twice[1] == pytest.approx(math.sqrt(14.615 * 6.475), rel=1e-12)
    assert twice[19] == pytest.approx(math.sqrt(0.152 * 0.029), rel=1e-12)


@pytest.mark.parametrize("steps", [2, 7, 20])
def test_linear_quadratic_is_comfyuis_list(steps: int) -> None:
    """As published for Mochi: a line to 2.5 % in half of the steps, then c₂i² + c₁i + c₀."""
    line, rest = steps // 2, steps - steps // 2
    excess = line - 0.025 * steps
    c2 = excess / (line * rest**2)
    c1 = 0.025 / line - 2 * excess / rest**2
    done = [i * 0.025 / line for i in range(line)]
    done += [c2 * i**2 + c1 * i + c2 * line**2 for i in range(line, steps)]
    expected = [(1 - part) * SHIFTED.sigma_max for part in [*done, 1.0]]
    np.testing.assert_allclose(levels("linear_quadratic", steps), expected, 1e-12)


def test_leading_ends_where_ddim_ends() -> None:
    assert levels("leading", 20)[-1] == SHIFTED.sigma_min
    assert levels("ddim_uniform", 20)[-1] == 0.0
    assert levels("leading", 20, PLAIN)[-1] == 0.0


def test_leading_never_steps_from_a_level_to_itself() -> None:
    """Without an offset the last step is from time step 0, and cannot lead to its own level."""
    noise = stable_diffusion(offset=0, alpha_one=False)
    assert levels("leading", 20, noise)[-2:] == pytest.approx([noise.sigma_min, 0.0])


def test_the_offset_stays_within_the_training_range() -> None:
    assert levels("leading", 1000)[0] == pytest.approx(SHIFTED.sigma_max, rel=1e-12)
    assert levels("leading", 1, stable_diffusion(offset=1000))[0] == pytest.approx(
        SHIFTED.sigma_max, rel=1e-12
    )


def test_where_sampling_starts() -> None:
    assert SCHEDULES.find("karras").initial_scale(14.6) == 14.6
    assert SCHEDULES.find("leading").initial_scale(3.0) == pytest.approx(math.sqrt(10.0))


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("Karras", "karras"),
        ("SGM Uniform", "sgm_uniform"),
        ("SGMUniform", "sgm_uniform"),
        ("sgm-uniform", "sgm_uniform"),
        ("NORMAL", "normal"),
        ("linspace", "uniform"),
        ("DDIM", "ddim_uniform"),
        ("Polyexponential", "polyexponential"),
        ("Simple", "simple"),
        ("Beta", "beta"),
        ("KL Optimal", "kl_optimal"),
        ("KL Optimal 0", "kl_optimal_0"),
        ("Align Your Steps", "align_your_steps"),
        ("ays", "align_your_steps_10"),
        ("Align_Your_Steps_11", "align_your_steps_11"),
        ("linear_quadratic", "linear_quadratic"),
        (" exponential ", "exponential"),
    ],
)
def test_names(text: str, name: str) -> None:
    schedule = find_schedule(text)
    assert schedule is not None
    assert schedule.name == name


@pytest.mark.parametrize("text", ["automatic", "Automatic", " AUTOMATIC "])
def test_automatic_is_nobodys_name(text: str) -> None:
    assert find_schedule(text) is None


def test_an_unknown_name_lists_the_nearest() -> None:
    with pytest.raises(SettingsError) as caught:
        find_schedule("karas")
    assert "did you mean karras" in str(caught.value)
    assert "automatic" in str(caught.value)


def test_a_hopeless_name_lists_all() -> None:
    with pytest.raises(SettingsError, match=r"give one of align_your_steps, .*, automatic, beta"):
        find_schedule("q" * 10_000)
