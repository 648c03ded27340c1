"""Samplers that choose their own levels, against the papers' formulas in float64."""

import itertools
import math

import numpy as np
import pytest

from diffusion.errors import SettingsError
from diffusion.samplers import SamplerOptions
from diffusion.samplers.dpm_solver import count_fast_steps
from diffusion.samplers.runge_kutta import plan_restarts
from tests.diffusion.samplers.stand_ins import START, Reals, run_sampler, split_level, wave_noise

FIRST, LAST = 14.6, 0.03


def denoise_steep(x: Reals, sigma: float) -> Reals:
    """Return an estimate that is not linear in x, and at low levels steep."""
    return np.tanh(x / math.hypot(0.1, sigma)) + 0.1 * math.sin(3.0 * sigma)


def levels(steps: int, end: float = 0.0) -> Reals:
    """Return a list with these ends: these samplers do not use the levels between them."""
    if end:
        return np.linspace(FIRST, LAST, steps + 1)
    return np.append(np.linspace(FIRST, LAST, steps), 0.0)


def alpha(lam: float) -> float:
    """Return α of the paper's variance-preserving form, where α² + σ² = 1."""
    return 1.0 / math.sqrt(1.0 + math.exp(-2.0 * lam))


def epsilon(x: Reals, lam: float) -> Reals:
    a = alpha(lam)
    return (x / a - denoise_steep(x / a, math.exp(-lam))) / math.exp(-lam)


def solve(x: Reals, at: float, to: float, order: int, r1: float = 0.5) -> Reals:
    """DPM-Solver-1, -2 and -3 (arXiv 2206.00927, algorithms 1 and 2), x scaled by α."""
    h = to - at
    e = epsilon(x, at)

    def first(share: float) -> Reals:
        s = at + share * h
        return alpha(s) / alpha(at) * x - alpha(s) * math.exp(-s) * (math.exp(share * h) - 1) * e

    scale = alpha(to) * math.exp(-to)
    if order == 1:
        return first(1.0)
    if order == 2:
        change = epsilon(first(r1), at + r1 * h) - e
        return first(1.0) - scale / (2 * r1) * (math.exp(h) - 1) * change
    r1, r2 = 1 / 3, 2 / 3
    change = epsilon(first(r1), at + r1 * h) - e
    s2 = at + r2 * h
    bend = (math.exp(r2 * h) - 1) / (r2 * h) - 1
    u2 = first(r2) - alpha(s2) * math.exp(-s2) * r2 / r1 * bend * change
    change = epsilon(u2, s2) - e
    return first(1.0) - scale / r2 * ((math.exp(h) - 1) / h - 1) * change


@pytest.mark.parametrize(
    ("steps", "orders"), [(2, [2]), (3, [2, 1]), (4, [3, 1]), (5, [3, 2]), (9, [3, 3, 2, 1])]
)
@pytest.mark.parametrize("end", [0.0, LAST])
def test_dpm_fast_is_the_papers(steps: int, orders: list[int], end: float) -> None:
    lams = np.linspace(-math.log(FIRST), -math.log(LAST), len(orders) + 1)
    x = START * FIRST * alpha(lams[0])
    expected = []
    for (at, to), order in zip(itertools.pairwise(lams), orders, strict=True):
        x = solve(x, at, to, order)
        expected.append(x / alpha(to))
    found = run_sampler("dpm_fast", levels(steps, end), denoise=denoise_steep)
    assert len(found) == count_fast_steps(steps) == len(orders)
    assert [step.index for step in found] == list(range(len(orders)))
    np.testing.assert_allclose([step.sigma for step in found], np.exp(-lams[1:]), rtol=1e-12)
    np.testing.assert_allclose([step.x for step in found], expected, rtol=1e-10)


@pytest.mark.parametrize("steps", [2, 5, 8, 30])
def test_dpm_fast_calls_the_network_as_often_as_asked(steps: int) -> None:
    calls: list[float] = []

    def counting(x: Reals, sigma: float) -> Reals:
        calls.append(sigma)
        return denoise_steep(x, sigma)

    run_sampler("dpm_fast", levels(steps), denoise=counting)
    assert len(calls) == steps
    assert len(set(calls)) == steps


def test_dpm_fast_with_noise_goes_below_and_back_up() -> None:
    """η as k-diffusion has it: a step leads to the level below the noise, not under the end."""
    lams = np.linspace(-math.log(FIRST), -math.log(LAST), 3)
    x = START * FIRST
    for index, (at, to) in enumerate(itertools.pairwise(lams)):
        high, low = math.exp(-at), math.exp(-to)
        down = max(split_level(high, low, 0.6)[0], LAST)
        moved = solve(x * alpha(at), at, -math.log(down), 3 - index) / alpha(-math.log(down))
        x = moved + 0.9 * math.sqrt(max(0.0, low**2 - down**2)) * wave_noise(index)
    found = run_sampler("dpm_fast", levels(5), SamplerOptions(eta=0.6, s_noise=0.9), denoise_steep)
    np.testing.assert_allclose(found[-1].x, x, rtol=1e-10)


def test_dpm_adaptive_is_the_papers() -> None:
    """Algorithm of appendix C, order 3, with k-diffusion's rule for the next width."""
    at, end = -math.log(FIRST), -math.log(LAST)
    x = before = START * FIRST
    h, sizes, expected = 0.05, [], []
    while at < end - 1e-5:
        to = min(end, at + h)
        lower, higher = (solve(x * alpha(at), at, to, order, 1 / 3) / alpha(to) for order in (2, 3))
        delta = np.maximum(0.0078, 0.05 * np.maximum(np.abs(lower), np.abs(before)))
        error = math.sqrt(np.mean(((lower - higher) / delta) ** 2))
        factor = 1 + math.atan((1 / (error + 1e-8)) ** (1 / 3) - 1)
        h *= factor
        if factor >= 0.81:
            before, x, at = lower, higher, to
            expected.append(x)
        sizes.append(factor)
    assert min(sizes) < 0.81, "an attempt is refused on the way"
    found = run_sampler("dpm_adaptive", levels(7), denoise=denoise_steep)
    np.testing.assert_allclose([step.x for step in found], expected, rtol=1e-8)
    assert found[-1].sigma == LAST


def test_dpm_adaptive_gives_up() -> None:
    jumps = itertools.count()

    def wild(x: Reals, sigma: float) -> Reals:
        return np.full(4, 1e6 * (-1.0) ** next(jumps))

    with pytest.raises(SettingsError, match="do not converge"):
        run_sampler("dpm_adaptive", levels(7), denoise=wild)


def heun_step(x: Reals, high: float, low: float) -> Reals:
    d = (x - denoise_steep(x, high)) / high
    ahead = x + (low - high) * d
    if low == 0:
        return ahead
    return x + (low - high) * (d + (ahead - denoise_steep(ahead, low)) / low) / 2


def karras(first: float, last: float, count: int) -> Reals:
    ramp = np.linspace(0, 1, count)
    return (first ** (1 / 7) + ramp * (last ** (1 / 7) - first ** (1 / 7))) ** 7


@pytest.mark.parametrize(("steps", "each", "times"), [(24, 9, 1), (36, 9, 2), (41, 10, 2)])
def test_restart_is_the_papers(steps: int, each: int, times: int) -> None:
    """Xu et al. 2023, algorithm 1, with the levels 0.1 and 2 as A1111 chose them."""
    main = np.append(karras(FIRST, LAST, steps - each * times), 0.0)
    bottom, top = (int(np.argmin(np.abs(main - at))) for at in (0.1, 2.0))
    stretch = karras(main[top], main[bottom], each + 1)
    x, index = START * FIRST, 0
    for place in range(len(main) - 1):
        x = heun_step(x, main[place], main[place + 1])
        index += 1
        for _ in range(times if place + 1 == bottom else 0):
            x = x + 0.9 * math.sqrt(stretch[0] ** 2 - stretch[-1] ** 2) * wave_noise(index)
            for high, low in itertools.pairwise(stretch):
                x = heun_step(x, high, low)
                index += 1
    found = run_sampler("restart", levels(steps), SamplerOptions(s_noise=0.9), denoise_steep)
    assert len(found) == index == steps
    np.testing.assert_allclose(found[-1].x, x, rtol=1e-10)


@pytest.mark.parametrize("steps", [20, 35, 36, 50])
@pytest.mark.parametrize("end", [0.0, LAST])
def test_a_run_with_restarts_is_as_long_as_asked(steps: int, end: float) -> None:
    sigmas = levels(steps, end)
    plan = plan_restarts(sigmas[:-1].tolist(), float(sigmas[-1]))
    assert len(plan) == steps
    assert (plan[0][0], plan[-1][1]) == (FIRST, end)
    ups = [(low, high) for (_, low), (high, _) in itertools.pairwise(plan) if high > low]
    assert len(ups) == (2 if steps >= 36 else 1)


def test_a_short_run_has_no_restarts() -> None:
    sigmas = levels(19)
    assert plan_restarts(sigmas[:-1].tolist(), 0.0) == list(itertools.pairwise(sigmas.tolist()))
