"""Cases and tolerance of winograd_conv2d; its reference is the convolution's."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from tests.gpustd.reference import conv
from tests.gpustd.reference.conv import Case, reference

__all__ = [
    "AUTOENCODERS_BY_4",
    "CASES",
    "MORE_BY_2",
    "MORE_BY_4",
    "SMALL",
    "UNET_32_BY_4",
    "UNET_64_BY_4",
    "UNET_BY_2",
    "bound",
    "reference",
    "transforms",
]

Array = NDArray[np.float64]

SMALL = (
    Case(2, 32, 32, 64, 64),
    Case(2, 16, 16, 256, 128),
    Case(1, 128, 128, 32, 32),
)
"""Sizes that are timed on every device, and tested."""

UNET_64_BY_4 = (
    Case(2, 64, 64, 320, 320),
    Case(2, 64, 64, 640, 320),
    Case(2, 64, 64, 960, 320),
)
UNET_32_BY_4 = (
    Case(2, 32, 32, 320, 640),
    Case(2, 32, 32, 640, 640),
    Case(2, 32, 32, 960, 640),
    Case(2, 32, 32, 1280, 640),
    Case(2, 32, 32, 1920, 640),
)
AUTOENCODERS_BY_4 = (
    Case(1, 128, 128, 512, 512),
    Case(1, 256, 256, 512, 256),
    Case(1, 256, 256, 256, 256),
    Case(1, 512, 512, 256, 256),
    Case(1, 512, 512, 256, 128),
)
MORE_BY_4 = (
    Case(1, 64, 64, 512, 512),
    Case(2, 64, 64, 640, 640),
    Case(2, 128, 128, 320, 320),
)
UNET_BY_2 = (
    Case(2, 16, 16, 640, 1280),
    Case(2, 16, 16, 1280, 1280),
    Case(2, 16, 16, 1920, 1280),
    Case(2, 16, 16, 2560, 1280),
)
MORE_BY_2 = (
    Case(2, 64, 64, 640, 640),
    Case(2, 32, 32, 1280, 1280),
)
"""Sizes of Stable Diffusion that are timed on GPUs, in blocks of 4 and of 2."""

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
    Case(1, 4, 4, 0, 4),
    Case(2, 5, 7, 8, 16, wrap="xy"),
    Case(1, 3, 4, 8, 8, upsample=(6, 7), wrap="y", second=8),
    Case(2, 3, 5, 16, 8, upsample=(6, 10), second=8, residual=True, activation="silu"),
    Case(1, 3, 4, 8, 8, upsample=(6, 8), wrap="xy"),
    *SMALL,
)


def transforms(block: int) -> tuple[Array, Array, Array]:
    """Matrices A', B' and G of F(block x block, 3 x 3), a row of B' and G for each point.

    Y = A' ((G g G') * (B' d B)) A. With the points p, after Toom and Cook: rows of A' are powers of
    p, rows of G powers divided by the product of p - q over the other points q, rows of B' the
    coefficients of the product of x - q; infinity takes the highest powers.
    """
    points = {2: [0.0, 1.0, np.inf, -1.0], 4: [0.0, 0.75, -0.75, 1.5, -1.5, np.inf]}[block]
    finite = [p for p in points if np.isfinite(p)]
    count = len(points)
    a, b, g = np.zeros((block, count)), np.zeros((count, count)), np.zeros((count, 3))
    for i, p in enumerate(points):
        roots = [q for q in finite if q != p]
        b[i, : len(roots) + 1] = np.poly(roots)[::-1]
        if np.isfinite(p):
            a[:, i] = p ** np.arange(block)
            g[i] = p ** np.arange(3) / np.prod([p - q for q in roots])
        else:
            a[-1, i] = g[i, -1] = 1
    return a, b, g


def bound(case: Case, x: Array, w: Array, result: Array, eps_out: float, block: int = 2) -> Array:
    """Return the greatest error allowed: the direct form's, and that of rounded transforms.

    Of both factors of each product, of a transformed pixel and a transformed weight, each is off by
    ``eps_out`` at most, and so is the products' sum, whose variance is that of all products; the
    variances of these, and of what results make of the sums, follow from the squares of the
    transforms. Such errors add up like their root mean square, of which seven times is allowed.
    """
    direct = conv.bound(case, x, w, result, eps_out)
    if not x.size:
        return direct
    a, b, g = (m**2 for m in transforms(block))
    along = np.max(a @ (b.sum(axis=1) * g.sum(axis=1)))
    typical = along * np.sqrt(3 * w.shape[2]) * np.std(x) * np.std(w)
    return np.asarray(direct + 7 * eps_out * typical)
