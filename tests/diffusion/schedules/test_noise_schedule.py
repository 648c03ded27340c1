"""Training noise: ᾱ as diffusers has it, and the way between time steps and levels."""

import math
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from diffusion.errors import SettingsError
from diffusion.schedules import NoiseSchedule
from diffusion.schedules.noise_schedule import betas
from tests.diffusion.noise_schedules import config, stable_diffusion
from tests.diffusion.samplers.diffusers_runs import BETA_RULES, STRIDE
from tests.goldens.loader import load

NOISE = stable_diffusion()


@pytest.mark.parametrize("rule", ["linear", "scaled_linear", "squaredcos_cap_v2"])
def test_alphas_equal_diffusers(rule: str) -> None:
    values = {"beta_start": 1e-4, "beta_end": 0.02, **BETA_RULES[rule]}
    start, end = values["beta_start"], values["beta_end"]
    assert isinstance(start, float)
    assert isinstance(end, float)
    kept = np.cumprod(1.0 - betas(rule, start, end, 1000))
    np.testing.assert_allclose(kept[::STRIDE], load("samplers")[f"alphas_cumprod/{rule}"], 1e-12)


def test_trained_betas_replace_the_rule() -> None:
    trained = BETA_RULES["trained_betas"]["trained_betas"]
    assert isinstance(trained, list)
    noise = NoiseSchedule.from_config(config(), trained)
    golden = load("samplers")["alphas_cumprod/trained_betas"]
    np.testing.assert_allclose(noise.alphas_cumprod, golden, 1e-12)
    assert noise.num_train_timesteps == len(trained)


def test_levels_beyond_f32_are_refused() -> None:
    """ᾱ of 100 000 steps ends at e^-537 or so, whose σ no f32 holds."""
    with pytest.raises(SettingsError, match=r"no model's; check the scheduler's config"):
        NoiseSchedule.from_config(replace(config(), num_train_timesteps=100_000))


def test_a_last_step_without_signal() -> None:
    """√ᾱ shifted and scaled: the last is nothing (2⁻²⁴, so σ is 4096), the first as it was."""
    zero = NoiseSchedule.from_config(replace(config(), rescale_betas_zero_snr=True))
    assert zero.alphas_cumprod[-1] == 2.0**-24
    assert zero.sigma_max == pytest.approx(4096.0, rel=1e-7)
    np.testing.assert_allclose(zero.alphas_cumprod[0], NOISE.alphas_cumprod[0], 1e-14)
    root, before = np.sqrt(zero.alphas_cumprod[:-1]), np.sqrt(NOISE.alphas_cumprod[:-1])
    slopes = np.diff(root) / np.diff(before)
    np.testing.assert_allclose(slopes, slopes[0], 1e-9)


def test_the_levels_of_stable_diffusion() -> None:
    """14.6146 and 0.0292: the ends that k-diffusion's users know."""
    assert NOISE.num_train_timesteps == 1000
    assert NOISE.sigma_max == pytest.approx(14.6146, abs=5e-5)
    assert NOISE.sigma_min == pytest.approx(0.0292, abs=5e-5)
    assert NOISE.final_sigma == NOISE.sigma_min
    assert stable_diffusion(alpha_one=True).final_sigma == 0.0


def test_whole_time_steps_have_the_trained_levels() -> None:
    levels = [NOISE.sigma_of(float(t)) for t in range(1000)]
    np.testing.assert_allclose(levels, NOISE.sigmas, 1e-14)


@given(st.floats(0.0, 999.0))
def test_time_step_and_level_undo_each_other(timestep: float) -> None:
    # Neighbours' log σ lie 0.003 apart or more, and log σ carries some 2e-15.
    assert NOISE.timestep_of(NOISE.sigma_of(timestep)) == pytest.approx(timestep, abs=1e-11)


def test_between_whole_steps_log_sigma_is_linear() -> None:
    between = math.sqrt(NOISE.sigmas[10] * NOISE.sigmas[11])
    assert NOISE.sigma_of(10.5) == pytest.approx(between, rel=1e-14)
    assert NOISE.timestep_of(between) == pytest.approx(10.5, abs=1e-11)


@pytest.mark.parametrize(("sigma", "timestep"), [(0.0, 0.0), (1e-9, 0.0), (20.0, 999.0)])
def test_levels_outside_the_range_give_its_ends(sigma: float, timestep: float) -> None:
    assert NOISE.timestep_of(sigma) == timestep


@pytest.mark.parametrize("sigma", [0.03, 1.0, 14.6])
def test_the_three_predictions_agree(sigma: float) -> None:
    """From x₀ and ε, each kind of exact network output gives x₀ back."""
    x0, epsilon = 0.7, -1.3
    x = x0 + sigma * epsilon
    kept = 1.0 / math.sqrt(1.0 + sigma**2)
    outputs = {
        "epsilon": epsilon,
        "sample": x0,
        # Salimans and Ho 2022, arXiv 2202.00512: v = α·ε - σ·x₀ with α² + σ² = 1.
        "v_prediction": kept * epsilon - sigma * kept * x0,
    }
    for prediction, output in outputs.items():
        into, skip, out = stable_diffusion(prediction).scalings(sigma)
        assert into == pytest.approx(kept, rel=1e-15)
        assert skip * x + out * output == pytest.approx(x0, abs=1e-14)


def test_the_schedule_cannot_be_written_to() -> None:
    kept = np.array([0.9, 0.5])
    noise = NoiseSchedule(kept)
    with pytest.raises(ValueError, match="read-only"):
        noise.alphas_cumprod[0] = 0.1
    kept[0] = 0.1
    assert noise.alphas_cumprod[0] == 0.9


@pytest.mark.parametrize("values", [[0.9], [0.5, 0.9], [0.9, 0.0], [1.0, 0.5], [math.nan, 0.5]])
def test_alphas_that_are_not_valid(values: list[float]) -> None:
    with pytest.raises(SettingsError, match="alphas_cumprod"):
        NoiseSchedule(np.array(values))


@pytest.mark.parametrize(
    ("field", "value"),
    [("prediction_type", "flow"), ("timestep_spacing", "even"), ("steps_offset", -1)],
)
def test_fields_that_are_not_valid(field: str, value: object) -> None:
    with pytest.raises(SettingsError, match=field):
        NoiseSchedule(np.array([0.9, 0.5]), **{field: value})  # type: ignore[arg-type]


def test_an_unknown_beta_rule() -> None:
    with pytest.raises(SettingsError, match="scaled_linear"):
        betas("cosine", 0.1, 0.2, 10)


def test_zero_snr_is_the_papers() -> None:
    """Lin et al. 2023, arXiv 2305.08891, algorithm 1; the last level as diffusers' Euler has it."""
    noise = stable_diffusion("v_prediction", spacing="trailing")
    root = np.sqrt(noise.alphas_cumprod)
    expected = (root - root[-1]) * root[0] / (root[0] - root[-1])
    other = noise.with_zero_snr()
    np.testing.assert_allclose(np.sqrt(other.alphas_cumprod[:-1]), expected[:-1], rtol=1e-13)
    assert other.alphas_cumprod[-1] == 2.0**-24
    assert other.sigma_min == noise.sigma_min
    assert other.sigma_max == pytest.approx(4096, rel=1e-6)
    assert (other.prediction_type, other.timestep_spacing) == ("v_prediction", "trailing")
    with pytest.raises(
        SettingsError,
        match="zero_snr cannot be True; the model's noise ends so already: turn it off",
    ):
        other.with_zero_snr()
