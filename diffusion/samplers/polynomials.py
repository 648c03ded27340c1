"""Polynomials through values that a sampler has seen, integrated over its next step."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

__all__ = ["grown_shares", "shares"]

Reals = NDArray[np.float64]

POINTS: Final = 24
"""Of Gauss's rule, exact to 1e-15 where a step divides a level by up to a thousand."""


def shares(nodes: Reals, start: float, end: float) -> list[float]:
    """∫ of each node's Lagrange polynomial from ``start`` to ``end``."""
    return _integrals(nodes, start, end, np.ones_like)


def grown_shares(nodes: Reals, start: float, end: float, rate: float) -> list[float]:
    """∫ of each node's Lagrange polynomial times r·eʳᵘ from ``start`` to ``end``."""
    return _integrals(nodes, start, end, lambda u: rate * np.exp(rate * u))


def _integrals(
    nodes: Reals, start: float, end: float, growth: Callable[[Reals], Reals]
) -> list[float]:
    """By Gauss's rule, where each polynomial is a product, so that no digits are lost."""
    places, weights = np.polynomial.legendre.leggauss(POINTS)
    half = (end - start) / 2.0
    at = (start + end) / 2.0 + half * places
    weights = half * weights * growth(at)
    found = []
    for index, node in enumerate(nodes):
        others = np.delete(nodes, index)
        basis = np.prod((at[:, None] - others) / (node - others), axis=1)
        found.append(float(weights @ basis))
    return found
