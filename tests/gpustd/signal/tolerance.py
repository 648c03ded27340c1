"""Bounds of the distance between results in f32 and float64, from each algorithm's arithmetic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpustd.signal.fourier.factors import is_smooth, next_smooth

__all__ = ["U", "check_norms", "error_along", "transform_error"]

U = 2.0**-24
"""Half a unit in the last place of f32, relatively."""


def transform_error(n: int) -> float:
    """Return the relative error, in the L2 norm, of a transform of ``n``.

    A transform of log2(n) levels with roots of relative error mu is off by at most log2(n) eta,
    with eta = mu + gamma_4 (sqrt 2 + mu) (Higham, Accuracy and Stability of Numerical Algorithms,
    theorem 24.2). For roots rounded once, mu = U and eta = 6.7 U. In that bound all roundings of a
    level point one way; over numbers of mixed sign they add up as squares. So 2 U a level is
    allowed, and one level more for the scale and for packing real numbers.

    Bluestein's rule has two transforms of its longer convolution, and three products with tables of
    sqrt(5) U and a table's own U each.
    """
    if is_smooth(n):
        return 2 * U * (math.log2(n) + 1)
    size = next_smooth(2 * n - 1, (2,))
    return 2 * transform_error(size) + 3 * (math.sqrt(5) + 1) * U


def error_along(expected: NDArray[Any], axis: int | tuple[int, ...], error: float) -> NDArray[Any]:
    """Return the error allowed for each number: that of the L2 norm of ``expected`` along ``axis``.

    Half a spectrum has at least a root of a half of the norm of all of it.
    """
    norms = np.sqrt(np.sum(np.abs(expected) ** 2, axis=axis, keepdims=True))
    return np.asarray(math.sqrt(2) * error * norms)


def check_norms(result: NDArray[Any], expected: NDArray[Any], axis: int, error: float) -> None:
    """Fail unless each row is as near in the L2 norm as `error_along` allows each number to be."""
    allowed = error_along(expected, axis, error)
    off = np.sqrt(np.sum(np.abs(result - expected) ** 2, axis=axis, keepdims=True))
    assert np.all(off <= allowed), f"off by {np.max(off / allowed):.2f} of what is allowed"
