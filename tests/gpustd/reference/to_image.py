"""Reference, cases and tolerance of the conversion to grey levels."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "LARGE", "SMALL", "TIE", "reference"]

SMALL: tuple[tuple[int, int, int, int], ...] = ((1, 256, 256, 3),)
"""Sizes that are timed on every device, and tested."""

LARGE: tuple[tuple[int, int, int, int], ...] = (
    (1, 512, 512, 3),
    (4, 1024, 1024, 3),
)
"""Sizes that are timed on GPUs."""

CASES: tuple[tuple[int, int, int, int], ...] = (
    (0, 4, 4, 3),
    (1, 1, 1, 3),
    (2, 3, 5, 3),
    (1, 16, 16, 3),
    (3, 7, 11, 3),
    *SMALL,
)
"""Shapes."""

TIE = 1e-4
"""How near to a half a level may be for its rounding to go either way.

The level, up to 255, is computed with three roundings of f32: 3 * 255 * 2^-24 < 1e-4.
"""


def reference(x: NDArray[np.float64]) -> NDArray[np.float64]:
    """Levels before rounding, clamped to 0 .. 255."""
    return np.clip((x / 2 + 0.5) * 255, 0, 255)
