"""Cases and tolerance of upsampling_conv2d; its reference is the convolution's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.gpustd.reference import conv
from tests.gpustd.reference.conv import Case, reference

__all__ = ["CASES", "LARGE", "SMALL", "bound", "reference"]

Array = NDArray[np.float64]

SMALL = (Case(1, 64, 64, 64, 64, upsample=(128, 128)),)
"""Sizes that are timed on every device, and tested."""

LARGE = (
    Case(1, 256, 256, 256, 256, upsample=(512, 512)),
    Case(1, 128, 128, 512, 512, upsample=(256, 256)),
    Case(1, 64, 64, 512, 512, upsample=(128, 128)),
)
"""Sizes that are timed on GPUs, in Stable Diffusion's autoencoder."""

CASES = (
    Case(1, 1, 1, 1, 1, upsample=(2, 2)),
    Case(2, 3, 5, 3, 5, upsample=(6, 10), residual=True),
    Case(2, 5, 4, 16, 24, upsample=(10, 8), activation="silu"),
    Case(1, 4, 3, 40, 16, upsample=(8, 6), wrap="xy"),
    Case(2, 9, 7, 8, 72, upsample=(18, 14), wrap="x", residual=True),
    Case(0, 2, 2, 4, 4, upsample=(4, 4)),
    *SMALL,
)


def bound(case: Case, x: Array, w: Array, result: Array, eps_out: float) -> Array:
    """Return the greatest error allowed: the direct form's, and that of rounded sums of weights.

    The sums of a window have the mean square of its nine weights, and each is off by ``eps_out`` at
    most; seven times the root mean square of their sum is allowed.
    """
    direct = conv.bound(case, x, w, result, eps_out)
    if not x.size:
        return direct
    size = np.sqrt(9 * w.shape[2] * np.mean(x**2) * np.mean(w**2))
    return np.asarray(direct + 7 * eps_out * size)
