"""Properties of every sampler: order of convergence, network calls, noise, schedules, dtypes.

For data distributed as N(0, s²) the best denoiser is D(x, σ) = x·s²/(s² + σ²). The
probability-flow equation then has the solution x(σ) = x(σ₀)·√((s² + σ²)/(s² + σ₀²)).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest

from diffusion.errors import SettingsError
from diffusion.samplers import SAMPLERS, NumpyAlgebra, Sampler, SamplerOptions, find_sampler
from tests.diffusion.noise_schedules import stable_diffusion
from tests.diffusion.samplers.stand_ins import (
    PLAIN,
    SPREAD,
    START,
    Reals,
    denoise_gaussian,
    no_noise,
    run_sampler,
    wave_noise,
)

NAMES = SAMPLERS.names

ONE_CALL = (9.0, 3.0, 1.0)
AT_MIDDLES = tuple(map(pytest.approx, (9.0, math.sqrt(27.0), 3.0, math.sqrt(3.0), 1.0)))
AT_ENDS = tuple(map(pytest.approx, (9.0, 3.0, 3.0, 1.0, 1.0)))
"""Also of ancestral samplers: with η = 1 a step goes down to b²/a, and its middle is b."""
AT_THIRDS = tuple(
    pytest.approx(level)
    for high in (9.0, 3.0)
    for level in (high, high * 3 ** (-1 / 3), high * 3 ** (-2 / 3))
)


@dataclass(frozen=True)
class Facts:
    """The facts that must hold for one sampler.

    ``schedule``: its own schedule. ``order``: its order of convergence without noise, where it is
    measured. ``calls``: the levels of its network calls on the levels 9, 3, 1 and 0, or None where
    it chooses them. ``first_calls``: how many of them its first step makes. ``brownian``: its draws
    are a Brownian path's, any number of them a step.
    """

    schedule: str
    order: int | None = None
    calls: tuple[Any, ...] | None = ONE_CALL
    first_calls: int = 1
    brownian: bool = False


FACTS = {
    "euler": Facts("uniform", 1),
    "euler_a": Facts("uniform"),
    "heun": Facts("uniform", 2, AT_ENDS, 2),
    "dpmpp_2m": Facts("karras", 2),
    "ddim": Facts("leading", 1),
    "ddpm": Facts("ddim_uniform"),
    "heunpp2": Facts("uniform", None, (9.0, 3.0, 1.0, 3.0, 1.0, 1.0), 3),
    "lms": Facts("uniform"),
    "dpm2": Facts("karras", 2, AT_MIDDLES, 2),
    "dpm2_a": Facts("karras", 2, AT_ENDS, 2),
    "dpmpp_2s_a": Facts("karras", 2, AT_ENDS, 2),
    "dpmpp_sde": Facts("karras", 2, AT_MIDDLES, 2, brownian=True),
    "dpmpp_2m_sde": Facts("exponential", 2, brownian=True),
    "dpmpp_2m_sde_heun": Facts("exponential", 2, brownian=True),
    "dpmpp_3m_sde": Facts("exponential", 2, brownian=True),
    "unipc_bh2": Facts("sgm_uniform", 2),
    "unipc": Facts("sgm_uniform", 2),
    "deis": Facts("uniform", 2),
    "ipndm": Facts("uniform"),
    "ipndm_v": Facts("uniform"),
    "plms": Facts("leading", 2, (9.0, 3.0, 3.0, 1.0), 2),
    "res_multistep": Facts("uniform", 2),
    "lcm": Facts("sgm_uniform"),
    "tcd": Facts("sgm_uniform", 1),
    # Orders 2 and 1, as wide as each other in log σ.
    "dpm_fast": Facts("karras", None, (9.0, pytest.approx(9.0**0.75), pytest.approx(3.0)), 2),
    "dpm_adaptive": Facts("karras", None, None, 3),
    "restart": Facts("karras", None, AT_ENDS, 2),
    "sa_solver": Facts("sgm_uniform", 2),
    "euler_cfg_pp": Facts("uniform", 1),
    "euler_a_cfg_pp": Facts("uniform", 1),
    "dpmpp_2s_a_cfg_pp": Facts("karras", 2, AT_ENDS, 2),
    "dpmpp_2m_cfg_pp": Facts("karras", 2),
    "ddim_cfg_pp": Facts("leading", 1),
    "dpmpp_2m_v2": Facts("karras", 2),
    "dpmpp_2s": Facts("karras", 2),
    "res_2s": Facts("uniform", 2, AT_MIDDLES, 2),
    "res_multistep_a": Facts("uniform", 2),
    "gradient_estimation": Facts("uniform", 1),
    "er_sde": Facts("uniform", brownian=True),
    "seeds_2": Facts("uniform", 2, AT_MIDDLES, 2, brownian=True),
    "seeds_3": Facts("uniform", 3, (*AT_THIRDS, 1.0), 3, brownian=True),
    "sa_solver_pece": Facts("sgm_uniform", None, AT_ENDS),
    "res_multistep_cfg_pp": Facts("uniform", 2),
    "res_multistep_a_cfg_pp": Facts("uniform", 2),
}


def test_the_table_has_every_sampler() -> None:
    assert tuple(FACTS) == NAMES
    paths = {each.name for each in SAMPLERS if each.brownian}
    assert paths == {name for name, facts in FACTS.items() if facts.brownian}


def error_of(name: str, steps: int) -> float:
    """Greatest relative error at the end, from level 10 to 0.1 in steps of one ratio."""
    sigmas = np.geomspace(10.0, 0.1, steps + 1)
    exact = math.sqrt((SPREAD**2 + 0.01) / (SPREAD**2 + 100.0))
    last = run_sampler(name, sigmas, SamplerOptions(eta=0.0), denoise_gaussian, no_noise)[-1]
    return float(np.max(np.abs(last.x / (START * 10.0 * exact) - 1.0)))


@pytest.mark.parametrize("name", [name for name in NAMES if FACTS[name].order])
def test_order_of_convergence(name: str) -> None:
    """Twice the steps, half the error, or a quarter of it: within 0.1 of the order at 320 steps."""
    order = FACTS[name].order
    assert order is not None
    found = math.log2(error_of(name, 160) / error_of(name, 320))
    assert found == pytest.approx(order, abs=0.1)
    assert error_of(name, 320) < 10.0 ** (-1.5 * order)


def test_sa_solver_pece_is_of_the_fourth_order() -> None:
    """Its predictor of the third order starts and ends a run at lower ones, which counts less."""
    assert math.log2(error_of("sa_solver_pece", 40) / error_of("sa_solver_pece", 80)) > 3.9
    assert error_of("sa_solver_pece", 320) < 1e-9


@pytest.mark.parametrize("name", ["euler_a", "ddim", "ddpm"])
@pytest.mark.parametrize("eta", [0.3, 1.0])
def test_ancestral_noise_keeps_the_right_spread(name: str, eta: float) -> None:
    """x stays linear in the start and in each draw: follow their weights, not samples of them.

    The variance at the end must be s² + σ². Euler's error, first order, is what is left.
    """
    errors = []
    for steps in (100, 200):
        sigmas = np.geomspace(10.0, 0.1, steps + 1)
        start, *draws = np.eye(steps + 1)
        start *= math.hypot(SPREAD, 10.0)
        options = SamplerOptions(eta=eta)
        run = find_sampler(name).run
        *_, last = run(denoise_gaussian, start, sigmas, NumpyAlgebra(), draws.__getitem__, options)
        errors.append(abs(np.linalg.norm(last.x) / math.hypot(SPREAD, 0.1) - 1.0))
    assert errors[1] < 0.02
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.2)


@pytest.mark.parametrize("name", NAMES)
def test_one_step_to_zero_is_the_denoised_picture(name: str) -> None:
    (step,) = run_sampler(name, np.array([7.0, 0.0]), denoise=denoise_gaussian, noise=no_noise)
    np.testing.assert_array_equal(step.x, step.denoised)
    assert (step.index, step.sigma) == (0, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_levels_of_network_calls(name: str) -> None:
    """One a step, or more but for the last, these at levels ahead or at the middle."""
    levels: list[float] = []

    def counting(x: Reals, sigma: float) -> Reals:
        levels.append(sigma)
        return denoise_gaussian(x, sigma)

    run_sampler(name, np.array([9.0, 3.0, 1.0, 0.0]), denoise=counting)
    expected = FACTS[name].calls
    if expected is None:
        assert len(levels) % 3 == 0
    else:
        assert levels == list(expected)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept_and_the_start_unharmed(name: str, dtype: type) -> None:
    x, noise = np.full(4, 9.0, dtype), np.ones(4, dtype)
    run, sigmas = find_sampler(name).run, [9.0, 3.0, 1.0, 0.0]
    *_, last = run(denoise_gaussian, x, sigmas, NumpyAlgebra(), lambda k: noise, PLAIN)
    assert last.x.dtype == dtype
    np.testing.assert_array_equal(x, np.full(4, 9.0))


@pytest.mark.parametrize("name", NAMES)
def test_steps_come_one_by_one(name: str) -> None:
    """A caller who stops asking stops the work."""
    calls = 0

    def counting(x: Reals, sigma: float) -> Reals:
        nonlocal calls
        calls += 1
        return x

    x = np.ones(2)
    sigmas = [9.0, 3.0, 1.0, 0.0]
    run = find_sampler(name).run(counting, x, sigmas, NumpyAlgebra(), lambda k: x, PLAIN)
    assert calls == 0
    next(run)
    if FACTS[name].calls is not None:
        assert calls == FACTS[name].first_calls
    else:
        assert calls % FACTS[name].first_calls == 0


def draws_noise(sampler: Sampler, options: SamplerOptions) -> bool:
    """Tell from the registry whether steps draw noise."""
    eta = sampler.eta if sampler.eta is None or options.eta is None else options.eta
    return bool(eta) or sampler.noisy or (sampler.churns and options.s_churn > 0.0)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("eta", [None, 0.0, 0.5])
@pytest.mark.parametrize("s_churn", [0.0, 1.0])
def test_noise_is_drawn_where_the_registry_says(
    name: str, eta: float | None, s_churn: float
) -> None:
    draws: list[int] = []

    def counting(number: int) -> Reals:
        draws.append(number)
        return wave_noise(number)

    options = SamplerOptions(eta=eta, s_churn=s_churn)
    sigmas = np.append(np.geomspace(9.0, 0.05, 24), 0.0)
    run_sampler(name, sigmas, options, denoise_gaussian, counting)
    assert bool(draws) == draws_noise(find_sampler(name), options)
    assert FACTS[name].brownian or draws == sorted(set(draws))


@pytest.mark.parametrize(
    "sigmas", [[], [1.0], [1.0, 1.0], [1.0, 2.0], [1.0, -1.0], [math.inf, 0.0], [math.nan, 0.0]]
)
@pytest.mark.parametrize("name", NAMES)
def test_levels_that_do_not_fall(name: str, sigmas: list[float]) -> None:
    run = find_sampler(name).run
    with pytest.raises(SettingsError, match="sigmas"):
        list(run(denoise_gaussian, np.ones(4), sigmas, NumpyAlgebra(), wave_noise, PLAIN))


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("eta", -0.1),
        ("eta", 1.5),
        ("eta", math.nan),
        ("s_churn", -1.0),
        ("s_churn", math.inf),
        ("s_tmin", -1.0),
        ("s_tmax", -1.0),
        ("s_tmax", math.nan),
        ("s_noise", math.nan),
        ("order", 0),
        ("order", 5),
    ],
)
def test_options_out_of_range(field: str, value: float) -> None:
    with pytest.raises(SettingsError, match=field):
        SamplerOptions(**{field: value})


def test_numpy_algebra() -> None:
    x, y = np.array([1.0, 2.0], np.float32), np.array([10.0, 20.0], np.float32)
    total = NumpyAlgebra().combine([(0.5, x), (2.0, y), (-1.0, x)])
    np.testing.assert_array_equal(total, [19.5, 39.0])
    assert total.dtype == np.float32
    np.testing.assert_array_equal(x, [1.0, 2.0])


@pytest.mark.parametrize("name", NAMES)
def test_the_schedule_of_a_sampler(name: str) -> None:
    """Its own, or ``trailing`` where the model asks for that and the sampler has time steps."""
    sampler, own = find_sampler(name), FACTS[name].schedule
    assert sampler.automatic_schedule(stable_diffusion()).name == own
    trailing = stable_diffusion(spacing="trailing")
    expected = own if own in ("karras", "exponential") else "trailing"
    assert sampler.automatic_schedule(trailing).name == expected
