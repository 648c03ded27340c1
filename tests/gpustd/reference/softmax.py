"""Reference, cases and tolerance of softmax."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "LARGE", "SMALL", "bound", "reference"]

Array = NDArray[np.float64]

SMALL: tuple[tuple[int, ...], ...] = (
    (1024, 256),
    (1024, 77),
)
"""Sizes that are timed on every device, and tested."""

LARGE: tuple[tuple[int, ...], ...] = (
    (16, 4096, 4096),
    (16, 4096, 77),
)
"""Sizes that are timed on GPUs."""

CASES: tuple[tuple[int, ...], ...] = (
    (1, 1),
    (7,),
    (5, 2),
    (2, 3, 31),
    (65, 64),
    (3, 257),
    (2, 77, 80),
    (1, 4100),
    (0, 8),
    (8, 0),
    *SMALL,
)
"""Shapes."""


def reference(x: Array) -> Array:
    """Softmax in float64."""
    if not x.size:
        return x
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def bound(x: Array, eps_out: float) -> Array:
    """Return the greatest error allowed for each element.

    x - max is rounded once, by half a unit of its size, and exp is off by 3 + 2|x| units, so that
    a power is off by 3 + 2.5|x - max| units. In the sum large exponents weigh little: 2.5|x| e^x
    is below 1, so that all its powers are off by at most 4 units of the largest; adding C of them
    in f32 costs some sqrt(C) units (four times that is allowed), quotient and product 4. Powers
    below f32's normal numbers (1.2e-38) may be flushed to zero. Then comes one rounding to the
    storage type (6e-8 is half a step of f16's subnormal numbers).
    """
    if not x.size:
        return x
    unit = float(np.finfo(np.float32).eps)
    y = reference(x)
    depth = x.max(axis=-1, keepdims=True) - x
    relative = unit * (11 + 2.5 * depth + 4 * np.sqrt(x.shape[-1]))
    stored = eps_out * y + (6e-8 if eps_out > unit else 1.2e-38)
    return np.asarray(y * relative + stored)
