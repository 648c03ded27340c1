"""Reference and cases of nearest-neighbour enlargement; equal bit by bit."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "LARGE", "SMALL", "reference"]

SMALL: tuple[tuple[tuple[int, int, int, int], int], ...] = (((1, 64, 64, 64), 2),)
"""Sizes that are timed on every device, and tested."""

LARGE: tuple[tuple[tuple[int, int, int, int], int], ...] = (
    ((1, 256, 256, 256), 2),
    ((2, 32, 32, 640), 2),
)
"""Sizes that are timed on GPUs."""

CASES: tuple[tuple[tuple[int, int, int, int], int], ...] = (
    ((1, 1, 1, 1), 2),
    ((2, 3, 5, 4), 2),
    ((1, 7, 4, 3), 2),
    ((1, 2, 3, 8), 3),
    ((2, 4, 4, 5), 1),
    ((0, 4, 4, 4), 2),
    ((1, 17, 31, 12), 2),
    *SMALL,
)
"""Shapes and factors."""


def reference(x: NDArray[Any], factor: int) -> NDArray[Any]:
    """Return the enlarged images."""
    return np.asarray(x.repeat(factor, axis=1).repeat(factor, axis=2))
