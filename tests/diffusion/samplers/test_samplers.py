"""Samplers against exact solutions, and each by its paper's own formulas where diffusers differs.

For data distributed as N(0, s²) the best denoiser is D(x, σ) = x·s²/(s² + σ²), and the
probability-flow equation has the solution x(σ) = x(σ₀)·√((s² + σ²)/(s² + σ₀²)).
"""

import math

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.errors import SettingsError
from diffusion.samplers import (
    SAMPLERS,
    Denoiser,
    NoiseSource,
    NumpyAlgebra,
    SamplerOptions,
    Step,
    find_sampler,
)
from tests.diffusion.noise_schedules import stable_diffusion

Reals = NDArray[np.float64]
NAMES = SAMPLERS.names
SPREAD = 0.8
PLAIN = SamplerOptions()
TWICE = (
    "heun",
    "dpm2",
    "dpm2_a",
    "dpmpp_2s_a",
    "dpmpp_2s_a_cfg_pp",
    "dpmpp_sde",
    "plms",
    "res_2s",
    "restart",
    "seeds_2",
)
"""Samplers whose first step calls the network twice."""
OWN_STEPS = ("dpm_fast", "dpm_adaptive")
"""Samplers that choose their own levels."""
PATHS = (
    "dpmpp_sde",
    "dpmpp_2m_sde",
    "dpmpp_2m_sde_heun",
    "dpmpp_3m_sde",
    "er_sde",
    "seeds_2",
    "seeds_3",
)
"""Samplers whose draws are a Brownian path's, any number of them a step."""


def gaussian(x: Reals, sigma: float) -> Reals:
    return x * (SPREAD**2 / (SPREAD**2 + sigma**2))


def curved(x: Reals, sigma: float) -> Reals:
    """A denoiser that is not linear."""
    return np.tanh(x / math.sqrt(1.0 + sigma**2)) + 0.1 * math.sin(sigma)


def no_noise(step: int) -> Reals:
    raise AssertionError("no noise is to be drawn")


def waves(step: int) -> Reals:
    return np.sin(1.3 * np.arange(4) + 0.7 * step)


def walk(
    name: str,
    sigmas: Reals,
    options: SamplerOptions = PLAIN,
    denoise: Denoiser[Reals] = gaussian,
    noise: NoiseSource[Reals] = waves,
) -> list[Step[Reals]]:
    x = np.array([1.0, -2.0, 0.5, 3.0]) * sigmas[0]
    run = find_sampler(name).run
    return list(run(denoise, x, sigmas, NumpyAlgebra(), noise, options))


def error_of(name: str, steps: int) -> float:
    """Greatest relative error at the end, from level 10 to 0.1 in steps of one ratio."""
    sigmas = np.geomspace(10.0, 0.1, steps + 1)
    exact = math.sqrt((SPREAD**2 + 0.01) / (SPREAD**2 + 100.0))
    start = np.array([1.0, -2.0, 0.5, 3.0]) * 10.0
    still = SamplerOptions(eta=0.0)
    return float(
        np.max(np.abs(walk(name, sigmas, still, noise=no_noise)[-1].x / (start * exact) - 1.0))
    )


@pytest.mark.parametrize(
    ("name", "order"),
    [
        ("euler", 1),
        ("ddim", 1),
        ("heun", 2),
        ("dpmpp_2m", 2),
        ("dpm2", 2),
        ("dpm2_a", 2),
        ("dpmpp_2s_a", 2),
        ("dpmpp_sde", 2),
        ("dpmpp_2m_sde", 2),
        ("dpmpp_2m_sde_heun", 2),
        ("dpmpp_3m_sde", 2),
        ("unipc_bh2", 2),
        ("unipc", 2),
        ("deis", 2),
        ("sa_solver", 2),
        ("tcd", 1),
        ("euler_cfg_pp", 1),
        ("euler_a_cfg_pp", 1),
        ("ddim_cfg_pp", 1),
        ("dpmpp_2m_cfg_pp", 2),
        ("dpmpp_2s_a_cfg_pp", 2),
        ("plms", 2),
        ("res_multistep", 2),
        ("res_multistep_a", 2),
        ("res_multistep_cfg_pp", 2),
        ("res_multistep_a_cfg_pp", 2),
        ("res_2s", 2),
        ("dpmpp_2m_v2", 2),
        ("dpmpp_2s", 2),
        ("gradient_estimation", 1),
        ("seeds_2", 2),
        ("seeds_3", 3),
    ],
)
def test_order_of_convergence(name: str, order: int) -> None:
    """Twice the steps, half the error, or a quarter of it: within 0.1 of the order at 320 steps."""
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
        *_, last = run(gaussian, start, sigmas, NumpyAlgebra(), draws.__getitem__, options)
        errors.append(abs(np.linalg.norm(last.x) / math.hypot(SPREAD, 0.1) - 1.0))
    assert errors[1] < 0.02
    assert errors[0] / errors[1] == pytest.approx(2.0, abs=0.2)


def karras_algorithm_2(sigmas: Reals, options: SamplerOptions, second_order: bool) -> Reals:
    """Karras et al. 2022, algorithm 2, line by line (their t is σ)."""
    x, steps = np.array([1.0, -2.0, 0.5, 3.0]) * sigmas[0], len(sigmas) - 1
    for i in range(steps):
        t, t_next = sigmas[i], sigmas[i + 1]
        inside = options.s_tmin <= t <= options.s_tmax
        gamma = min(options.s_churn / steps, math.sqrt(2) - 1) if inside else 0.0
        t_hat = t + gamma * t
        x_hat = x + math.sqrt(t_hat**2 - t**2) * options.s_noise * waves(i)
        d = (x_hat - curved(x_hat, t_hat)) / t_hat
        x = x_hat + (t_next - t_hat) * d
        if second_order and t_next != 0:
            d_next = (x - curved(x, t_next)) / t_next
            x = x_hat + (t_next - t_hat) * (d + d_next) / 2
    return x


@pytest.mark.parametrize("name", ["euler", "heun"])
@pytest.mark.parametrize(
    "options",
    [
        SamplerOptions(),
        SamplerOptions(s_churn=2.0, s_noise=1.007),
        SamplerOptions(s_churn=80.0, s_tmin=0.05, s_tmax=5.0, s_noise=0.9),
    ],
)
def test_churning_is_the_papers(name: str, options: SamplerOptions) -> None:
    sigmas = np.append(np.geomspace(14.0, 0.03, 8), 0.0)
    actual = walk(name, sigmas, options, curved)[-1].x
    expected = karras_algorithm_2(sigmas, options, name == "heun")
    np.testing.assert_allclose(actual, expected, rtol=1e-12)


def dpm_solver_plus_plus_2m(sigmas: Reals) -> Reals:
    """Lu et al. 2022, algorithm 2, in its own variance-preserving variables and λ = log(α/σ)."""
    alphas = 1.0 / np.sqrt(1.0 + sigmas**2)
    deviations = sigmas * alphas
    lambdas = np.log(alphas[:-1] / deviations[:-1])
    x = np.array([1.0, -2.0, 0.5, 3.0]) * sigmas[0] * alphas[0]
    seen: list[Reals] = []
    for i in range(1, len(sigmas)):
        seen.append(curved(x / alphas[i - 1], sigmas[i - 1]))
        if i == len(sigmas) - 1:
            return seen[-1]
        h = lambdas[i] - lambdas[i - 1]
        estimate = seen[-1]
        if i >= 2:
            r = (lambdas[i - 1] - lambdas[i - 2]) / h
            estimate = (1 + 1 / (2 * r)) * seen[-1] - 1 / (2 * r) * seen[-2]
        x = deviations[i] / deviations[i - 1] * x - alphas[i] * math.expm1(-h) * estimate
    raise AssertionError


@pytest.mark.parametrize("steps", [2, 3, 14, 15, 16])
def test_dpmpp_2m_is_the_papers(steps: int) -> None:
    """Unequal widths, on both sides of 15 steps, where diffusers changes its rule for the last."""
    sigmas = np.append(np.linspace(2.4, 0.3, steps) ** 3, 0.0)
    actual = walk("dpmpp_2m", sigmas, denoise=curved, noise=no_noise)[-1].x
    np.testing.assert_allclose(actual, dpm_solver_plus_plus_2m(sigmas), rtol=1e-12)


@pytest.mark.parametrize("name", NAMES)
def test_one_step_to_zero_is_the_denoised_picture(name: str) -> None:
    (step,) = walk(name, np.array([7.0, 0.0]), noise=no_noise)
    np.testing.assert_array_equal(step.x, step.denoised)
    assert (step.index, step.sigma) == (0, 0.0)


@pytest.mark.parametrize("name", NAMES)
def test_calls_of_the_network(name: str) -> None:
    """One a step, or more but for the last, these at levels ahead or at the middle."""
    levels: list[float] = []

    def counting(x: Reals, sigma: float) -> Reals:
        levels.append(sigma)
        return gaussian(x, sigma)

    sigmas = np.array([9.0, 3.0, 1.0, 0.0])
    walk(name, sigmas, denoise=counting)
    if name == "heunpp2":
        assert levels == [9.0, 3.0, 1.0, 3.0, 1.0, 1.0]
    elif name == "dpm_fast":  # orders 2 and 1, as wide as each other in log σ
        assert levels == pytest.approx([9.0, 9.0**0.75, 3.0])
    elif name == "dpm_adaptive":
        assert len(levels) % 3 == 0
    elif name == "seeds_3":
        thirds = [9.0, 9.0 * 3 ** (-1 / 3), 9.0 * 3 ** (-2 / 3)]
        assert levels == pytest.approx([*thirds, *(each / 3 for each in thirds), 1.0])
    elif name in ("dpm2", "dpmpp_sde", "res_2s", "seeds_2"):
        assert levels == pytest.approx([9.0, math.sqrt(27.0), 3.0, math.sqrt(3.0), 1.0])
    elif name in ("heun", "restart", "sa_solver_pece", "dpm2_a", "dpmpp_2s_a", "dpmpp_2s_a_cfg_pp"):
        # With η = 1 an ancestral step goes down to b²/a, and its middle is b.
        assert levels == pytest.approx([9.0, 3.0, 3.0, 1.0, 1.0])
    else:
        assert levels == ([9.0, 3.0, 3.0, 1.0] if name == "plms" else [9.0, 3.0, 1.0])


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_the_dtype_is_kept_and_the_start_unharmed(name: str, dtype: type) -> None:
    x = np.full(4, 9.0, dtype)
    sampler = find_sampler(name)
    sigmas = [9.0, 3.0, 1.0, 0.0]
    noise = np.ones(4, dtype)
    *_, last = sampler.run(gaussian, x, sigmas, NumpyAlgebra(), lambda k: noise, PLAIN)
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
    if name not in OWN_STEPS:
        assert calls == (3 if name in ("heunpp2", "seeds_3") else 2 if name in TWICE else 1)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("eta", [None, 0.0, 0.5])
@pytest.mark.parametrize("s_churn", [0.0, 1.0])
def test_noise_is_drawn_where_the_registry_says(
    name: str, eta: float | None, s_churn: float
) -> None:
    drawn: list[int] = []

    def counting(step: int) -> Reals:
        drawn.append(step)
        return waves(step)

    options = SamplerOptions(eta=eta, s_churn=s_churn)
    walk(name, np.append(np.geomspace(9.0, 0.05, 24), 0.0), options, noise=counting)
    assert bool(drawn) == find_sampler(name).needs_noise(options)
    assert name in PATHS or drawn == sorted(set(drawn))


@pytest.mark.parametrize(
    "sigmas", [[], [1.0], [1.0, 1.0], [1.0, 2.0], [1.0, -1.0], [math.inf, 0.0], [math.nan, 0.0]]
)
@pytest.mark.parametrize("name", NAMES)
def test_levels_that_do_not_fall(name: str, sigmas: list[float]) -> None:
    run = find_sampler(name).run
    with pytest.raises(SettingsError, match="sigmas"):
        list(run(gaussian, np.ones(4), sigmas, NumpyAlgebra(), waves, PLAIN))


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
def test_options_that_cannot_be(field: str, value: float) -> None:
    with pytest.raises(SettingsError, match=field):
        SamplerOptions(**{field: value})


def test_numpy_algebra() -> None:
    x, y = np.array([1.0, 2.0], np.float32), np.array([10.0, 20.0], np.float32)
    total = NumpyAlgebra().combine([(0.5, x), (2.0, y), (-1.0, x)])
    np.testing.assert_array_equal(total, [19.5, 39.0])
    assert total.dtype == np.float32
    np.testing.assert_array_equal(x, [1.0, 2.0])


def test_own_schedules() -> None:
    noise, trailing = stable_diffusion(), stable_diffusion(spacing="trailing")
    own = {each.name: each.automatic_schedule(noise).name for each in SAMPLERS}
    assert own == {
        "euler": "uniform",
        "euler_a": "uniform",
        "heun": "uniform",
        "dpmpp_2m": "karras",
        "ddim": "leading",
        "ddpm": "ddim_uniform",
        "heunpp2": "uniform",
        "lms": "uniform",
        "dpm2": "karras",
        "dpm2_a": "karras",
        "dpmpp_2s_a": "karras",
        "dpmpp_sde": "karras",
        "dpmpp_2m_sde": "exponential",
        "dpmpp_2m_sde_heun": "exponential",
        "dpmpp_3m_sde": "exponential",
        "unipc_bh2": "sgm_uniform",
        "unipc": "sgm_uniform",
        "deis": "uniform",
        "ipndm": "uniform",
        "ipndm_v": "uniform",
        "plms": "leading",
        "res_multistep": "uniform",
        "lcm": "sgm_uniform",
        "tcd": "sgm_uniform",
        "dpm_fast": "karras",
        "dpm_adaptive": "karras",
        "restart": "karras",
        "sa_solver": "sgm_uniform",
        "euler_cfg_pp": "uniform",
        "euler_a_cfg_pp": "uniform",
        "dpmpp_2s_a_cfg_pp": "karras",
        "dpmpp_2m_cfg_pp": "karras",
        "ddim_cfg_pp": "leading",
        "dpmpp_2m_v2": "karras",
        "dpmpp_2s": "karras",
        "res_2s": "uniform",
        "res_multistep_a": "uniform",
        "res_multistep_cfg_pp": "uniform",
        "res_multistep_a_cfg_pp": "uniform",
        "gradient_estimation": "uniform",
        "er_sde": "uniform",
        "seeds_2": "uniform",
        "seeds_3": "uniform",
        "sa_solver_pece": "sgm_uniform",
    }
    wanted = {each.name: each.automatic_schedule(trailing).name for each in SAMPLERS}
    spaced = {name for name, schedule in own.items() if schedule not in ("karras", "exponential")}
    assert wanted == own | dict.fromkeys(spaced, "trailing")
