"""Reference, cases and tolerance of layer norm."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "LARGE", "SMALL", "bound", "reference"]

Array = NDArray[np.float64]

SMALL: tuple[tuple[int, ...], ...] = (
    (288, 128),
    (4096, 64),
)
"""Sizes that are timed on every device, and tested."""

LARGE: tuple[tuple[int, ...], ...] = (
    (8192, 320),
    (2048, 640),
    (512, 1280),
    (128, 1280),
    (154, 768),
)
"""Sizes that are timed on GPUs."""

CASES: tuple[tuple[int, ...], ...] = (
    (1, 1),
    (3, 5),
    (7,),
    (2, 3, 64),
    (5, 127),
    (65, 132),
    (2, 77, 96),
    (9, 320),
    (3, 1280),
    (3, 2500),
    (0, 8),
    (8, 0),
    *SMALL,
)
"""Shapes."""


def reference(x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """Layer norm in float64."""
    if not x.shape[-1]:
        return x
    mean = x.mean(axis=-1, keepdims=True)
    return np.asarray((x - mean) / np.sqrt(x.var(axis=-1, keepdims=True) + eps) * gamma + beta)


def bound(x: Array, gamma: Array, beta: Array, eps: float, eps_out: float) -> Array:
    """Return the greatest error allowed for each element.

    x - mean is off by the mean's and its own rounding, at most two units of the largest |x| of the
    row; the factor 1 / sqrt(variance + eps) by 16 units (sums in trees or of few terms, root and
    quotient of 2.5 units); product and sum with gamma and beta by one each. Then comes one
    rounding to the storage type (6e-8 is half a step of f16's subnormal numbers).
    """
    if not x.size:
        return x
    unit = float(np.finfo(np.float32).eps)
    deviation = np.sqrt(x.var(axis=-1, keepdims=True) + eps)
    near = 2 * unit * np.abs(x).max(axis=-1, keepdims=True) / deviation * np.abs(gamma)
    exact = reference(x, gamma, beta, eps)
    scaled = np.abs(exact - beta)
    stored = eps_out * np.abs(exact) + (6e-8 if eps_out > unit else 0.0)
    return np.asarray(near + 18 * unit * scaled + unit * (scaled + np.abs(beta)) + stored)
