"""Reference, cases and tolerance of casts."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import DTypeLike, NDArray

__all__ = ["CASES", "LARGE", "SMALL", "bound", "reference"]

Array = NDArray[Any]

SMALL: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("f32", "f16", (2**20,)),
    ("f16", "f32", (2**20,)),
)
"""Sizes that are timed on every device, and tested."""

LARGE: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("f32", "f16", (2**26,)),
    ("f16", "f32", (2**26,)),
)
"""Sizes that are timed on GPUs."""

CASES: tuple[tuple[str, str, tuple[int, ...]], ...] = (
    ("f32", "f16", (0,)),
    ("f32", "f16", (1,)),
    ("f32", "f16", (3, 5)),
    ("f32", "f16", (1025,)),
    ("f16", "f32", (7, 9)),
    ("f16", "i32", (130,)),
    ("f32", "i32", (3, 33)),
    ("f32", "u32", (66,)),
    ("i32", "f32", (5, 5)),
    ("i32", "f16", (127,)),
    ("u32", "i32", (17,)),
    ("u32", "f32", (2, 3, 5)),
    ("f32", "i8", (3, 33)),
    ("f16", "u8", (130,)),
    ("i8", "f32", (7, 9)),
    ("u8", "f16", (17,)),
    ("i32", "u8", (1025,)),
    ("u32", "i8", (33,)),
    ("i8", "u32", (5, 5)),
    ("u8", "i8", (2, 3, 5)),
    ("f32", "c64", (3, 7)),
    ("i8", "c64", (5,)),
    *SMALL,
)
"""Source, target and shape."""


def reference(x: Array, dtype: DTypeLike) -> Array:
    """NumPy's conversion: floats to nearest, ties to even; to integers towards zero, clamped."""
    target = np.dtype(dtype)
    if x.dtype.kind == "f" and target.kind in "iu":
        info = np.iinfo(target)
        x = np.clip(x.astype(np.float64), info.min, info.max)
    return x.astype(target)


def bound(result: Array) -> Array:
    """Return the greatest error allowed: none, but 1 ulp to f16.

    WGSL may round to either neighbour there.
    """
    if result.dtype != np.float16:
        return np.zeros(result.shape)
    return np.asarray(np.spacing(np.abs(result)).astype(np.float64))
