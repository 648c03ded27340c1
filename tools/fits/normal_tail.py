"""Coefficients of ``normal_tail`` in ``shaders/nn/activation/activations.wgsl``.

Run ``python tools/fits/normal_tail.py``. It fits R(a) = exp(a^2 / 2) * Phi(-a) on [0, 14], where
Phi is the normal distribution function, by a polynomial in u = 1 / (1 + 0.3 a). The largest
*relative* error is made least by weighted least squares, whose weights grow where the error is
large (C. L. Lawson 1961). It prints the coefficients of u^0, u^1, ... and the error in f64 and
f32.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

STRETCH = 0.3
DEGREE = 8
ROUNDS = 300


def target(a: Array) -> Array:
    """Return R(a) in float64."""
    erfc = np.array([math.erfc(v / math.sqrt(2)) for v in a])
    return np.asarray(np.exp(a * a / 2) * 0.5 * erfc)


def fit(a: Array) -> tuple[Array, float]:
    """Return the coefficients, lowest power first, and the largest relative error."""
    u = 1 / (1 + STRETCH * a)
    powers = np.vander(u, DEGREE + 1, increasing=True) / target(a)[:, None]
    weights = np.ones_like(a)
    best: Array = np.zeros(DEGREE + 1)
    least = math.inf
    for _ in range(ROUNDS):
        root = np.sqrt(weights)
        solved = np.linalg.lstsq(powers * root[:, None], root, rcond=None)[0]
        coefficients = solved.astype(np.float64)
        error = np.abs(powers @ coefficients - 1)
        if error.max() < least:
            best, least = coefficients, float(error.max())
        weights *= error + 1e-12
        weights = weights / weights.max() + 1e-9
    return best, least


def error_in_f32(a: Array, coefficients: Array) -> float:
    """Return the largest relative error of Horner's rule in f32."""
    u = np.float32(1) / (np.float32(1) + np.float32(STRETCH) * a.astype(np.float32))
    value = np.zeros_like(u)
    for c in coefficients[::-1].astype(np.float32):
        value = value * u + c
    return float(np.max(np.abs(value / target(a) - 1)))


def main() -> None:
    """Print the coefficients as they stand in the shader."""
    a = np.concatenate([np.linspace(0, 6, 6001), np.linspace(6, 14, 801)])
    coefficients, error = fit(a)
    print(", ".join(f"{c:.8e}" for c in coefficients))
    print(f"relative error {error:.1e}, in f32 {error_in_f32(a, coefficients):.1e}")


if __name__ == "__main__":
    main()
