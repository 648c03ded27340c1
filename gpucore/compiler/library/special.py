"""The error function and the gamma function; `tools.fits.math_functions` makes the numbers."""

from __future__ import annotations

import math

from gpucore.compiler.library.exponentials import plain_exp
from gpucore.compiler.library.words import Unsigned, bitcast

__all__ = ["erf", "erfc", "gamma", "lgamma"]


def erf_below_1(x: float) -> float:
    """Return erf(x) for abs(x) <= 1."""
    s = x * x
    p = 0.000112659582 - s * 9.66704283e-06
    p = -0.0268654302 + s * (0.00522103161 + s * (-0.000848408032 + s * p))
    return x * (1.12837923 + s * (-0.376126379 + s * (0.112837821 + s * p)))


def erfc_above_half(x: float) -> float:
    """Return erfc(x) for 0.5 <= x <= 10.1: exp(-x * x) beside a polynomial.

    The square is taken of the upper 12 bits of x, so that it is exact.
    """
    t = (x - 2.0) / (x + 2.0)
    p = 0.000177399736 + t * (1.49046336e-05 - t * 2.93774337e-05)
    p = 0.00699767843 + t * (-0.000848042429 + t * (-0.000983251375 + t * (4.84115008e-05 + t * p)))
    p = 0.241658196 + t * (-0.0789785981 + t * (0.00373296975 + t * p))
    p = 0.255395681 + t * (-0.427185833 + t * p)
    upper = bitcast(float, bitcast(Unsigned, x) & 0xFFFFF000)
    rest = plain_exp(-(x - upper) * (x + upper))
    square = upper * upper
    if square > 80.0:  # in two steps: the whole is below the least normal float
        return plain_exp(30.0 - square) * (rest * p) * 9.35762297e-14
    return plain_exp(-square) * rest * p


def erf(x: float) -> float:
    """Return the error function."""
    size = abs(x)
    if math.isnan(x):
        return x
    if size <= 1.0:
        return erf_below_1(x)
    if size > 4.0:
        return math.copysign(1.0, x)
    return math.copysign(1.0 - erfc_above_half(size), x)


def erfc(x: float) -> float:
    """Return 1 - erf(x), without its cancellation."""
    if math.isnan(x):
        return x
    if abs(x) < 0.5:
        return 1.0 - erf_below_1(x)
    if x > 10.0542:
        return 0.0
    if x < -4.0:
        return 2.0
    return erfc_above_half(x) if x > 0.0 else 2.0 - erfc_above_half(-x)


def gamma(x: float) -> float:
    """Return the gamma function: NaN at whole numbers below 0, an infinity at 0.

    Factors lead to the interval from 1 to 2.
    """
    if math.isnan(x):
        return x
    if x == 0.0:
        return math.copysign(math.inf, x)
    if x > 35.0401:
        return math.inf
    if x < 0.0 and x == math.floor(x):
        return math.nan
    if x < -42.0:
        return math.copysign(0.0, math.fmod(math.floor(x), 2.0) + 0.5)
    if abs(x) < 1e-7:
        return 1.0 / x
    # No product may be beyond the floats before its end.
    scale = 2.0 if x > 2.0 else 5.42101086e-20 if x < -20.0 else 1.0
    at, factors = x, 1.0 / scale
    while at > 2.0:
        at -= 1.0
        factors *= at
    while at < 1.0:
        factors = factors / at
        at += 1.0
    t = at - 1.5
    p = -0.0366511829 + t * (0.0345672965 - t * 0.0230480302)
    p = -0.107290894 + t * (0.144830853 + t * (-0.0776468292 + t * (0.0565861277 + t * p)))
    return (0.886226952 + t * (0.0323383771 + t * (0.414807588 + t * p))) * factors * scale


def lgamma_to_3(x: float) -> float:
    """Return lgamma(x) for 0.5 <= x <= 3."""
    if x < 1.5:
        t = x - 1.0
        p = -0.0329418443 + t * (0.176718265 - t * 0.166168869)
        p = -0.110362075 + t * (0.109705426 + t * (-0.100044586 + t * (0.0368487947 + t * p)))
        p = -0.207384318 + t * (0.169612542 + t * (-0.144102305 + t * (0.124482617 + t * p)))
        p = -0.577215672 + t * (0.822467029 + t * (-0.400685638 + t * (0.270579517 + t * p)))
        return t * p
    t = x - 2.0
    p = -0.000229236073 + t * (0.000104949126 + t * (-3.90877685e-05 + t * 7.50934942e-06))
    p = -0.00738569535 + t * (0.00289023225 + t * (-0.00119125529 + t * (0.000509853999 + t * p)))
    p = 0.422784328 + t * (0.322467029 + t * (-0.0673522949 + t * (0.0205808375 + t * p)))
    return t * p


def lgamma_above_half(x: float) -> float:
    """Return lgamma(x) for x >= 0.5: Stirling's series from 8 on."""
    if x >= 8.0:
        part = 1.0 / x
        square = part * part
        series = part * (0.0833333333 - square * (0.00277777778 - square * 0.000793650794))
        return (x - 0.5) * (math.log(x) - 1.0) + (0.418938533 + series)
    factors = 1.0
    at = x
    while at > 3.0:
        at -= 1.0
        factors *= at
    return math.log(factors) + lgamma_to_3(at) if x > 3.0 else lgamma_to_3(x)


def lgamma(x: float) -> float:
    """Return log(abs(gamma(x))): infinity at 0 and at whole numbers below."""
    if math.isnan(x):
        return x
    if math.isinf(x) or (x <= 0.0 and x == math.floor(x)):
        return math.inf
    if x >= 0.5:
        return lgamma_above_half(x)
    if x > 0.0:
        return lgamma_to_3(x + 1.0) - math.log(x)
    r = x - round(x)
    s = r * r
    p = -0.599252164 + s * (0.0820503533 - s * 0.00702830404)
    sine = abs(r) * (3.14159274 + s * (-5.16771269 + s * (2.55016327 + s * p)))
    return 1.14472989 - math.log(sine) - lgamma_above_half(1.0 - x)
