"""Samplers that diffusers lacks or has otherwise, against the papers' formulas in float64."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray

from diffusion.samplers import BrownianPath, NumpyAlgebra, SamplerOptions, find_sampler

Reals = NDArray[np.float64]
START = np.array([1.0, -2.0, 0.5, 3.0])
SIGMAS = np.append(np.linspace(2.4, 0.3, 9) ** 3, 0.0)
ETAS = pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])


def curved(x: Reals, sigma: float) -> Reals:
    """A denoiser that is not linear."""
    return np.tanh(x / math.sqrt(1.0 + sigma**2)) + 0.1 * math.sin(sigma)


def waves(number: int) -> Reals:
    return np.sin(1.3 * np.arange(4) + 0.7 * number)


def run(name: str, eta: float | None = None, s_noise: float = 1.0) -> Reals:
    options = SamplerOptions(eta=eta, s_noise=s_noise)
    x = START * SIGMAS[0]
    *_, last = find_sampler(name).run(curved, x, SIGMAS, NumpyAlgebra(), waves, options)
    return last.x


def level(lam: float) -> float:
    return math.exp(-lam)


@ETAS
def test_dpmpp_2s_a_is_the_papers(eta: float) -> None:
    """Lu et al. 2022, arXiv 2211.01095, algorithm 1 with r = 1/2, to the level below the noise."""
    x = START * SIGMAS[0]
    for i, (high, low) in enumerate(itertools.pairwise(SIGMAS)):
        up = eta * math.sqrt(low**2 * (high**2 - low**2) / high**2)
        down = math.sqrt(low**2 - up**2)
        d = curved(x, high)
        if low > 0:
            h = math.log(high) - math.log(down)
            s = -math.log(high) + h / 2
            u = level(s) / high * x - math.expm1(-h / 2) * d
            x = down / high * x - math.expm1(-h) * curved(u, level(s))
            x = x + 0.9 * up * waves(i)
        else:
            x = d
    np.testing.assert_allclose(run("dpmpp_2s_a", eta, 0.9), x, rtol=1e-11)


@ETAS
def test_dpmpp_sde_is_the_papers(eta: float) -> None:
    """The two-call form for the SDE as published with k-diffusion's sample_dpmpp_sde, r = 1/2."""
    path = BrownianPath(NumpyAlgebra(), waves)

    def split(high: float, low: float) -> tuple[float, float]:
        up = min(low, eta * math.sqrt(low**2 * (high**2 - low**2) / high**2))
        return math.sqrt(low**2 - up**2), up

    x = START * SIGMAS[0]
    for high, low in itertools.pairwise(SIGMAS):
        d = curved(x, high)
        if low > 0:
            middle = level((-math.log(high) - math.log(low)) / 2)
            down, up = split(high, middle)
            u = down / high * x - math.expm1(math.log(down / high)) * d
            u = u + 0.9 * up * path(high, middle)
            d = curved(u, middle)
            down, up = split(high, low)
            x = down / high * x - math.expm1(math.log(down / high)) * d
            x = x + 0.9 * up * path(high, low)
        else:
            x = d
    np.testing.assert_allclose(run("dpmpp_sde", eta, 0.9), x, rtol=1e-11)


@ETAS
@pytest.mark.parametrize("name", ["dpmpp_2m_sde", "dpmpp_2m_sde_heun", "dpmpp_3m_sde"])
def test_multistep_sde_is_the_papers(name: str, eta: float) -> None:
    """Lu et al. 2022, section 6, with η as k-diffusion has it: differences, then φ functions."""
    path = BrownianPath(NumpyAlgebra(), waves)
    x = START * SIGMAS[0]
    seen: list[Reals] = []
    widths: list[float] = []
    for high, low in itertools.pairwise(SIGMAS):
        seen.append(curved(x, high))
        if low == 0:
            x = seen[-1]
            break
        h = math.log(high / low)
        g = h * (1 + eta)
        moved = math.exp(-g) * x + (1 - math.exp(-g)) * seen[-1]
        phi_2 = (math.exp(-g) - 1) / g + 1
        phi_3 = phi_2 / g - 0.5
        if len(seen) > 1:
            r0 = widths[-1] / h
            first = (seen[-1] - seen[-2]) / r0
            if name == "dpmpp_2m_sde":
                moved = moved + 0.5 * (1 - math.exp(-g)) * first
            elif name == "dpmpp_2m_sde_heun" or len(seen) == 2:
                moved = moved + phi_2 * first
            else:
                r1 = widths[-2] / h
                before = (seen[-2] - seen[-3]) / r1
                d1 = first + (first - before) * r0 / (r0 + r1)
                d2 = (first - before) / (r0 + r1)
                moved = moved + phi_2 * d1 - phi_3 * d2
        spread = low * math.sqrt(1 - math.exp(-2 * h * eta))
        x = moved + (0.9 * spread * path(high, low) if eta else 0.0)
        widths.append(h)
    np.testing.assert_allclose(run(name, eta, 0.9), x, rtol=1e-11)


def test_res_multistep_is_the_papers() -> None:
    """Zhang et al. 2023, arXiv 2308.02157: φ₁ and φ₂ with the last estimate at c₂ = -last h / h."""
    x = START * SIGMAS[0]
    before: Reals | None = None
    last = 0.0
    for high, low in itertools.pairwise(SIGMAS):
        d = curved(x, high)
        if low == 0:
            x = d
            break
        h = math.log(high / low)
        phi_1 = (math.exp(-h) - 1) / -h
        phi_2 = (phi_1 - 1) / -h
        if before is None:
            x = math.exp(-h) * x + h * phi_1 * d
        else:
            c2 = -last / h
            x = math.exp(-h) * x + h * ((phi_1 - phi_2 / c2) * d + phi_2 / c2 * before)
        before, last = d, h
    np.testing.assert_allclose(run("res_multistep"), x, rtol=1e-11)


def test_ipndm_is_the_papers() -> None:
    """Zhang and Chen 2022, arXiv 2204.13902, equations for iPNDM: orders 1 to 4, then 4."""
    x = START * SIGMAS[0]
    e: list[Reals] = []
    for high, low in itertools.pairwise(SIGMAS):
        d = curved(x, high)
        e.append((x - d) / high)
        if len(e) == 1:
            mean = e[-1]
        elif len(e) == 2:
            mean = (3 * e[-1] - e[-2]) / 2
        elif len(e) == 3:
            mean = (23 * e[-1] - 16 * e[-2] + 5 * e[-3]) / 12
        else:
            mean = (55 * e[-1] - 59 * e[-2] + 37 * e[-3] - 9 * e[-4]) / 24
        x = x + (low - high) * mean if low > 0 else d
    np.testing.assert_allclose(run("ipndm"), x, rtol=1e-11)


def test_heunpp2_is_the_published_rule() -> None:
    """Carzit/sd-webui-samplers-scheduler: Euler ahead twice, slopes weighed by σ / (3 σ₀)."""
    x = START * SIGMAS[0]
    for i in range(9):
        s, s1 = SIGMAS[i], SIGMAS[i + 1]
        d1 = (x - curved(x, s)) / s
        if i == 8:
            x = curved(x, s)
            break
        x1 = x + (s1 - s) * d1
        d2 = (x1 - curved(x1, s1)) / s1
        if i == 7:
            w2 = s1 / (2 * SIGMAS[0])
            mean = (1 - w2) * d1 + w2 * d2
        else:
            s2 = SIGMAS[i + 2]
            x2 = x1 + (s2 - s1) * d2
            d3 = (x2 - curved(x2, s2)) / s2
            w2, w3 = s1 / (3 * SIGMAS[0]), s2 / (3 * SIGMAS[0])
            mean = (1 - w2 - w3) * d1 + w2 * d2 + w3 * d3
        x = x + (s1 - s) * mean
    np.testing.assert_allclose(run("heunpp2"), x, rtol=1e-11)


@ETAS
def test_lcm_draws_its_share_anew(eta: float) -> None:
    """Luo et al. 2023, arXiv 2310.04378, algorithm 3: x₀ and noise; with η the rest is ε's."""
    x = START * SIGMAS[0]
    for i, (high, low) in enumerate(itertools.pairwise(SIGMAS)):
        d = curved(x, high)
        epsilon = (x - d) / high
        x = d + low * (math.sqrt(1 - eta**2) * epsilon + eta * 0.9 * waves(i))
    np.testing.assert_allclose(run("lcm", eta, 0.9), x, rtol=1e-11)


@pytest.mark.parametrize("order", [1, 2, 3, 4, None])
def test_ipndm_v_is_adams_and_bashforths_for_uneven_steps(order: int | None) -> None:
    """The slopes' polynomial through up to four levels, integrated by Gauss's rule."""
    places, weights = np.polynomial.legendre.leggauss(4)
    x = START * SIGMAS[0]
    e: list[Reals] = []
    for i, (high, low) in enumerate(itertools.pairwise(SIGMAS)):
        d = curved(x, high)
        e.append((x - d) / high)
        nodes = SIGMAS[: i + 1][-(order or 4) :]
        at = (high + low) / 2 + (low - high) / 2 * places
        fit = np.polyfit(nodes - high, np.stack(e[-len(nodes) :]), len(nodes) - 1)
        values = np.stack([np.polyval(column, at - high) for column in fit.T])
        mean = values @ weights / 2
        x = x + (low - high) * mean if low > 0 else d
    options = SamplerOptions(order=order)
    start = START * SIGMAS[0]
    *_, last = find_sampler("ipndm_v").run(curved, start, SIGMAS, NumpyAlgebra(), waves, options)
    np.testing.assert_allclose(last.x, x, rtol=1e-9)


@ETAS
def test_tcd_goes_to_a_share_of_the_time_and_back_up(eta: float) -> None:
    """Zheng et al. 2024, arXiv 2402.19159, algorithm 4, in their variables; time is σ here."""
    a = 1.0 / np.sqrt(1.0 + SIGMAS**2)
    x = START * SIGMAS[0] * a[0]
    for i, (high, low) in enumerate(itertools.pairwise(SIGMAS)):
        d = curved(x / a[i], high)
        epsilon = (x - a[i] * d) / math.sqrt(1 - a[i] ** 2)
        s = (1 - eta) * low
        a_s = 1.0 / math.sqrt(1.0 + s**2)
        x = a_s * d + math.sqrt(1 - a_s**2) * epsilon
        share = a[i + 1] / a_s
        x = share * x + 0.9 * math.sqrt(max(0.0, 1 - share**2)) * waves(i)
    np.testing.assert_allclose(run("tcd", eta, 0.9), x, rtol=1e-11)


def test_order_lowers_what_multistep_samplers_look_back() -> None:
    """Order 1 is Euler's for each; and DEIS of order 2 is another than of 3."""
    x = START * SIGMAS[0]
    for high, low in itertools.pairwise(SIGMAS):
        d = curved(x, high)
        x = d + low / high * (x - d)
    ends = {}
    for name in ("lms", "deis", "ipndm", "ipndm_v", "unipc_bh2", "unipc"):
        for order in (1, 2, 3):
            options = SamplerOptions(order=order)
            start = START * SIGMAS[0]
            sampler = find_sampler(name).run
            *_, last = sampler(curved, start, SIGMAS, NumpyAlgebra(), waves, options)
            ends[name, order] = last.x
    for name in ("lms", "deis", "ipndm", "ipndm_v"):
        np.testing.assert_allclose(ends[name, 1], x, rtol=1e-11)
        assert not np.allclose(ends[name, 2], ends[name, 3], rtol=1e-5)
    np.testing.assert_array_equal(ends["deis", 2], run("deis"))
    np.testing.assert_array_equal(ends["unipc_bh2", 3], run("unipc_bh2"))
