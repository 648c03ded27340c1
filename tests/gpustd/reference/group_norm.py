"""Reference, cases and tolerance of group norm."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "LARGE", "SMALL", "Case", "bound", "reference"]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Case:
    """Shape of the first source, channels of the second (0: none), groups, mean of the data."""

    shape: tuple[int, ...]
    groups: int
    second: int = 0
    silu: bool = False
    offset: float = 0.0

    @property
    def channels(self) -> int:
        """Of both sources."""
        return self.shape[-1] + self.second

    @property
    def name(self) -> str:
        """Name in test ids and benchmark rows."""
        size = "x".join(map(str, self.shape))
        extra = [f"with{self.second}" * bool(self.second), "silu" * self.silu]
        offset = f"mean{self.offset:g}" if self.offset else ""
        return "-".join(part for part in (f"{size}g{self.groups}", *extra, offset) if part)


SMALL = (
    Case((2, 16, 16, 128), 32, silu=True),
    Case((2, 16, 16, 128), 32, second=64, silu=True),
    Case((1, 128, 128, 32), 32, silu=True),
)
"""Sizes that are timed on every device, and tested."""

LARGE = (
    Case((2, 64, 64, 320), 32, silu=True),
    Case((2, 64, 64, 320), 32, second=320, silu=True),
    Case((2, 64, 64, 320), 32, second=640, silu=True),
    Case((2, 64, 64, 640), 32, silu=True),
    Case((2, 64, 64, 640), 32, second=320, silu=True),
    Case((2, 128, 128, 320), 32, silu=True),
    Case((2, 32, 32, 640), 32, silu=True),
    Case((2, 32, 32, 1280), 32, silu=True),
    Case((2, 32, 32, 1280), 32, second=640, silu=True),
    Case((2, 16, 16, 1280), 32, silu=True),
    Case((2, 16, 16, 1280), 32, second=1280, silu=True),
    Case((2, 8, 8, 1280), 32, silu=True),
    Case((2, 8, 8, 1280), 32, second=1280, silu=True),
    Case((1, 512, 512, 128), 32, silu=True),
    Case((1, 512, 512, 256), 32, silu=True),
    Case((1, 256, 256, 256), 32, silu=True),
    Case((1, 256, 256, 512), 32, silu=True),
    Case((1, 128, 128, 512), 32, silu=True),
    Case((1, 64, 64, 512), 32, silu=True),
)
"""Sizes that are timed on GPUs."""

CASES = (
    Case((1, 1, 1, 1), 1),
    Case((2, 3, 5, 4), 4, silu=True),
    Case((2, 7, 5, 8), 2),
    Case((1, 3, 3, 6), 3, silu=True),
    Case((2, 8, 8, 32), 32),
    Case((2, 16, 17, 40), 10, second=20, silu=True),
    Case((1, 1, 1, 5), 4, second=7),
    Case((2, 5, 4, 24), 8, second=40),
    Case((1, 33, 31, 68), 17, silu=True),
    Case((2, 129, 24), 6),
    Case((1, 9, 9, 80), 32, second=240, silu=True),
    Case((1, 63, 65, 8), 2),
    Case((1, 32, 33, 16), 4, offset=1000.0),
    Case((1, 32, 33, 12), 4, second=8, offset=-1000.0),
    Case((1, 129, 131, 8), 2, silu=True, offset=100.0),
    Case((2, 20, 21, 64), 8, second=64, silu=True),
    Case((1, 37, 41, 40), 4, silu=True, offset=1000.0),
    Case((1, 13, 17, 36), 6, second=18),
    Case((0, 4, 4, 8), 2),
    Case((2, 0, 4, 8), 2),
    *SMALL,
)


def grouped(x: Array, groups: int) -> Array:
    """(images, pixels, groups, channels of a group)."""
    channels = x.shape[-1]
    return x.reshape(x.shape[0], int(np.prod(x.shape[1:-1])), groups, channels // groups)


def reference(case: Case, x: Array, gamma: Array, beta: Array, eps: float) -> Array:
    """Group norm in float64; ``x`` holds both sources."""
    if not x.size:
        return x
    y = _normalised(case, x, eps) * gamma + beta
    return np.asarray(y / (1 + np.exp(-y)) if case.silu else y)


def _normalised(case: Case, x: Array, eps: float) -> Array:
    v = grouped(x, case.groups)
    mean = v.mean(axis=(1, 3), keepdims=True)
    factor = 1 / np.sqrt(v.var(axis=(1, 3), keepdims=True) + eps)
    return np.asarray(((v - mean) * factor).reshape(x.shape))


def bound(case: Case, x: Array, gamma: Array, beta: Array, eps: float, eps_out: float) -> Array:
    """Return the greatest error allowed for each element.

    As for layer norm (`layer_norm.bound`): x - mean is off by two units of the
    largest |x| of its group, the factor by 32 (the moments of up to a hundred runs are merged one
    by one), gamma and beta by one each. SiLU's slope is below 1.1, and it adds 8 units of its own.
    """
    if not x.size:
        return x
    unit = float(np.finfo(np.float32).eps)
    v = grouped(x, case.groups)
    deviation = np.sqrt(v.var(axis=(1, 3), keepdims=True) + eps)
    near = np.broadcast_to(np.abs(v).max(axis=(1, 3), keepdims=True) / deviation, v.shape)
    scaled = np.abs(_normalised(case, x, eps) * gamma)
    error = 2 * unit * near.reshape(x.shape) * np.abs(gamma)
    error = error + 34 * unit * scaled + unit * (scaled + np.abs(beta))
    exact = np.abs(reference(case, x, gamma, beta, eps))
    stored = eps_out * exact + (6e-8 if eps_out > unit else 0.0)
    return np.asarray(1.1 * error + 8 * unit * exact + stored)
