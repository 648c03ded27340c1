"""Reference and cases of moving elements; results are equal bit by bit."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "JOINS", "LARGE", "SLICES", "SMALL", "reference"]

Array = NDArray[Any]

SMALL: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((128, 128, 3, 3), (2, 3, 1, 0)),
    ((512, 512), (1, 0)),
)
"""Sizes that are timed on every device, and tested."""

LARGE: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((1280, 2560, 3, 3), (2, 3, 1, 0)),
    ((1280, 5120), (1, 0)),
)
"""Sizes that are timed on GPUs."""

CASES: tuple[tuple[tuple[int, ...], tuple[int, ...]], ...] = (
    ((5,), (0,)),
    ((0, 3), (1, 0)),
    ((1, 1), (1, 0)),
    ((7, 13), (1, 0)),
    ((64, 33), (1, 0)),
    ((37, 70, 3, 3), (2, 3, 1, 0)),
    ((3, 41, 2, 34), (2, 0, 3, 1)),
    ((8, 12, 3, 3), (2, 3, 1, 0)),
    ((5, 4, 1, 1), (2, 3, 1, 0)),
    ((2, 3, 5, 8), (0, 2, 1, 3)),
    ((2, 6, 5, 4), (2, 0, 1, 3)),
    ((3, 4, 5), (0, 1, 2)),
    ((2, 3, 4, 5, 7), (4, 3, 2, 1, 0)),
    ((2, 3, 2, 3, 2, 4), (4, 0, 2, 1, 3, 5)),
    ((2, 3, 2, 3, 2, 3), (5, 4, 0, 1, 3, 2)),
    *SMALL,
)
"""Shapes and the axes of their transpose."""

JOINS: tuple[tuple[tuple[tuple[int, ...], ...], int], ...] = (
    (((3,),), 0),
    (((3,), (5,), (1,)), 0),
    (((2, 8), (2, 4)), 1),
    (((2, 3, 4), (2, 0, 4), (2, 5, 4)), 1),
    (((2, 5, 3), (2, 5, 6)), -1),
    (((0, 4), (2, 4)), 0),
    (((2, 3), (2, 4)), 1),
)
"""Shapes to join, and the axis."""

SLICES: tuple[tuple[tuple[int, ...], int, int, int], ...] = (
    ((9,), 0, 2, 7),
    ((4, 8), 0, 1, 3),
    ((4, 8), 1, 4, 8),
    ((4, 9), 1, 3, 7),
    ((2, 8), 1, 2, 6),
    ((3, 7, 5), 1, 0, 7),
    ((3, 7, 5), -1, 1, 2),
    ((3, 7), 1, 3, 3),
)
"""Shape, axis, start and stop."""


def reference(x: Array, axes: Sequence[int]) -> Array:
    """Return the transpose."""
    return np.ascontiguousarray(np.transpose(x, axes))
