"""Reference and cases of kernels from expressions: a hypotenuse, a norm and a decaying sum.

Tolerances. A sum of n positive numbers, folded in runs, errs by at most (r + p) 2^-24 of itself: r
roundings in a run (256, of lanes 32 and 7 in their tree), p of each further pass, as many. Three
passes cover 2^24 elements, so that 3 * 256 * 2^-24 = 4.6e-5 holds for all cases; a root halves it.
An element of a decaying sum depends on the last 25 elements only, since 0.5^25 is below f32: 25
roundings of a product and a sum each, of its size, and one in a pass more: 60 * 2^-24 = 3.6e-6.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "LARGE", "SMALL", "TOLERANCE", "Case", "decay", "norm", "reference"]

TOLERANCE = {"hypot": 4e-7, "norm": 2.3e-5, "decay": 3.6e-6}
"""Relative; hypot has two products, a sum and a root of 2.5 units: 3.5 units of 1.2e-7."""


class Case(NamedTuple):
    """An array, and the axis that reductions and scans go along; None for all."""

    shape: tuple[int, ...]
    axis: int | None


SMALL = (Case((1024, 1024), 1), Case((1024, 1024), 0), Case((2**20,), None))
"""Sizes that are timed on every device, and tested."""

LARGE = (Case((8192, 8192), 1), Case((8192, 8192), 0), Case((2**26,), None))
"""Sizes that are timed on GPUs."""

CASES = (
    Case((0,), None),
    Case((), None),
    Case((1,), 0),
    Case((3, 0, 5), 2),
    Case((3, 0, 5), 1),
    Case((127,), 0),
    Case((129,), 0),
    Case((4095, 3), 0),
    Case((3, 4097), 1),
    Case((5, 7, 11), 1),
    Case((2, 257, 2), -1),
    Case((65537, 130), 1),  # more than 65 535 workgroups of lanes
    Case((4194305, 1), 1),  # more than 65 535 workgroups of invocations
    *SMALL,
)


def reference(x: NDArray[Any], y: NDArray[Any]) -> NDArray[Any]:
    """Return the hypotenuses, in float64."""
    return np.asarray(np.hypot(x.astype(np.float64), y.astype(np.float64)))


def norm(x: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """Return the root of the sum of squares, in float64."""
    return np.asarray(np.sqrt(np.sum(np.square(x.astype(np.float64)), axis=axis)))


def decay(x: NDArray[Any], axis: int | None) -> NDArray[Any]:
    """Return y with y[k] = y[k - 1] / 2 + x[k] along an axis, in float64."""
    wide = x.astype(np.float64)
    rows = wide.reshape(-1) if axis is None else np.moveaxis(wide, axis, 0)
    y = np.zeros_like(rows)
    # Further back than 64 elements nothing counts in float64.
    for back in range(min(64, len(rows))):
        y[back:] += 0.5**back * rows[: len(rows) - back]
    return y if axis is None else np.moveaxis(y, 0, axis)
