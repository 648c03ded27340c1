"""Random operands of entries. Large ones repeat a pool: drawing them takes longer than timing."""

from __future__ import annotations

import functools
import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["integers", "normal", "uniform"]

_POOL = 2**22
"""Numbers that are drawn at most; no entry's time depends on how often a number occurs."""


def normal(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """Return normal numbers of deviation 1."""
    return _repeat(_normal(min(math.prod(shape), _POOL), seed), shape)


def uniform(shape: tuple[int, ...], seed: int = 0) -> NDArray[np.float32]:
    """Return numbers from 0 up to 1."""
    return _repeat(_uniform(min(math.prod(shape), _POOL), seed), shape)


def integers(shape: tuple[int, ...], end: int, seed: int = 0) -> NDArray[np.int64]:
    """Return integers from 0 up to ``end``."""
    return _repeat(_integers(min(math.prod(shape), _POOL), end, seed), shape)


@functools.lru_cache(4)
def _normal(count: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).standard_normal(count, np.float32)


@functools.lru_cache(4)
def _uniform(count: int, seed: int) -> NDArray[np.float32]:
    return np.random.default_rng(seed).random(count, np.float32)


@functools.lru_cache(4)
def _integers(count: int, end: int, seed: int) -> NDArray[np.int64]:
    return np.random.default_rng(seed).integers(0, end, count)


def _repeat(pool: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Return the pool over and over, in a new array."""
    return np.resize(pool, shape)
