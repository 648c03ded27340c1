"""Matrices that are hard to factorise: graded, deficient, with repeated values."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["EPS", "hard_matrices", "normal", "orthogonal", "with_values"]

Array = NDArray[np.float32]

EPS = 2.0**-24
"""Half a unit in the last place of f32: the largest relative error of one rounding."""


def normal(*shape: int, seed: int = 0) -> Array:
    """Draw normal numbers."""
    return np.random.default_rng(seed).standard_normal(shape, np.float32)


def orthogonal(n: int, seed: int = 0) -> NDArray[np.float64]:
    """Draw a random orthogonal matrix (n, n)."""
    return np.linalg.qr(np.random.default_rng(seed).standard_normal((n, n)))[0]


def with_values(m: int, values: NDArray[np.float64], seed: int = 0) -> Array:
    """Draw a matrix (m, n) with these n singular values, m at least n, rounded to f32."""
    n = len(values)
    left = orthogonal(m, seed)[:, :n]
    return (left * values @ orthogonal(n, seed + 1)).astype(np.float32)


def hard_matrices(n: int) -> dict[str, Array]:
    """Return square matrices by name."""
    ones = np.ones(n, np.float64)
    column = np.zeros((n, n), np.float32)
    column[:, n // 2] = 1
    return {
        "zero": np.zeros((n, n), np.float32),
        "identity": np.eye(n, dtype=np.float32),
        "reversed": np.eye(n, dtype=np.float32)[::-1].copy(),
        "ones": np.ones((n, n), np.float32),
        "one column": column,
        "rank one": np.outer(normal(n), normal(n, seed=1)),
        "deficient": with_values(n, np.where(np.arange(n) < n // 2, ones, 0)),
        "repeated": with_values(n, np.where(np.arange(n) < n // 2, 2 * ones, ones)),
        "graded": with_values(n, np.logspace(0, -12, n)),
        "scaled rows": normal(n, n) * np.logspace(6, -6, n, dtype=np.float32)[:, None],
        "scaled columns": normal(n, n) * np.logspace(-6, 6, n, dtype=np.float32),
        "huge": normal(n, n) * np.float32(1e36),
        "tiny": normal(n, n) * np.float32(1e-33),
    }
