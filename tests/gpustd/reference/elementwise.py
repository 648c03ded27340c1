"""Reference, cases and tolerance of elementwise arithmetic."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "MANY", "SMALL", "bound", "guided", "reference"]

Array = NDArray[np.float64]

SMALL: tuple[tuple[int, ...], ...] = (
    (2**20,),
    (2, 64, 64, 4),
)
"""Sizes that are timed on every device, and tested."""

CASES: tuple[tuple[int, ...], ...] = (
    (0,),
    (1,),
    (2, 3),
    (2, 31, 1),
    (4, 64),
    (2, 5, 13),
    (6, 257),
    (8, 33, 31),
    *SMALL,
)
"""Shapes."""

MANY = (2, 65535 * 64 + 67)
"""For guidance, whose odd images are taken one element an invocation: > 65 535 workgroups."""


def reference(coefficients: Sequence[float], terms: Sequence[Array]) -> Array:
    """Linear combination in float64."""
    return np.asarray(sum(c * x for c, x in zip(coefficients, terms, strict=True)))


def guided(x: Array, scale: float) -> Array:
    """Classifier-free guidance in float64."""
    plain, steered = np.split(x, 2)
    return np.asarray(plain + scale * (steered - plain))


def bound(magnitude: Array, result: Array, operations: int, eps_out: float) -> Array:
    """Return the greatest error allowed for each element.

    ``magnitude`` bounds what is summed (absolute values of all products): each of ``operations``
    in f32 rounds by at most half a unit of it, a fused multiply-add by less. Coefficients come
    rounded to f32, another half unit. Then one rounding to the storage type (6e-8 is half a step
    of f16's subnormal numbers).
    """
    eps = float(np.finfo(np.float32).eps)
    stored = eps_out * np.abs(result) + (6e-8 if eps_out > eps else 0.0)
    return np.asarray(0.5 * eps * (operations + 1) * magnitude + stored)
