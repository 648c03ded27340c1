"""Activations in float64."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

__all__ = ["activate"]

Array = NDArray[np.float64]

_erf = np.vectorize(math.erf, otypes=[np.float64])


def _sigmoid(x: Array) -> Array:
    return np.asarray(0.5 * (1 + np.tanh(0.5 * x)))


def _gelu(x: Array) -> Array:
    return np.asarray(0.5 * x * (1 + _erf(x / math.sqrt(2))))


def activate(x: Array, name: str | None) -> Array:
    """Activation by the name that `gpustd.gemm` knows; ``geglu`` halves the last axis."""
    if name == "geglu":
        value, gate = np.split(x, 2, axis=-1)
        return np.asarray(value * _gelu(gate))
    if name == "silu":
        return np.asarray(x * _sigmoid(x))
    if name == "gelu":
        return _gelu(x)
    if name == "gelu_tanh":
        inner = math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)
        return np.asarray(0.5 * x * (1 + np.tanh(inner)))
    if name == "quick_gelu":
        return np.asarray(x * _sigmoid(1.702 * x))
    return x
