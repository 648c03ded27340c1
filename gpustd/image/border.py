"""What lies beyond an image's edge, named as in `scipy.ndimage`.

========== ============================ ==========================
mode       beyond ``a b c d``           also called
========== ============================ ==========================
reflect    ``d c b a | a b c d | d c``  grid-mirror
mirror     ``d c b | a b c d | c b a``
nearest    ``a a a | a b c d | d d d``  edge
wrap       ``b c d | a b c d | a b c``  grid-wrap
constant   ``k k k | a b c d | k k k``  grid-constant
========== ============================ ==========================
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpustd.launch.checks import as_float, choice

__all__ = ["CONSTANT", "border_of", "extended"]

CONSTANT = 4
_NUMBERS = {
    "reflect": 0,
    "grid-mirror": 0,
    "mirror": 1,
    "nearest": 2,
    "edge": 2,
    "wrap": 3,
    "grid-wrap": 3,
    "constant": CONSTANT,
    "grid-constant": CONSTANT,
}


def border_of(op: str, mode: str, cval: float = 0.0) -> tuple[int, float]:
    """The number of a mode in ``shaders/image/border.wgsl``, and ``cval``.

    Raises `ArgumentError` for another mode, and for a constant that is no number.
    """
    return _NUMBERS[choice(op, "mode", mode, _NUMBERS)], as_float(op, "cval", cval)


def extended(number: int, before: int, extent: int, after: int) -> NDArray[np.int32]:
    """Index inside of each place from -before to extent + after - 1; -1 for the constant."""
    i = np.arange(-before, extent + after)
    if number == CONSTANT:
        return np.where((i >= 0) & (i < extent), i, -1).astype(np.int32)
    if number == 2:
        return np.clip(i, 0, extent - 1).astype(np.int32)
    if number == 3:
        return (i % extent).astype(np.int32)
    period = 2 * extent if number == 0 else max(2 * extent - 2, 1)
    i %= period
    last = 2 * extent - 1 if number == 0 else 2 * extent - 2
    return np.where(i < extent, i, last - i).astype(np.int32)
