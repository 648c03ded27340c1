"""Fit the polynomials of gpucore/compiler/library: `python -m tools.fits.math_functions`.

Each function is interpolated at Chebyshev's points in float64. The line of a polynomial gives its
coefficients, the lowest first, and its largest relative error over the interval.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
from numpy.polynomial import Chebyshev, Polynomial
from scipy import special

ROOT_OF_PI = math.sqrt(math.pi)


class Fit(NamedTuple):
    """A function over an interval, and the degree of its polynomial."""

    name: str
    function: Callable[[np.ndarray], np.ndarray]
    low: float
    high: float
    degree: int


def _at_ratio(t: np.ndarray) -> np.ndarray:
    """Return exp(x * x) * erfc(x) where t is (x - 2) / (x + 2)."""
    return np.asarray(special.erfcx(2 * (1 + t) / (1 - t)))


def _rest_of_exp(r: np.ndarray) -> np.ndarray:
    small = abs(r) < 1e-4
    return np.where(small, 0.5 + r / 6, (np.expm1(r) - r) / np.where(small, 1, r) ** 2)


def _per_offset(root: float) -> Callable[[np.ndarray], np.ndarray]:
    """Return lgamma beside one of its roots, over the offset from it."""
    slope = special.digamma(root)
    return lambda t: np.where(
        abs(t) < 1e-7, slope, special.gammaln(root + t) / np.where(t == 0, 1, t)
    )


FITS = (
    Fit("erf(x) / x over x * x", lambda s: special.erf(np.sqrt(s)) / np.sqrt(s), 1e-12, 1, 7),
    Fit("erfc over (x - 2) / (x + 2)", _at_ratio, -0.6, 0.69, 11),
    Fit("(exp(r) - 1 - r) / r**2", _rest_of_exp, -0.3467, 0.3467, 5),
    Fit(
        "sin(pi * r) / r over r * r",
        lambda s: np.sin(math.pi * np.sqrt(s)) / np.sqrt(s),
        1e-12,
        0.25,
        5,
    ),
    Fit("lgamma(1 + t) / t", _per_offset(1), -0.5, 0.5, 14),
    Fit("lgamma(2 + t) / t", _per_offset(2), -0.5, 1, 11),
    Fit("gamma(1.5 + t)", lambda t: special.gamma(1.5 + t), -0.5, 0.5, 9),
)


def main() -> None:
    """Print the polynomials."""
    for name, function, low, high, degree in FITS:
        fitted = Chebyshev.interpolate(function, degree, domain=[low, high])
        polynomial = fitted.convert(kind=Polynomial)
        points = np.linspace(low, high, 100_001)
        off = np.max(np.abs(polynomial(points) / function(points) - 1))
        print(f"{name}: {off:.1e}")
        print("   ", ", ".join(f"{np.float32(each):.9g}" for each in polynomial.coef))


if __name__ == "__main__":
    main()
