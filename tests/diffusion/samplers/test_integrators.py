"""Samplers of ComfyUI and stable-diffusion.cpp, against their published formulas in float64."""

import itertools
import math

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.integrate import quad

from diffusion.samplers import BrownianPath, NumpyAlgebra, SamplerOptions, find_sampler
from diffusion.samplers.sa_solver import NOISY

Reals = NDArray[np.float64]
START = np.array([1.0, -2.0, 0.5, 3.0])
SIGMAS = np.append(np.linspace(2.4, 0.3, 9) ** 3, 0.0)
ETAS = pytest.mark.parametrize("eta", [0.0, 0.4, 1.0])


def curved(x: Reals, sigma: float) -> Reals:
    """A denoiser that is not linear."""
    return np.tanh(x / math.sqrt(1.0 + sigma**2)) + 0.1 * math.sin(sigma)


def waves(number: int) -> Reals:
    return np.sin(1.3 * np.arange(4) + 0.7 * number)


def run(name: str, eta: float | None = None, s_noise: float = 1.0, sigmas: Reals = SIGMAS) -> Reals:
    options = SamplerOptions(eta=eta, s_noise=s_noise)
    x = START * sigmas[0]
    *_, last = find_sampler(name).run(curved, x, sigmas, NumpyAlgebra(), waves, options)
    return last.x


def ways(high: float, low: float, eta: float) -> tuple[float, float]:
    """The ancestral level below, and the noise back up."""
    up = eta * math.sqrt(low**2 * (high**2 - low**2) / high**2)
    return math.sqrt(low**2 - up**2), up


def phi(k: int, z: float) -> float:
    """φₖ by its series, Σ zⁿ/(n + k)!; the widths here are small enough for it."""
    return sum(z**n / math.factorial(n + k) for n in range(60))


def test_gradient_estimation_is_the_papers() -> None:
    """Permenter and Yuan 2023, arXiv 2306.04848: ε̄ = γ εₜ + (1 - γ) εₜ₊₁ with γ = 2."""
    x = START * SIGMAS[0]
    before: Reals | None = None
    for high, low in itertools.pairwise(SIGMAS):
        d = curved(x, high)
        e = (x - d) / high
        mean = e if before is None else 2 * e - before
        x = x - (high - low) * mean if low > 0 else d
        before = e
    np.testing.assert_allclose(run("gradient_estimation"), x, rtol=1e-11)


def test_dpmpp_2m_v2_is_the_published_rule() -> None:
    """stable-diffusion.cpp's dpm++2mv2: r = wider / narrower, and the mean width for D's share."""
    x = START * SIGMAS[0]
    old, last = None, 0.0
    for high, low in itertools.pairwise(SIGMAS):
        d = curved(x, high)
        if low == 0:
            x = d
            break
        h = math.log(high) - math.log(low)
        if old is None:
            x = low / high * x - (math.exp(-h) - 1) * d
        else:
            r = max(h, last) / min(h, last)
            line = (1 + 1 / (2 * r)) * d - 1 / (2 * r) * old
            x = low / high * x - (math.exp(-(h + last) / 2) - 1) * line
        old, last = d, h
    np.testing.assert_allclose(run("dpmpp_2m_v2"), x, rtol=1e-11)
    even = np.geomspace(10.0, 0.1, 9)
    np.testing.assert_allclose(run("dpmpp_2m_v2", sigmas=even), run("dpmpp_2m", sigmas=even), 1e-11)


@pytest.mark.parametrize("end", [9, 8])
def test_dpmpp_2s_is_the_papers(end: int) -> None:
    """Lu et al. 2022, arXiv 2211.01095, algorithm 1, on pairs of steps; in α and σ as there."""
    sigmas = SIGMAS[: end + 1] if end < 9 else SIGMAS
    alphas = 1.0 / np.sqrt(1.0 + sigmas**2)
    deviations = sigmas * alphas
    x = START * sigmas[0] * alphas[0]
    place = 0
    while place < end:
        a, s = alphas[place], deviations[place]
        first = curved(x / a, sigmas[place])
        if place + 1 == end:
            rest = deviations[end] / s
            x = rest * x + (alphas[end] - a * rest) * first
            break
        lams = [math.log(1 / max(each, 1e-300)) for each in sigmas[place : place + 3]]
        h, r = lams[2] - lams[0], (lams[1] - lams[0]) / (lams[2] - lams[0])
        mid, low = place + 1, place + 2
        u = deviations[mid] / s * x - alphas[mid] * math.expm1(-r * h) * first
        ahead = curved(u / alphas[mid], sigmas[mid])
        if sigmas[low] == 0:
            x = ahead
        else:
            d = (1 - 1 / (2 * r)) * first + 1 / (2 * r) * ahead
            x = deviations[low] / s * x - alphas[low] * math.expm1(-h) * d
        place += 2
    np.testing.assert_allclose(run("dpmpp_2s", sigmas=sigmas), x / alphas[end], rtol=1e-11)


@ETAS
def test_res_2s_is_the_papers(eta: float) -> None:
    """Zhang et al. 2023, arXiv 2308.02157: a₂₁ = c₂φ₁, b₂ = φ₂/c₂, b₁ = φ₁ - b₂ with c₂ = 1/2."""
    x = START * SIGMAS[0]
    for i, (high, low) in enumerate(itertools.pairwise(SIGMAS)):
        down, up = ways(high, low, eta)
        d = curved(x, high)
        if low == 0:
            x = d
            break
        h = math.log(high / down)
        u = x + h / 2 * phi(1, -h / 2) * (d - x)
        ahead = curved(u, high * math.exp(-h / 2))
        b2 = phi(2, -h) / 0.5
        b1 = phi(1, -h) - b2
        x = x + h * (b1 * (d - x) + b2 * (ahead - x)) + 0.9 * up * waves(i)
    np.testing.assert_allclose(run("res_2s", eta, 0.9), x, rtol=1e-10)


@ETAS
def test_res_multistep_a_is_the_published_rule(eta: float) -> None:
    """ComfyUI's res_multistep_ancestral: c₂ from the last step's way down."""
    x = START * SIGMAS[0]
    old, c_last = None, 0.0
    for i, (high, low) in enumerate(itertools.pairwise(SIGMAS)):
        down, up = ways(high, low, eta)
        d = curved(x, high)
        if low == 0:
            x = d
            break
        h = math.log(high / down)
        if old is None:
            x = x + (down - high) * (x - d) / high
        else:
            c2 = -c_last / h
            b1, b2 = phi(1, -h) - phi(2, -h) / c2, phi(2, -h) / c2
            x = math.exp(-h) * x + h * (b1 * d + b2 * old)
        x = x + 0.9 * up * waves(i)
        old, c_last = d, h
    np.testing.assert_allclose(run("res_multistep_a", eta, 0.9), x, rtol=1e-10)
    if eta == 0.0:
        np.testing.assert_array_equal(run("res_multistep"), run("res_multistep_a", 0.0))


@ETAS
@pytest.mark.parametrize("name", ["seeds_2", "seeds_3"])
def test_seeds_is_the_papers(name: str, eta: float) -> None:
    """Gonzalez et al. 2023, arXiv 2305.14267, data prediction, as ComfyUI has both."""
    path = BrownianPath(NumpyAlgebra(), waves)
    x = START * SIGMAS[0]
    for high, low in itertools.pairwise(SIGMAS):
        d = curved(x, high)
        if low == 0:
            x = d
            break
        h = math.log(high / low)
        g = h * (1 + eta)

        def kept(share: float, g: float = g, x: Reals = x) -> Reals:
            return math.exp(-share * g) * x

        def apart(share: float, h: float = h) -> float:
            return math.sqrt(1 - math.exp(-2 * share * h * eta))

        if name == "seeds_2":
            middle = math.sqrt(high * low)
            noise = apart(0.5) * path(high, middle) if eta else 0.0
            u = kept(0.5) - math.expm1(-g / 2) * d + 0.9 * middle * noise
            if eta:
                noise = math.exp(-h * eta / 2) * noise + apart(0.5) * path(middle, low)
            x = kept(1.0) - math.expm1(-g) * curved(u, middle) + 0.9 * low * noise
            continue
        s1, s2 = high * math.exp(-h / 3), high * math.exp(-2 * h / 3)
        noise = apart(1 / 3) * path(high, s1) if eta else 0.0
        u = kept(1 / 3) - math.expm1(-g / 3) * d + 0.9 * s1 * noise
        d2 = curved(u, s1)
        a32 = 2 * (2 / 3 * g) * phi(2, -2 / 3 * g)
        a31 = (2 / 3 * g) * phi(1, -2 / 3 * g) - a32
        if eta:
            noise = math.exp(-h * eta / 3) * noise + apart(1 / 3) * path(s1, s2)
        u = kept(2 / 3) + a31 * d + a32 * d2 + 0.9 * s2 * noise
        d3 = curved(u, s2)
        b3 = g * phi(2, -g) / (2 / 3)
        b1 = g * phi(1, -g) - b3
        if eta:
            noise = math.exp(-h * eta / 3) * noise + apart(1 / 3) * path(s2, low)
        x = kept(1.0) + b1 * d + b3 * d3 + 0.9 * low * noise
    np.testing.assert_allclose(run(name, eta, 0.9), x, rtol=1e-10)


def test_er_sde_is_the_papers() -> None:
    """Cui et al. 2023, arXiv 2309.06169, order 3, with the authors' φ and sums of 200 parts."""

    def scale(sigma: float) -> float:
        return float(sigma * (math.exp(sigma**0.3) + 10.0))

    path = BrownianPath(NumpyAlgebra(), waves)
    x = START * SIGMAS[0]
    seen: list[Reals] = []
    firsts: list[Reals] = []
    for i, (high, low) in enumerate(itertools.pairwise(SIGMAS)):
        seen.append(curved(x, high))
        if low == 0:
            x = seen[-1]
            break
        r = scale(low) / scale(high)
        moved = r * x + (1 - r) * seen[-1]
        part = (high - low) / 200
        points = [low + k * part for k in range(200)]
        if i >= 1:
            firsts.append((seen[-1] - seen[-2]) / (high - SIGMAS[i - 1]))
            total = sum(part / scale(point) for point in points)
            moved = moved + (low - high + total * scale(low)) * firsts[-1]
        if i >= 2:
            second = 2 * (firsts[-1] - firsts[-2]) / (high - SIGMAS[i - 2])
            total = sum((point - high) * part / scale(point) for point in points)
            moved = moved + ((low - high) ** 2 / 2 + total * scale(low)) * second
        x = moved + 0.9 * math.sqrt(low**2 - (high * r) ** 2) * path(high, low)
    np.testing.assert_allclose(run("er_sde", s_noise=0.9), x, rtol=1e-10)


def adams(nodes: list[float], start: float, end: float, tau: float) -> list[float]:
    """∫ c·e^(-c(end - λ)) of each Lagrange polynomial over λ."""
    rate = 1 + tau**2

    def grown(at: float, k: int) -> float:
        others = [other for j, other in enumerate(nodes) if j != k]
        basis = math.prod((at - other) / (nodes[k] - other) for other in others)
        return rate * math.exp(-rate * (end - at)) * basis

    return [quad(grown, start, end, (k,), epsabs=0, epsrel=1e-12)[0] for k in range(len(nodes))]


@ETAS
@pytest.mark.parametrize("count", [1, 2, 3, 9])
def test_sa_solver_pece_is_the_papers(eta: float, count: int) -> None:
    """Xue et al. 2023, arXiv 2309.05019, algorithm 1, PECE; orders as ComfyUI chooses them."""
    sigmas = np.append(np.linspace(2.4, 0.3, count) ** 3, 0.0)
    lams = [-math.log(sigma) for sigma in sigmas[:-1]]
    x = corrected = START * sigmas[0]
    seen: list[Reals] = []
    tau, noise = 0.0, np.zeros(4)
    for i in range(count):
        seen.append(curved(x, sigmas[i]))
        if i > 0:
            order = min(4, len(seen), count - i)
            h = lams[i] - lams[i - 1]
            weights = adams(lams[i - order + 1 : i + 1], lams[i - 1], lams[i], tau)
            rest = sigmas[i] / sigmas[i - 1] * math.exp(-(tau**2) * h)
            corrected = rest * corrected + noise
            corrected = corrected + sum(w * d for w, d in zip(weights, seen[-order:], strict=True))
            seen[-1] = curved(corrected, sigmas[i])
        if i == count - 1:
            x = seen[-1]
            break
        tau = eta if NOISY[0] <= sigmas[i + 1] <= NOISY[1] else 0.0
        h = lams[i + 1] - lams[i]
        noise = 0.9 * sigmas[i + 1] * math.sqrt(1 - math.exp(-2 * tau**2 * h)) * waves(i)
        order = min(3, len(seen), count - 1 - i)
        weights = adams(lams[i - order + 1 : i + 1], lams[i], lams[i + 1], tau)
        x = sigmas[i + 1] / sigmas[i] * math.exp(-(tau**2) * h) * corrected + noise
        x = x + sum(w * d for w, d in zip(weights, seen[-order:], strict=True))
    np.testing.assert_allclose(run("sa_solver_pece", eta, 0.9, sigmas), x, rtol=1e-9)
