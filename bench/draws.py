"""Random operands of entries. Large ones repeat a pool: drawing them takes longer than timing."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["integers", "normal", "uniform"]

_POOL = 2**22
"""Numbers that are drawn at most; no entry's time depends on how often a number occurs."""


def normal(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """Return normal numbers of deviation 1."""
    rng = np.random.default_rng(seed)
    return np.resize(rng.standard_normal(_pool_size(shape), np.float32), shape)


def uniform(shape: tuple[int, ...]) -> NDArray[np.float32]:
    """Return numbers from 0 up to 1."""
    return np.resize(np.random.default_rng(0).random(_pool_size(shape), np.float32), shape)


def integers(shape: tuple[int, ...], end: int, seed: int = 0) -> NDArray[np.int64]:
    """Return integers from 0 up to ``end``."""
    rng = np.random.default_rng(seed)
    return np.resize(rng.integers(0, end, _pool_size(shape)), shape)


def _pool_size(shape: tuple[int, ...]) -> int:
    """Return how many numbers of a shape are drawn; they are repeated to fill the rest."""
    return min(math.prod(shape), _POOL)
