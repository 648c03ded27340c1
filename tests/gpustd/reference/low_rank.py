"""Reference, cases and tolerance of low-rank updates."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["CASES", "NONE", "SMALL", "UNET_XL", "Case", "bound", "reference"]

Array = NDArray[np.float64]

NONE = -1
"""The slot of an image without an update."""


@dataclass(frozen=True)
class Case:
    """Slots of the images, rows of each, K, ranks of a group, N and groups."""

    chosen: tuple[int, ...]
    rows: int
    k: int
    ranks: int
    n: int
    groups: int = 1

    @property
    def name(self) -> str:
        """Name in test ids and benchmark rows."""
        size = f"{len(self.chosen)}x{self.rows}x{self.k}x{self.groups * self.ranks}x{self.n}"
        return f"{size}{'' if self.groups == 1 else f' in {self.groups}'}"


SMALL = (Case((0, 1), 64, 128, 32, 192, 3),)
"""Sizes that are timed on every device, and tested."""

CASES = (
    Case((0,), 1, 1, 4, 1),
    Case((), 3, 5, 4, 6),
    Case((0, 1), 0, 5, 4, 6),
    Case((1, NONE, 0), 7, 24, 16, 20),
    Case((NONE, NONE), 5, 9, 4, 7),
    Case((2, 0), 33, 48, 16, 64),
    Case((1, NONE, 0), 40, 80, 16, 72),
    *SMALL,
    Case((1,), 45, 640, 32, 136),
    Case((0, 1), 32, 96, 48, 264, 3),
)
UNET_XL = (
    Case((0, 0), 1024, 1280, 32, 1280),
    Case((0, 0), 1024, 1280, 32, 3840, 3),
    Case((0, 0), 1024, 1280, 32, 10240),
    Case((0, 0), 1024, 5120, 32, 1280),
    Case((0, 0), 4096, 640, 32, 640),
    Case((0, 0), 4096, 2560, 32, 640),
)
"""Sizes that are timed on GPUs: LoRAs of rank 32 beside the layers of SDXL."""


def reference(case: Case, x: Array, down: Array, up: Array) -> Array:
    """Return the updates (images, rows, N) in float64."""
    result = np.zeros((len(case.chosen), case.rows, case.n))
    share = case.n // case.groups
    for image, slot in enumerate(case.chosen):
        if slot == NONE:
            continue
        for group in range(case.groups):
            ranks = slice(group * case.ranks, (group + 1) * case.ranks)
            columns = slice(group * share, (group + 1) * share)
            narrow = x[image] @ down[slot][:, ranks]
            result[image][:, columns] = narrow @ up[slot][:, columns]
    return result


def bound(case: Case, x: Array, down: Array, up: Array, eps: float) -> Array:
    """Return the greatest error allowed.

    The narrow half may be rounded to the storage type, by ``eps``, and so is the result. Sums of K
    numbers and of the ranks are in f32: with random signs, K + ranks roundings are far less than
    their number times the sum of absolute products.
    """
    sums = reference(case, np.abs(x), np.abs(down), np.abs(up))
    f32 = float(np.finfo(np.float32).eps)
    return np.asarray((2 * eps + (case.k + case.ranks) * f32) * sums)
