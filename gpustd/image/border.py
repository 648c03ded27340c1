"""The rule for pixels beyond an image's edge, with the names of `scipy.ndimage`.

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

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpustd.launch.checks import as_float, choice

__all__ = [
    "CONSTANT",
    "MIRROR",
    "NEAREST",
    "REFLECT",
    "WRAP",
    "Border",
    "as_border",
    "extended_indices",
]

# The numbers of ``shaders/image/border.wgsl``.
REFLECT, MIRROR, NEAREST, WRAP, CONSTANT = range(5)
_MODES = {
    "reflect": REFLECT,
    "grid-mirror": REFLECT,
    "mirror": MIRROR,
    "nearest": NEAREST,
    "edge": NEAREST,
    "wrap": WRAP,
    "grid-wrap": WRAP,
    "constant": CONSTANT,
    "grid-constant": CONSTANT,
}


class Border(NamedTuple):
    """The rule beyond an edge: the number of a mode, and the value of the mode constant."""

    mode: int
    fill: float = 0.0


def as_border(op: str, mode: str, cval: float = 0.0) -> Border:
    """Return the border of a mode's name and the value ``cval``.

    Raises `ArgumentError` for an unknown mode, and for a ``cval`` that is not one real number.
    """
    return Border(_MODES[choice(op, "mode", mode, _MODES)], as_float(op, "cval", cval))


def extended_indices(mode: int, before: int, extent: int, after: int) -> NDArray[np.int32]:
    """Return the index inside the image for each place from -before to extent + after - 1.

    The index is -1 where the mode constant gives the value.
    """
    i = np.arange(-before, extent + after)
    if mode == CONSTANT:
        return np.where((i >= 0) & (i < extent), i, -1).astype(np.int32)
    if mode == NEAREST:
        return np.clip(i, 0, extent - 1).astype(np.int32)
    if mode == WRAP:
        return (i % extent).astype(np.int32)
    period = 2 * extent if mode == REFLECT else max(2 * extent - 2, 1)
    i %= period
    last = 2 * extent - 1 if mode == REFLECT else 2 * extent - 2
    return np.where(i < extent, i, last - i).astype(np.int32)
