"""CFG++ against its paper's formulas, and without guidance against the samplers it comes from."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.samplers import SAMPLERS, NumpyAlgebra, SamplerOptions, SplitDenoiser, find_sampler

Reals = NDArray[np.float64]
START = np.array([1.0, -2.0, 0.5, 3.0])
SIGMAS = np.append(np.linspace(2.4, 0.3, 9) ** 3, 0.0)
SHARE = 0.6


def free(x: Reals, sigma: float) -> Reals:
    return np.tanh(x / math.sqrt(1.0 + sigma**2)) + 0.1 * math.sin(sigma)


def guided(x: Reals, sigma: float) -> Reals:
    conditional = 0.9 * np.tanh(x / math.hypot(0.7, sigma) + 0.3)
    return free(x, sigma) + SHARE * (conditional - free(x, sigma))


class Pair:
    """A denoiser that gives both parts, and counts calls."""

    calls = 0

    def __call__(self, x: Reals, sigma: float) -> Reals:
        self.calls += 1
        return guided(x, sigma)

    def split(self, x: Reals, sigma: float) -> tuple[Reals, Reals]:
        return self(x, sigma), free(x, sigma)


def waves(number: int) -> Reals:
    return np.sin(1.3 * np.arange(4) + 0.7 * number)


def run(name: str, eta: float | None = None) -> Reals:
    options = SamplerOptions(eta=eta, s_noise=0.9)
    x = START * SIGMAS[0]
    *_, last = find_sampler(name).run(Pair(), x, SIGMAS, NumpyAlgebra(), waves, options)
    return last.x


def split_levels(high: float, low: float, eta: float) -> tuple[float, float]:
    up = eta * math.sqrt(low**2 * (high**2 - low**2) / high**2)
    return math.sqrt(low**2 - up**2), up


def alpha(sigma: float) -> float:
    return 1.0 / math.sqrt(1.0 + sigma**2)


def test_euler_and_ddim_are_the_papers_algorithm_2() -> None:
    """Chung et al. 2024, in their variables: √ᾱ'·x₀(guided) + √(1 - ᾱ')·ε(without the prompt)."""
    x = START * SIGMAS[0] * alpha(SIGMAS[0])
    for high, low in itertools.pairwise(SIGMAS):
        a, b = alpha(high), alpha(low)
        epsilon = (x - a * free(x / a, high)) / math.sqrt(1 - a**2)
        x = b * guided(x / a, high) + math.sqrt(1 - b**2) * epsilon
    np.testing.assert_allclose(run("euler_cfg_pp"), x, rtol=1e-11)
    np.testing.assert_allclose(run("euler_cfg_pp", 1.0), x, rtol=1e-11)
    np.testing.assert_allclose(run("ddim_cfg_pp"), x, rtol=1e-11)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_euler_a_with_cfg_pp(eta: float) -> None:
    x = START * SIGMAS[0]
    for i, (high, low) in enumerate(itertools.pairwise(SIGMAS)):
        down, up = split_levels(high, low, eta)
        x = guided(x, high) + down * (x - free(x, high)) / high + 0.9 * up * waves(i)
    np.testing.assert_allclose(run("euler_a_cfg_pp", eta), x, rtol=1e-11)
    np.testing.assert_allclose(run("ddim_cfg_pp", eta), x, rtol=1e-11)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_dpmpp_2s_a_with_cfg_pp(eta: float) -> None:
    """As ComfyUI has it: x moved by D - U before both of the step's exponential moves."""
    x = START * SIGMAS[0]
    for i, (high, low) in enumerate(itertools.pairwise(SIGMAS)):
        down, up = split_levels(high, low, eta)
        d, u = guided(x, high), free(x, high)
        if down == 0:
            x = d + down * (x - u) / high
        else:
            h = math.log(high / down)
            s = high * math.exp(-h / 2)
            x2 = s / high * (x + d - u) - math.expm1(-h / 2) * d
            x = down / high * (x + d - u) - math.expm1(-h) * guided(x2, s)
        x = x + 0.9 * up * waves(i)
    np.testing.assert_allclose(run("dpmpp_2s_a_cfg_pp", eta), x, rtol=1e-11)


def test_dpmpp_2m_with_cfg_pp() -> None:
    """As ComfyUI has it."""
    x = START * SIGMAS[0]
    old, last = None, 0.0
    for high, low in itertools.pairwise(SIGMAS):
        d, u = guided(x, high), free(x, high)
        if low == 0:
            x = d
            break
        h = math.log(high / low)
        mix = -math.exp(-h) * u
        if old is not None:
            mix = mix - math.expm1(-h) / (2 * last / h) * (d - old)
        x = d + mix + math.exp(-h) * x
        old, last = u, h
    np.testing.assert_allclose(run("dpmpp_2m_cfg_pp"), x, rtol=1e-11)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_res_multistep_with_cfg_pp(eta: float) -> None:
    """As ComfyUI has it: x moved by D - U, then the line through two U's with φ₁ and φ₂."""
    x = START * SIGMAS[0]
    old, last = None, 0.0
    for i, (high, low) in enumerate(itertools.pairwise(SIGMAS)):
        down, up = split_levels(high, low, eta)
        d, u = guided(x, high), free(x, high)
        if low == 0:
            x = d
            break
        h = math.log(high / down)
        if old is None:
            x = d + down * (x - u) / high
        else:
            phi_1 = (math.exp(-h) - 1) / -h
            phi_2 = (phi_1 - 1) / -h
            c2 = -last / h
            x = math.exp(-h) * (x + d - u)
            x = x + h * ((phi_1 - phi_2 / c2) * u + phi_2 / c2 * old)
        x = x + 0.9 * up * waves(i)
        old, last = u, h
    np.testing.assert_allclose(run("res_multistep_a_cfg_pp", eta), x, rtol=1e-10)
    if eta == 0.0:
        np.testing.assert_array_equal(run("res_multistep_cfg_pp"), run("res_multistep_a_cfg_pp", 0))


@pytest.mark.parametrize(
    ("name", "plain"),
    [
        ("euler_cfg_pp", "euler"),
        ("euler_a_cfg_pp", "euler_a"),
        ("ddim_cfg_pp", "ddim"),
        ("dpmpp_2m_cfg_pp", "dpmpp_2m"),
        ("dpmpp_2s_a_cfg_pp", "dpmpp_2s_a"),
        ("res_multistep_cfg_pp", "res_multistep"),
        ("res_multistep_a_cfg_pp", "res_multistep_a"),
    ],
)
def test_without_guidance_it_is_the_sampler_it_comes_from(name: str, plain: str) -> None:
    ends = []
    for each in (name, plain):
        x = START * SIGMAS[0]
        options = SamplerOptions()
        *_, last = find_sampler(each).run(free, x, SIGMAS, NumpyAlgebra(), waves, options)
        ends.append(last.x)
    np.testing.assert_allclose(*ends, rtol=1e-11)


def test_guidance_is_divided() -> None:
    """By 12.5, so that 7.5 is the paper's λ = 0.6."""
    assert isinstance(Pair(), SplitDenoiser)
    assert not isinstance(free, SplitDenoiser)
    for sampler in SAMPLERS:
        expected = 0.6 if sampler.name.endswith("_cfg_pp") else 7.5
        assert sampler.guidance_share * 7.5 == pytest.approx(expected)


@pytest.mark.parametrize(("name", "calls"), [("euler_cfg_pp", 9), ("dpmpp_2s_a_cfg_pp", 17)])
def test_both_parts_cost_one_call(name: str, calls: int) -> None:
    pair = Pair()
    x = START * SIGMAS[0]
    list(find_sampler(name).run(pair, x, SIGMAS, NumpyAlgebra(), waves, SamplerOptions()))
    assert pair.calls == calls
