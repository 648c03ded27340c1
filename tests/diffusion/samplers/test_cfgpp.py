"""CFG++ against its paper's formulas, and without guidance against the samplers it comes from."""

import itertools
import math

import numpy as np
import pytest

from diffusion.samplers import SAMPLERS, SamplerOptions, SplitDenoiser
from tests.diffusion.samplers.stand_ins import (
    SIGMAS,
    START,
    Reals,
    run_sampler,
    split_level,
    wave_noise,
)
from tests.diffusion.samplers.stand_ins import denoise_curved as denoise_unguided

SHARE = 0.6


def denoise_guided(x: Reals, sigma: float) -> Reals:
    """Return an estimate with a guidance of ``SHARE``."""
    conditional, unguided = (
        0.9 * np.tanh(x / math.hypot(0.7, sigma) + 0.3),
        denoise_unguided(x, sigma),
    )
    return unguided + SHARE * (conditional - unguided)


class CountingDenoiser:
    """A denoiser that gives both parts, and counts calls."""

    calls = 0

    def __call__(self, x: Reals, sigma: float) -> Reals:
        self.calls += 1
        return denoise_guided(x, sigma)

    def split(self, x: Reals, sigma: float) -> tuple[Reals, Reals]:
        return self(x, sigma), denoise_unguided(x, sigma)


def end_of(name: str, eta: float | None = None) -> Reals:
    """Return x at the end of a guided run."""
    options = SamplerOptions(eta=eta, s_noise=0.9)
    return run_sampler(name, SIGMAS, options, CountingDenoiser())[-1].x


def alpha(sigma: float) -> float:
    return 1.0 / math.sqrt(1.0 + sigma**2)


def test_euler_and_ddim_are_the_papers_algorithm_2() -> None:
    """Chung et al. 2024, in their variables: √ᾱ'·x₀(guided) + √(1 - ᾱ')·ε(without the prompt)."""
    x = START * SIGMAS[0] * alpha(SIGMAS[0])
    for high, low in itertools.pairwise(SIGMAS):
        a, b = alpha(high), alpha(low)
        epsilon = (x - a * denoise_unguided(x / a, high)) / math.sqrt(1 - a**2)
        x = b * denoise_guided(x / a, high) + math.sqrt(1 - b**2) * epsilon
    np.testing.assert_allclose(end_of("euler_cfg_pp"), x, rtol=1e-11)
    np.testing.assert_allclose(end_of("euler_cfg_pp", 1.0), x, rtol=1e-11)
    np.testing.assert_allclose(end_of("ddim_cfg_pp"), x, rtol=1e-11)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_euler_a_with_cfg_pp(eta: float) -> None:
    x = START * SIGMAS[0]
    for i, (high, low) in enumerate(itertools.pairwise(SIGMAS)):
        down, up = split_level(high, low, eta)
        x = (
            denoise_guided(x, high)
            + down * (x - denoise_unguided(x, high)) / high
            + 0.9 * up * wave_noise(i)
        )
    np.testing.assert_allclose(end_of("euler_a_cfg_pp", eta), x, rtol=1e-11)
    np.testing.assert_allclose(end_of("ddim_cfg_pp", eta), x, rtol=1e-11)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_dpmpp_2s_a_with_cfg_pp(eta: float) -> None:
    """As ComfyUI has it: x moved by D - U before both of the step's exponential moves."""
    x = START * SIGMAS[0]
    for i, (high, low) in enumerate(itertools.pairwise(SIGMAS)):
        down, up = split_level(high, low, eta)
        d, u = denoise_guided(x, high), denoise_unguided(x, high)
        if down == 0:
            x = d + down * (x - u) / high
        else:
            h = math.log(high / down)
            s = high * math.exp(-h / 2)
            x2 = s / high * (x + d - u) - math.expm1(-h / 2) * d
            x = down / high * (x + d - u) - math.expm1(-h) * denoise_guided(x2, s)
        x = x + 0.9 * up * wave_noise(i)
    np.testing.assert_allclose(end_of("dpmpp_2s_a_cfg_pp", eta), x, rtol=1e-11)


def test_dpmpp_2m_with_cfg_pp() -> None:
    """As ComfyUI has it."""
    x = START * SIGMAS[0]
    old, last = None, 0.0
    for high, low in itertools.pairwise(SIGMAS):
        d, u = denoise_guided(x, high), denoise_unguided(x, high)
        if low == 0:
            x = d
            break
        h = math.log(high / low)
        mix = -math.exp(-h) * u
        if old is not None:
            mix = mix - math.expm1(-h) / (2 * last / h) * (d - old)
        x = d + mix + math.exp(-h) * x
        old, last = u, h
    np.testing.assert_allclose(end_of("dpmpp_2m_cfg_pp"), x, rtol=1e-11)


@pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])
def test_res_multistep_with_cfg_pp(eta: float) -> None:
    """As ComfyUI has it: x moved by D - U, then the line through two U's with φ₁ and φ₂."""
    x = START * SIGMAS[0]
    old, last = None, 0.0
    for i, (high, low) in enumerate(itertools.pairwise(SIGMAS)):
        down, up = split_level(high, low, eta)
        d, u = denoise_guided(x, high), denoise_unguided(x, high)
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
        x = x + 0.9 * up * wave_noise(i)
        old, last = u, h
    np.testing.assert_allclose(end_of("res_multistep_a_cfg_pp", eta), x, rtol=1e-10)
    if eta == 0.0:
        np.testing.assert_array_equal(
            end_of("res_multistep_cfg_pp"), end_of("res_multistep_a_cfg_pp", 0)
        )


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
    ends = [run_sampler(each)[-1].x for each in (name, plain)]
    np.testing.assert_allclose(*ends, rtol=1e-11)


def test_guidance_is_divided() -> None:
    """By 12.5, so that 7.5 is the paper's λ = 0.6."""
    assert isinstance(CountingDenoiser(), SplitDenoiser)
    assert not isinstance(denoise_unguided, SplitDenoiser)
    for sampler in SAMPLERS:
        expected = 0.6 if sampler.name.endswith("_cfg_pp") else 7.5
        assert sampler.guidance_share * 7.5 == pytest.approx(expected)


@pytest.mark.parametrize(("name", "calls"), [("euler_cfg_pp", 9), ("dpmpp_2s_a_cfg_pp", 17)])
def test_both_parts_cost_one_call(name: str, calls: int) -> None:
    denoise = CountingDenoiser()
    run_sampler(name, denoise=denoise)
    assert denoise.calls == calls
