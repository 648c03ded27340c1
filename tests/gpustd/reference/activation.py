"""Reference, cases and tolerance of the activations."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "LARGE", "SMALL", "bound", "reference"]

Array = NDArray[np.float64]

SMALL = (2**20,)
"""Sizes that are timed on every device, and tested."""

LARGE = (2**26,)
"""Sizes that are timed on GPUs."""

CASES = (0, 1, 3, 4, 5, 63, 64, 65, 257, 4099, *SMALL)
"""Element counts."""

_erfc = np.vectorize(math.erfc, otypes=[np.float64])


def reference(x: Array, name: str) -> Array:
    """Return an activation in float64, without cancellation where x < 0."""
    if name == "gelu":
        return np.asarray(x * 0.5 * _erfc(-x / math.sqrt(2)))
    if name == "silu":
        return np.asarray(x * _sigmoid(x))
    if name == "relu":
        return np.maximum(x, 0.0)
    if name == "quick_gelu":
        return np.asarray(x * _sigmoid(1.702 * x))
    if name == "gelu_tanh":
        near = np.clip(x, -100, 100)
        return np.asarray(x * _sigmoid(math.sqrt(8 / math.pi) * (near + 0.044715 * near**3)))
    raise ValueError(f"no activation {name!r}")


def _sigmoid(x: Array) -> Array:
    e = np.exp(-np.abs(x))
    return np.asarray(np.where(x < 0, e, 1.0) / (1 + e))


def bound(x: Array, result: Array, eps_out: float) -> Array:
    """Return the greatest error allowed for each element.

    The value is x times a probability. That is off by at most 4 units in the last place for
    x >= 0. For x < 0 it is proportional to exp(-s) with s at most 1.8 |x| + x^2 / 2 + 0.08 |x|^3;
    rounding s changes it by s/2 units, WGSL's exp by up to 2 s + 3. Below 2^-126 a device may
    flush the probability to zero. Then comes one rounding to the storage type (6e-8 is half a
    step of f16's subnormal numbers).
    """
    eps = float(np.finfo(np.float32).eps)
    a = np.minimum(np.abs(x), 100.0)
    exponent = np.where(x < 0, 1.8 * a + a**2 / 2 + 0.08 * a**3, 0.0)
    flushed = np.abs(x) * 2.0**-126
    stored = eps_out * np.abs(result) + (6e-8 if eps_out > eps else 2.0**-126)
    return np.asarray(eps * (4 + 3 + 2.5 * exponent) * np.abs(result) + flushed + stored)
