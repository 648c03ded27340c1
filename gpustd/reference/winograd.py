"""Cases and tolerance of winograd_conv2d; its reference is the convolution's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpustd.reference import conv
from gpustd.reference.conv import Case, reference

__all__ = ["CASES", "bound", "reference"]

Array = NDArray[np.float64]

CASES = (
    Case(1, 1, 1, 1, 1),
    Case(2, 5, 7, 3, 5),
    Case(1, 9, 6, 4, 12, per_image=True),
    Case(2, 8, 8, 8, 16, residual=True),
    Case(1, 7, 5, 16, 8, second=8, per_image=True),
    Case(2, 6, 5, 8, 4, second=24, residual=True, activation="silu"),
    Case(1, 4, 3, 16, 8, upsample=(8, 6)),
    Case(2, 4, 3, 8, 24, upsample=(7, 5), residual=True),
    Case(1, 6, 6, 40, 72, activation="gelu"),
    Case(0, 4, 4, 4, 4),
    Case(2, 5, 7, 8, 16, wrap="xy"),
    Case(1, 3, 4, 8, 8, upsample=(6, 7), wrap="y", second=8),
)


def bound(case: Case, x: Array, w: Array, result: Array, eps_out: float) -> Array:
    """Greatest error allowed: the direct form's, and what rounding transformed numbers adds.

    A transformed pixel sums four, of four times their variance; a transformed weight has on average
    0.77 times the variance of the nine; nine products of each channel make a result, and in each
    both factors are off by ``eps_out`` at most. Such errors add up like their root mean square, of
    which seven times is allowed.
    """
    direct = conv.bound(case, x, w, result, eps_out)
    if not x.size:
        return direct
    typical = np.sqrt(9 * w.shape[2] * 4 * 0.77 * 2) * np.std(x) * np.std(w)
    return np.asarray(direct + 7 * eps_out * typical)
