"""Published formulas of samplers that draw noise at each step, line by line in float64.

Each takes the levels and the options, η among them, and returns x at the end of a run of
``denoise_curved``. All levels end in 0.
"""

import itertools
import math

import numpy as np
from scipy.integrate import quad

from diffusion.samplers import BrownianPath, NumpyAlgebra, SamplerOptions
from diffusion.samplers.stochastic_adams import NOISY_HIGH, NOISY_LOW
from tests.diffusion.samplers.stand_ins import START, Reals, split_level, wave_noise
from tests.diffusion.samplers.stand_ins import denoise_curved as curved


def phi(k: int, z: float) -> float:
    """φₖ by its series, Σ zⁿ/(n + k)!; the widths here are small enough for it."""
    return sum(z**n / math.factorial(n + k) for n in range(60))


def eta_of(options: SamplerOptions) -> float:
    assert options.eta is not None
    return options.eta


def lcm(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Luo et al. 2023, arXiv 2310.04378, algorithm 3: x₀ and noise; with η the rest is ε's."""
    x, eta = START * sigmas[0], eta_of(options)
    for i, (high, low) in enumerate(itertools.pairwise(sigmas)):
        d = curved(x, high)
        epsilon = (x - d) / high
        x = d + low * (math.sqrt(1 - eta**2) * epsilon + eta * options.s_noise * wave_noise(i))
    return x


def tcd(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Zheng et al. 2024, arXiv 2402.19159, algorithm 4, in their variables; time is σ here."""
    a = 1.0 / np.sqrt(1.0 + sigmas**2)
    x = START * sigmas[0] * a[0]
    for i, (high, low) in enumerate(itertools.pairwise(sigmas)):
        d = curved(x / a[i], high)
        epsilon = (x - a[i] * d) / math.sqrt(1 - a[i] ** 2)
        s = (1 - eta_of(options)) * low
        a_s = 1.0 / math.sqrt(1.0 + s**2)
        x = a_s * d + math.sqrt(1 - a_s**2) * epsilon
        share = a[i + 1] / a_s
        noise = options.s_noise * math.sqrt(max(0.0, 1 - share**2)) * wave_noise(i)
        x = share * x + noise
    return x


def dpmpp_2s_a(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Lu et al. 2022, arXiv 2211.01095, algorithm 1 with r = 1/2, to the level below the noise."""
    x = START * sigmas[0]
    for i, (high, low) in enumerate(itertools.pairwise(sigmas)):
        down, up = split_level(high, low, eta_of(options))
        d = curved(x, high)
        if low == 0:
            return d
        h = math.log(high) - math.log(down)
        middle = math.exp(math.log(high) - h / 2)
        u = middle / high * x - math.expm1(-h / 2) * d
        x = down / high * x - math.expm1(-h) * curved(u, middle)
        x = x + options.s_noise * up * wave_noise(i)
    raise AssertionError


def dpmpp_sde(sigmas: Reals, options: SamplerOptions) -> Reals:
    """k-diffusion's sample_dpmpp_sde: two calls for the SDE, r = 1/2."""
    path = BrownianPath(NumpyAlgebra(), wave_noise)

    def split(high: float, low: float) -> tuple[float, float]:
        up = min(low, split_level(high, low, eta_of(options))[1])
        return math.sqrt(low**2 - up**2), up

    x = START * sigmas[0]
    for high, low in itertools.pairwise(sigmas):
        d = curved(x, high)
        if low == 0:
            return d
        middle = math.exp((math.log(high) + math.log(low)) / 2)
        down, up = split(high, middle)
        u = down / high * x - math.expm1(math.log(down / high)) * d
        u = u + options.s_noise * up * path(high, middle)
        d = curved(u, middle)
        down, up = split(high, low)
        x = down / high * x - math.expm1(math.log(down / high)) * d
        x = x + options.s_noise * up * path(high, low)
    raise AssertionError


def dpmpp_2m_sde(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Lu et al. 2022, section 6, the estimate at the middle of the step."""
    return dpmpp_multistep("midpoint", sigmas, options)


def dpmpp_2m_sde_heun(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Lu et al. 2022, section 6, a line through two estimates."""
    return dpmpp_multistep("line", sigmas, options)


def dpmpp_3m_sde(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Lu et al. 2022, section 6, of third order."""
    return dpmpp_multistep("parabola", sigmas, options)


def dpmpp_multistep(estimate: str, sigmas: Reals, options: SamplerOptions) -> Reals:
    """Lu et al. 2022, section 6, with η as k-diffusion has it: differences, then φ functions."""
    path = BrownianPath(NumpyAlgebra(), wave_noise)
    x, eta = START * sigmas[0], eta_of(options)
    seen: list[Reals] = []
    widths: list[float] = []
    for high, low in itertools.pairwise(sigmas):
        seen.append(curved(x, high))
        if low == 0:
            return seen[-1]
        h = math.log(high / low)
        g = h * (1 + eta)
        x = math.exp(-g) * x + (1 - math.exp(-g)) * seen[-1]
        phi_2 = (math.exp(-g) - 1) / g + 1
        phi_3 = phi_2 / g - 0.5
        if len(seen) > 1:
            r0 = widths[-1] / h
            first = (seen[-1] - seen[-2]) / r0
            if estimate == "midpoint":
                x = x + 0.5 * (1 - math.exp(-g)) * first
            elif estimate == "line" or len(seen) == 2:
                x = x + phi_2 * first
            else:
                r1 = widths[-2] / h
                before = (seen[-2] - seen[-3]) / r1
                d1 = first + (first - before) * r0 / (r0 + r1)
                d2 = (first - before) / (r0 + r1)
                x = x + phi_2 * d1 - phi_3 * d2
        spread = low * math.sqrt(1 - math.exp(-2 * h * eta))
        x = x + (options.s_noise * spread * path(high, low) if eta else 0.0)
        widths.append(h)
    raise AssertionError


def res_2s(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Zhang et al. 2023, arXiv 2308.02157: a₂₁ = c₂φ₁, b₂ = φ₂/c₂, b₁ = φ₁ - b₂ with c₂ = 1/2."""
    x = START * sigmas[0]
    for i, (high, low) in enumerate(itertools.pairwise(sigmas)):
        down, up = split_level(high, low, eta_of(options))
        d = curved(x, high)
        if low == 0:
            return d
        h = math.log(high / down)
        u = x + h / 2 * phi(1, -h / 2) * (d - x)
        ahead = curved(u, high * math.exp(-h / 2))
        b2 = phi(2, -h) / 0.5
        b1 = phi(1, -h) - b2
        x = x + h * (b1 * (d - x) + b2 * (ahead - x)) + options.s_noise * up * wave_noise(i)
    raise AssertionError


def res_multistep_a(sigmas: Reals, options: SamplerOptions) -> Reals:
    """ComfyUI's res_multistep_ancestral: c₂ from the last step's way down."""
    x = START * sigmas[0]
    old, c_last = None, 0.0
    for i, (high, low) in enumerate(itertools.pairwise(sigmas)):
        down, up = split_level(high, low, eta_of(options))
        d = curved(x, high)
        if low == 0:
            return d
        h = math.log(high / down)
        if old is None:
            x = x + (down - high) * (x - d) / high
        else:
            c2 = -c_last / h
            b1, b2 = phi(1, -h) - phi(2, -h) / c2, phi(2, -h) / c2
            x = math.exp(-h) * x + h * (b1 * d + b2 * old)
        x = x + options.s_noise * up * wave_noise(i)
        old, c_last = d, h
    raise AssertionError


def seeds_2(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Gonzalez et al. 2023, arXiv 2305.14267, data prediction, as ComfyUI has it."""
    path = BrownianPath(NumpyAlgebra(), wave_noise)
    x, eta, s_noise = START * sigmas[0], eta_of(options), options.s_noise
    for high, low in itertools.pairwise(sigmas):
        d = curved(x, high)
        if low == 0:
            return d
        h = math.log(high / low)
        g = h * (1 + eta)
        spread = math.sqrt(1 - math.exp(-h * eta))
        middle = math.sqrt(high * low)
        noise = spread * path(high, middle) if eta else np.zeros(4)
        u = math.exp(-g / 2) * x - math.expm1(-g / 2) * d + s_noise * middle * noise
        if eta:
            noise = math.exp(-h * eta / 2) * noise + spread * path(middle, low)
        x = math.exp(-g) * x - math.expm1(-g) * curved(u, middle) + s_noise * low * noise
    raise AssertionError


def seeds_3(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Gonzalez et al. 2023, arXiv 2305.14267, data prediction, as ComfyUI has it."""
    path = BrownianPath(NumpyAlgebra(), wave_noise)
    x, eta, s_noise = START * sigmas[0], eta_of(options), options.s_noise
    for high, low in itertools.pairwise(sigmas):
        d = curved(x, high)
        if low == 0:
            return d
        h = math.log(high / low)
        g = h * (1 + eta)
        spread = math.sqrt(1 - math.exp(-2 / 3 * h * eta))
        s1, s2 = high * math.exp(-h / 3), high * math.exp(-2 * h / 3)
        noise = spread * path(high, s1) if eta else np.zeros(4)
        u = math.exp(-g / 3) * x - math.expm1(-g / 3) * d + s_noise * s1 * noise
        d2 = curved(u, s1)
        a32 = 2 * (2 / 3 * g) * phi(2, -2 / 3 * g)
        a31 = (2 / 3 * g) * phi(1, -2 / 3 * g) - a32
        if eta:
            noise = math.exp(-h * eta / 3) * noise + spread * path(s1, s2)
        u = math.exp(-2 / 3 * g) * x + a31 * d + a32 * d2 + s_noise * s2 * noise
        d3 = curved(u, s2)
        b3 = g * phi(2, -g) / (2 / 3)
        b1 = g * phi(1, -g) - b3
        if eta:
            noise = math.exp(-h * eta / 3) * noise + spread * path(s2, low)
        x = math.exp(-g) * x + b1 * d + b3 * d3 + s_noise * low * noise
    raise AssertionError


def er_sde(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Cui et al. 2023, arXiv 2309.06169, order 3, with the authors' φ and sums of 200 parts."""

    def scale(sigma: float) -> float:
        return float(sigma * (math.exp(sigma**0.3) + 10.0))

    path = BrownianPath(NumpyAlgebra(), wave_noise)
    x = START * sigmas[0]
    seen: list[Reals] = []
    firsts: list[Reals] = []
    for i, (high, low) in enumerate(itertools.pairwise(sigmas)):
        seen.append(curved(x, high))
        if low == 0:
            return seen[-1]
        r = scale(low) / scale(high)
        x = r * x + (1 - r) * seen[-1]
        part = (high - low) / 200
        points = [low + k * part for k in range(200)]
        if i >= 1:
            firsts.append((seen[-1] - seen[-2]) / (high - sigmas[i - 1]))
            total = sum(part / scale(point) for point in points)
            x = x + (low - high + total * scale(low)) * firsts[-1]
        if i >= 2:
            second = 2 * (firsts[-1] - firsts[-2]) / (high - sigmas[i - 2])
            total = sum((point - high) * part / scale(point) for point in points)
            x = x + ((low - high) ** 2 / 2 + total * scale(low)) * second
        spread = options.s_noise * math.sqrt(low**2 - (high * r) ** 2)
        x = x + spread * path(high, low)
    raise AssertionError


def adams_weights(nodes: list[float], start: float, end: float, tau: float) -> list[float]:
    """∫ c·e^(-c(end - λ)) of each Lagrange polynomial over λ."""
    rate = 1 + tau**2

    def grown_polynomial(point: float, k: int) -> float:
        others = [other for j, other in enumerate(nodes) if j != k]
        basis = math.prod((point - other) / (nodes[k] - other) for other in others)
        return rate * math.exp(-rate * (end - point)) * basis

    return [
        quad(grown_polynomial, start, end, (k,), epsabs=0, epsrel=1e-12)[0]
        for k in range(len(nodes))
    ]


def sa_solver_pece(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Xue et al. 2023, arXiv 2309.05019, algorithm 1, PECE; orders as ComfyUI chooses them."""
    count = len(sigmas) - 1
    lams = [-math.log(sigma) for sigma in sigmas[:-1]]
    x = corrected = START * sigmas[0]
    seen: list[Reals] = []
    tau, noise = 0.0, np.zeros(4)
    for i in range(count):
        seen.append(curved(x, sigmas[i]))
        if i > 0:
            order = min(4, len(seen), count - i)
            h = lams[i] - lams[i - 1]
            weights = adams_weights(lams[i - order + 1 : i + 1], lams[i - 1], lams[i], tau)
            rest = sigmas[i] / sigmas[i - 1] * math.exp(-(tau**2) * h)
            corrected = rest * corrected + noise
            corrected = corrected + sum(w * d for w, d in zip(weights, seen[-order:], strict=True))
            seen[-1] = curved(corrected, sigmas[i])
        if i == count - 1:
            return seen[-1]
        tau = eta_of(options) if NOISY_LOW <= sigmas[i + 1] <= NOISY_HIGH else 0.0
        h = lams[i + 1] - lams[i]
        spread = sigmas[i + 1] * math.sqrt(1 - math.exp(-2 * tau**2 * h))
        noise = options.s_noise * spread * wave_noise(i)
        order = min(3, len(seen), count - 1 - i)
        weights = adams_weights(lams[i - order + 1 : i + 1], lams[i], lams[i + 1], tau)
        x = sigmas[i + 1] / sigmas[i] * math.exp(-(tau**2) * h) * corrected + noise
        x = x + sum(w * d for w, d in zip(weights, seen[-order:], strict=True))
    raise AssertionError
