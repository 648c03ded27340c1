"""Exponentials and roots that are as exact everywhere; WGSL lets engines' own be far less.

log(2) is taken away in two parts, so that nothing is rounded. The maximum between them changes no
number: without it Mesa makes one product of both, which is rounded.
"""

from __future__ import annotations

import math

from gpucore.compiler.library.bits import power_of_two
from gpucore.compiler.library.words import Unsigned, bitcast, fma

__all__ = ["cbrt", "exp_less_1", "expm1", "hypot", "logaddexp", "logaddexp2", "plain_exp"]


def exp_less_1(r: float) -> float:
    """Return exp(r) - 1 for abs(r) <= log(2) / 2."""
    rest = 0.00139336742 + r * 0.000198910173
    rest = 0.5 + r * (0.166666672 + r * (0.041666463 + r * (0.00833331048 + r * rest)))
    return r + r * r * rest


def plain_exp(x: float) -> float:
    """Return exp(x) for -87 <= x <= 88, within 2 units in the last place."""
    k = round(x * 1.44269504)
    r = max(fma(k, -0.693359375, x), -1.0) + k * 0.000212194440
    return (1.0 + exp_less_1(r)) * power_of_two(int(k))


def expm1(x: float) -> float:
    """Return exp(x) - 1."""
    if math.isnan(x) or x == 0.0:
        return x
    if x > 88.722839:
        return math.inf
    if x < -18.0:
        return -1.0
    k = round(x * 1.44269504)
    r = max(fma(k, -0.693359375, x), -1.0) + k * 0.000212194440
    half = power_of_two(int(k) - 1)
    return 2.0 * (half * exp_less_1(r) + (half - 0.5))


def cbrt(x: float) -> float:
    """Return the cube root, by Newton's steps from a guess that divides the exponent."""
    if not math.isfinite(x) or x == 0.0:
        return x
    small = abs(x) < 1.17549435e-38
    size = abs(x) * 16777216.0 if small else abs(x)
    root = bitcast(float, bitcast(Unsigned, size) // 3 + 709921077)
    root = root - (root - size / (root * root)) * 0.333333343
    root = root - (root - size / (root * root)) * 0.333333343
    root = root - (root - size / (root * root)) * 0.333333343
    return math.copysign(root * 0.00390625 if small else root, x)


def hypot(x: float, y: float) -> float:
    """Return the length of (x, y), also where a square has no float."""
    low, high = min(abs(x), abs(y)), max(abs(x), abs(y))
    if math.isinf(x) or math.isinf(y):
        return math.inf
    if math.isnan(x) or math.isnan(y):
        return math.nan
    if high == 0.0:
        return 0.0
    ratio = low / high
    return high * math.sqrt(1.0 + ratio * ratio)


def logaddexp(a: float, b: float) -> float:
    """Return log(exp(a) + exp(b))."""
    if math.isnan(a) or math.isnan(b):
        return math.nan
    if a == b:
        return a + 0.693147181
    return max(a, b) + math.log1p(math.exp(-abs(a - b)))


def logaddexp2(a: float, b: float) -> float:
    """Return log2(2**a + 2**b)."""
    if math.isnan(a) or math.isnan(b):
        return math.nan
    if a == b:
        return a + 1.0
    return max(a, b) + 1.44269504 * math.log1p(math.exp(-0.693147181 * abs(a - b)))
