"""Reference and cases of the embedding look-up; equal bit by bit, NaN for ids out of range."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "LARGE", "SMALL", "reference"]

SMALL: tuple[tuple[tuple[int, int], tuple[int, ...]], ...] = (((2000, 128), (2, 32)),)
"""Sizes that are timed on every device, and tested."""

LARGE: tuple[tuple[tuple[int, int], tuple[int, ...]], ...] = (((49408, 768), (2, 77)),)
"""Sizes that are timed on GPUs."""

CASES: tuple[tuple[tuple[int, int], tuple[int, ...]], ...] = (
    ((1, 1), (1,)),
    ((5, 3), (7,)),
    ((97, 8), (2, 13)),
    ((1000, 20), (3, 5, 2)),
    ((4, 4), (0,)),
    ((49, 0), (3,)),
    *SMALL,
)
"""Shapes of table and ids."""


def reference(table: NDArray[Any], ids: NDArray[np.int32]) -> NDArray[Any]:
    """Rows by number."""
    known = (ids >= 0) & (ids < len(table))
    rows = table[np.where(known, ids, 0)]
    return np.where(known[..., None], rows, table.dtype.type(np.nan))
