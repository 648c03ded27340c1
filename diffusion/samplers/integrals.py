"""Integrals that give samplers their weights: exponential functions φₖ, and polynomials."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Phi", "integrate_grown_polynomials", "integrate_polynomials", "phi"]

Reals = NDArray[np.float64]

GAUSS_POINTS: Final = 24
"""Points of Gauss's rule: exact to 1e-15 where a step divides a level by up to a thousand."""


class Phi(NamedTuple):
    """The functions of exponential integrators at a step of width h.

    ``change``: 1 - e⁻ʰ; ``second``: φ₂ = 1 - (1 - e⁻ʰ)/h; ``third``: φ₃ = φ₂/h - 1/2.
    """

    change: float
    second: float
    third: float


def phi(width: float) -> Phi:
    """Return the functions of exponential integrators at ``width`` > 0."""
    change = -math.expm1(-width)
    second = 1.0 - change / width
    return Phi(change, second, second / width - 0.5)


def integrate_polynomials(nodes: Reals, start: float, end: float) -> list[float]:
    """Return ∫ of each node's Lagrange polynomial from ``start`` to ``end``."""
    return _integrate(nodes, start, end, np.ones_like)


def integrate_grown_polynomials(nodes: Reals, start: float, end: float, rate: float) -> list[float]:
    """Return ∫ of each node's Lagrange polynomial times r·eʳᵘ from ``start`` to ``end``."""
    return _integrate(nodes, start, end, lambda u: rate * np.exp(rate * u))


def _integrate(
    nodes: Reals, start: float, end: float, growth: Callable[[Reals], Reals]
) -> list[float]:
    """Integrate by Gauss's rule.

    Each polynomial is evaluated as a product of differences, so that no digits are lost.
    """
    places, weights = np.polynomial.legendre.leggauss(GAUSS_POINTS)
    half = (end - start) / 2.0
    points = (start + end) / 2.0 + half * places
    weights = half * weights * growth(points)
    integrals = []
    for index, node in enumerate(nodes):
        others = np.delete(nodes, index)
        basis = np.prod((points[:, None] - others) / (node - others), axis=1)
        integrals.append(float(weights @ basis))
    return integrals
