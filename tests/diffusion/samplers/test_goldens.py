"""Every sampler equals diffusers', step by step; tools/goldens/samplers.py makes the file."""

import functools
import itertools
from dataclasses import replace

import numpy as np
import pytest

from diffusion.samplers import NumpyAlgebra, SamplerOptions, SamplingRun, answer, find_sampler
from diffusion.samplers.sde import SdeWeights, line_weights, midpoint_weights, sde_multistep
from diffusion.schedules import SCHEDULES, NoiseSchedule
from tests.diffusion.noise_schedules import stable_diffusion
from tests.diffusion.samplers.diffusers_runs import (
    CASES,
    STEPS,
    Array,
    GoldenRun,
    SamplerCase,
    initial_noise,
    network,
    step_noise,
)
from tests.goldens.loader import load, relative_error

RUNS = [
    pytest.param(case, steps, id=f"{case.name}-{steps}") for case in CASES for steps in case.steps
]
# Those with levels of our own choosing. With `linspace` diffusers' only step of one is from time
# step 0, ours from the last.
LEVEL_RUNS = [
    pytest.param(case, steps, id=f"{case.name}-{steps}")
    for case in CASES
    for steps in case.steps
    if case.schedule and not (steps == 1 and case.starts_low)
]
# The lowest level is √((1 - ᾱ₀)/ᾱ₀) with 1 - ᾱ₀ = 8.5e-4: in f32 ᾱ₀ carries half an ulp, 3e-8,
# and 1 - ᾱ₀ thus 3.5e-5 of itself, its root 1.8e-5.
LEVELS_F32 = 2e-5

SDE_WEIGHTS: dict[str, SdeWeights] = {
    "dpmpp_2m_sde": midpoint_weights,
    "dpmpp_2m_sde_heun": line_weights,
}
"""Samplers whose noise is a path's: here diffusers' and ours are given one draw a step."""


def golden(precision: str, case: SamplerCase, steps: int) -> GoldenRun:
    return GoldenRun(load("samplers")[f"{precision}/{case.name}-{steps}"])


def variance_exploding(case: SamplerCase, x: Array, sigmas: Array) -> Array:
    """Return diffusers' x as x₀ + σ·noise, whichever form it keeps."""
    return x * np.sqrt(1.0 + sigmas[:, None] ** 2) if case.keeps_variance else x


def options_of(case: SamplerCase, noise: NoiseSchedule) -> SamplerOptions:
    """Return the options that a pipeline would make."""
    return SamplerOptions(eta=case.eta, order=case.order, scale_time=noise.scale_time)


def sample(
    case: SamplerCase, noise: NoiseSchedule, sigmas: Array, run: GoldenRun, x: Array
) -> Array:
    """Return our x before and after each step along `sigmas`, with the time steps of `run`."""
    calls = itertools.count()

    def denoise(x: Array, sigma: float) -> Array:
        timestep = float(run.timesteps[np.argmin(np.abs(sigmas[:-1] - sigma))])
        if next(calls) % 2 == 1 and case.sampler in ("dpm2", "dpm2_a"):  # the middle of a step
            timestep = noise.timestep_of(sigma)
        scale = noise.scalings(sigma)
        output = network(scale.into * x, timestep).astype(x.dtype)
        return scale.skip * x + scale.out * output

    def draw(step: int) -> Array:
        return step_noise(step).astype(x.dtype)

    sampler, options = find_sampler(case.sampler), options_of(case, noise)
    if case.sampler in SDE_WEIGHTS:
        draws = map(draw, itertools.count())
        options = replace(options, eta=sampler.eta)
        sampling = SamplingRun(x, sigmas, NumpyAlgebra(), draw, options)
        weights = SDE_WEIGHTS[case.sampler]
        steps = list(
            answer(sde_multistep(sampling, weights, lambda high, low: next(draws)), denoise)
        )
    else:
        steps = list(sampler.run(denoise, x, sigmas, NumpyAlgebra(), draw, options))
    assert [step.index for step in steps] == list(range(len(sigmas) - 1))
    assert [step.sigma for step in steps] == sigmas[1:].tolist()
    assert all(step.x.dtype == x.dtype for step in steps)
    return np.stack([x, *(step.x for step in steps)])


@functools.cache
def schedule_for(prediction: str, offset: int, alpha_one: bool) -> NoiseSchedule:
    return stable_diffusion(prediction, offset, alpha_one)


def noise_schedule(case: SamplerCase) -> NoiseSchedule:
    offset = case.config.get("steps_offset", 0)
    assert isinstance(offset, int)
    alpha_one = bool(case.config.get("set_alpha_to_one", True))
    return schedule_for(case.prediction, offset, alpha_one)


@pytest.mark.parametrize(("case", "steps"), RUNS)
def test_every_step_equals_diffusers_in_float64(case: SamplerCase, steps: int) -> None:
    run = golden("f64", case, steps)
    expected = variance_exploding(case, run.x, run.sigmas)
    actual = sample(case, noise_schedule(case), run.sigmas, run, expected[0])
    if case.ends_in_nan:
        assert np.all(np.isnan(expected[-1]))
        actual, expected = actual[:-1], expected[:-1]
    for ours, theirs in zip(actual, expected, strict=True):
        assert relative_error(ours, theirs) <= 1e-12


@pytest.mark.parametrize(("case", "steps"), LEVEL_RUNS)
def test_levels_equal_diffusers(case: SamplerCase, steps: int) -> None:
    sigmas = SCHEDULES.find(case.schedule).sigmas(noise_schedule(case), steps)
    np.testing.assert_allclose(sigmas, golden("f64", case, steps).sigmas, rtol=1e-11)
    np.testing.assert_allclose(sigmas, golden("f32", case, steps).sigmas, rtol=LEVELS_F32)


@pytest.mark.parametrize(("case", "steps"), RUNS)
def test_time_steps_equal_diffusers(case: SamplerCase, steps: int) -> None:
    run, noise = golden("f64", case, steps), noise_schedule(case)
    actual = [noise.timestep_of(sigma) for sigma in run.sigmas[:-1]]
    if case.config.get("timestep_spacing") == "linspace" and not case.rounds_timesteps:
        # Between whole steps diffusers' σ is linear, not log σ: between neighbours of ratio r the
        # two fractions differ by log(r)/8 at most. The lowest fraction of these runs is at 52.6,
        # where log(r) = 0.0109.
        tolerance = 1.4e-3
    elif (
        case.rounds_timesteps or case.sampler in ("dpm2", "dpm2_a")
    ) and "use_karras_sigmas" in case.config:
        tolerance = 0.5 + 1e-9  # diffusers rounds
    elif case.rounds_timesteps and "use_exponential_sigmas" in case.config:
        tolerance = 1.0  # diffusers cuts
    else:
        tolerance = 1e-6
    np.testing.assert_allclose(actual, run.timesteps, rtol=0, atol=tolerance)


@pytest.mark.parametrize(("case", "steps"), LEVEL_RUNS)
def test_a_whole_run_in_f32_equals_diffusers(case: SamplerCase, steps: int) -> None:
    """Compare our levels, our start and our steps in f32 with diffusers as it is."""
    run, noise = golden("f32", case, steps), noise_schedule(case)
    sigmas = SCHEDULES.find(case.schedule).sigmas(noise, steps)
    # Heun's first of two steps divides by the lowest level and so takes on its error.
    # So do the SDE's, whose noise goes with the level.
    lowest = (case.sampler, steps) == ("heun", 2) or case.sampler in SDE_WEIGHTS
    tolerance = LEVELS_F32 if lowest else 1e-5
    if case.sampler == "dpm2_a":
        # diffusers' lower level √(b² - u²), of size b²/a, cancels in f32: its square carries
        # 2⁻²⁴·(a/b)² of itself, 1.5 % for two Karras steps, where a/b = 500. It is the level of
        # the step's second call: the bar for f32 is that of the project, 5.4e-5 is seen.
        tolerance = 1e-4
    start = variance_exploding(case, run.x, run.sigmas)[0].astype(np.float32)
    actual = sample(case, noise, sigmas, run, start)
    expected = variance_exploding(case, run.x, run.sigmas)
    if case.ends_in_nan:
        actual, expected = actual[:-1], expected[:-1]
    for ours, theirs in zip(actual, expected, strict=True):
        assert relative_error(ours, theirs) <= tolerance


@pytest.mark.parametrize("steps", STEPS)
@pytest.mark.parametrize(
    "case",
    [c for c in CASES if c.sampler == "ddim" and c.schedule == "leading"],
    ids=lambda c: c.name,
)
def test_ddim_starts_where_diffusers_does(case: SamplerCase, steps: int) -> None:
    run, schedule = golden("f64", case, steps), SCHEDULES.find("leading")
    first = schedule.sigmas(noise_schedule(case), steps)[0]
    start = initial_noise() * schedule.initial_scale(float(first))
    assert relative_error(start, variance_exploding(case, run.x, run.sigmas)[0]) <= 1e-12


@pytest.mark.parametrize("spacing", ["uniform", "trailing"])
def test_euler_starts_where_diffusers_does(spacing: str) -> None:
    case = next(c for c in CASES if c.sampler == "euler" and c.schedule == spacing)
    run, schedule = golden("f64", case, 10), SCHEDULES.find(spacing)
    start = initial_noise() * schedule.initial_scale(float(run.sigmas[0]))
    assert relative_error(start, run.x[0]) <= 1e-12
