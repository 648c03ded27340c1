"""Reference and cases of the count of numbers that are not finite. It is exact."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "LARGE", "SMALL", "reference"]

SMALL: tuple[tuple[int, ...], ...] = (
    (1, 64, 64, 4),
    (1, 1024, 1024, 3),
)
"""Sizes that are timed on every device, and tested."""

LARGE: tuple[tuple[int, ...], ...] = ((1, 1024, 1024, 128),)
"""Sizes that are timed on GPUs."""

CASES: tuple[tuple[int, ...], ...] = (
    (0,),
    (1,),
    (3, 5),
    (1, 7, 9, 4),
    (127,),
    (128,),
    (1025,),
    (65536 * 64 * 4 + 5,),
    *SMALL,
)
"""Shapes. The last one takes more than 65 535 workgroups of 64 words of f32."""


def reference(x: NDArray[Any]) -> int:
    """How many elements are infinite or NaN."""
    return int(np.count_nonzero(~np.isfinite(x)))
