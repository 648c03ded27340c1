"""Published formulas of samplers that draw no noise, or only by churning, line by line in float64.

Each takes the levels and the options and returns x at the end of a run of ``denoise_curved``.
"""

import itertools
import math

import numpy as np

from diffusion.samplers import SamplerOptions
from tests.diffusion.samplers.stand_ins import START, Reals, wave_noise
from tests.diffusion.samplers.stand_ins import denoise_curved as curved


def euler(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Karras et al. 2022, algorithm 2 without its second-order part."""
    return karras_algorithm_2(sigmas, options, second_order=False)


def heun(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Karras et al. 2022, algorithm 2."""
    return karras_algorithm_2(sigmas, options, second_order=True)


def karras_algorithm_2(sigmas: Reals, options: SamplerOptions, second_order: bool) -> Reals:
    """Karras et al. 2022, algorithm 2, line by line (their t is σ)."""
    x, steps = START * sigmas[0], len(sigmas) - 1
    for i in range(steps):
        t, t_next = sigmas[i], sigmas[i + 1]
        inside = options.s_tmin <= t <= options.s_tmax
        gamma = min(options.s_churn / steps, math.sqrt(2) - 1) if inside else 0.0
        t_hat = t + gamma * t
        x_hat = x + math.sqrt(t_hat**2 - t**2) * options.s_noise * wave_noise(i)
        d = (x_hat - curved(x_hat, t_hat)) / t_hat
        x = x_hat + (t_next - t_hat) * d
        if second_order and t_next != 0:
            d_next = (x - curved(x, t_next)) / t_next
            x = x_hat + (t_next - t_hat) * (d + d_next) / 2
    return x


def heunpp2(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Carzit/sd-webui-samplers-scheduler: Euler ahead twice, slopes weighed by σ / (3 σ₀)."""
    x, steps = START * sigmas[0], len(sigmas) - 1
    for i in range(steps):
        s, s1 = sigmas[i], sigmas[i + 1]
        d1 = (x - curved(x, s)) / s
        if i == steps - 1:
            return curved(x, s)
        x1 = x + (s1 - s) * d1
        d2 = (x1 - curved(x1, s1)) / s1
        if i == steps - 2:
            w2 = s1 / (2 * sigmas[0])
            mean = (1 - w2) * d1 + w2 * d2
        else:
            s2 = sigmas[i + 2]
            x2 = x1 + (s2 - s1) * d2
            d3 = (x2 - curved(x2, s2)) / s2
            w2, w3 = s1 / (3 * sigmas[0]), s2 / (3 * sigmas[0])
            mean = (1 - w2 - w3) * d1 + w2 * d2 + w3 * d3
        x = x + (s1 - s) * mean
    raise AssertionError


def dpmpp_2m(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Lu et al. 2022, algorithm 2, in its own variance-preserving variables and λ = log(α/σ)."""
    alphas = 1.0 / np.sqrt(1.0 + sigmas**2)
    deviations = sigmas * alphas
    lambdas = np.log(alphas[:-1] / deviations[:-1])
    x = START * sigmas[0] * alphas[0]
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


def dpmpp_2m_v2(sigmas: Reals, options: SamplerOptions) -> Reals:
    """stable-diffusion.cpp's dpm++2mv2: r = wider / narrower, and the mean width for D's share."""
    x = START * sigmas[0]
    old, last = None, 0.0
    for high, low in itertools.pairwise(sigmas):
        d = curved(x, high)
        if low == 0:
            return d
        h = math.log(high) - math.log(low)
        if old is None:
            x = low / high * x - (math.exp(-h) - 1) * d
        else:
            r = max(h, last) / min(h, last)
            line = (1 + 1 / (2 * r)) * d - 1 / (2 * r) * old
            x = low / high * x - (math.exp(-(h + last) / 2) - 1) * line
        old, last = d, h
    raise AssertionError


def dpmpp_2s(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Lu et al. 2022, arXiv 2211.01095, algorithm 1, on pairs of steps; in α and σ as there."""
    end = len(sigmas) - 1
    alphas = 1.0 / np.sqrt(1.0 + sigmas**2)
    deviations = sigmas * alphas
    x = START * sigmas[0] * alphas[0]
    for start in range(0, end, 2):
        a, s = alphas[start], deviations[start]
        first = curved(x / a, sigmas[start])
        if start + 1 == end:
            rest = deviations[end] / s
            x = rest * x + (alphas[end] - a * rest) * first
            break
        lams = [math.log(1 / max(each, 1e-300)) for each in sigmas[start : start + 3]]
        h, r = lams[2] - lams[0], (lams[1] - lams[0]) / (lams[2] - lams[0])
        mid, low = start + 1, start + 2
        u = deviations[mid] / s * x - alphas[mid] * math.expm1(-r * h) * first
        ahead = curved(u / alphas[mid], sigmas[mid])
        if sigmas[low] == 0:
            x = ahead
        else:
            d = (1 - 1 / (2 * r)) * first + 1 / (2 * r) * ahead
            x = deviations[low] / s * x - alphas[low] * math.expm1(-h) * d
    return x / alphas[end]


def gradient_estimation(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Permenter and Yuan 2023, arXiv 2306.04848: ε̄ = γ εₜ + (1 - γ) εₜ₊₁ with γ = 2."""
    x = START * sigmas[0]
    before: Reals | None = None
    for high, low in itertools.pairwise(sigmas):
        d = curved(x, high)
        e = (x - d) / high
        mean = e if before is None else 2 * e - before
        x = x - (high - low) * mean if low > 0 else d
        before = e
    return x


def ipndm(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Zhang and Chen 2022, arXiv 2204.13902, equations for iPNDM: orders 1 to 4, then 4."""
    x = START * sigmas[0]
    e: list[Reals] = []
    for high, low in itertools.pairwise(sigmas):
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
    return x


def ipndm_v(sigmas: Reals, options: SamplerOptions) -> Reals:
    """zju-pi/diff-sampler's ipndm_v, which ComfyUI took over, with its own two factors.

    In differences of slopes, newest first, h the steps' widths: the first has Adams and
    Bashforth's factor. Those of the second and the third are s and t.
    """
    x = START * sigmas[0]
    e: list[Reals] = []
    steps = np.diff(sigmas)
    for i, (high, low) in enumerate(itertools.pairwise(sigmas)):
        d = curved(x, high)
        e.append((x - d) / high)
        h = steps[: i + 1][::-1]
        order = min(options.order or 4, i + 1)
        mean = e[-1]
        if order >= 2:
            mean = mean + h[0] / h[1] / 2 * (e[-1] - e[-2])
        if order >= 3:
            s = (1 - h[0] ** 2 / (3 * h[1] * (h[1] + h[2]))) / 2
            mean = mean + s * ((e[-1] - e[-2]) - h[1] / h[2] * (e[-2] - e[-3]))
        if order >= 4:
            s2, s3, s4 = h[0] + h[1], h[:3].sum(), h[1:4].sum()
            t = (1 - h[0] / (3 * s2)) / 2 + (1 - h[0] / (2 * s2)) * h[0] / (6 * s3)
            t *= h[0] * s2 * s3 / (h[1] * (h[1] + h[2]) * s4)
            q = h[1] * (h[1] + h[2]) / (h[2] * (h[2] + h[3]))
            second = e[-2] - e[-3]
            mean = mean + t * ((e[-1] - e[-2]) - h[1] / h[2] * second)
            mean = mean - t * q * (e[-2] - e[-3])
            mean = mean + t * q * h[2] / h[3] * e[-3] - t * q * h[1] / h[2] * e[-4]
        x = x + (low - high) * mean if low > 0 else d
    return x


def res_multistep(sigmas: Reals, options: SamplerOptions) -> Reals:
    """Zhang et al. 2023, arXiv 2308.02157: φ₁ and φ₂ with the last estimate at c₂ = -last h / h."""
    x = START * sigmas[0]
    before: Reals | None = None
    last = 0.0
    for high, low in itertools.pairwise(sigmas):
        d = curved(x, high)
        if low == 0:
            return d
        h = math.log(high / low)
        phi_1 = (math.exp(-h) - 1) / -h
        phi_2 = (phi_1 - 1) / -h
        if before is None:
            x = math.exp(-h) * x + h * phi_1 * d
        else:
            c2 = -last / h
            x = math.exp(-h) * x + h * ((phi_1 - phi_2 / c2) * d + phi_2 / c2 * before)
        before, last = d, h
    raise AssertionError
