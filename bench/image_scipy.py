"""Images in NumPy and SciPy, as their users write them; results are those of `gpustd.image`.

A peer takes a picture (N, H, W, C). Where SciPy would work in u8, it is given floats and the result
is rounded.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "box",
    "composite",
    "equalised",
    "eroded",
    "flipped",
    "gaussian",
    "histogram",
    "matrix",
    "median",
    "rotated",
    "sobel",
]

Array = NDArray[Any]
Peer = Callable[[Array], Array]


def flipped(axis: int) -> Peer:
    """Reversed along an axis."""
    return lambda x: np.flip(x, axis).copy()


def matrix(rows: Sequence[Sequence[float]], offset: Sequence[float]) -> Peer:
    """Channels through a matrix."""
    weights = np.asarray(rows, np.float32).T
    return lambda x: _like(x @ weights + np.asarray(offset, np.float32), x)


def box(size: int) -> Peer:
    """Means of windows."""
    return lambda x: _like(
        _ndimage().uniform_filter(_floats(x), (1, size, size, 1), mode="mirror"), x
    )


def gaussian(sigma: float, truncate: float) -> Peer:
    """A blur by normal weights."""
    of = {"mode": "mirror", "truncate": truncate}
    return lambda x: _like(_ndimage().gaussian_filter(_floats(x), (0, sigma, sigma, 0), **of), x)


def median(size: int) -> Peer:
    """Medians of windows."""
    return lambda x: np.asarray(_ndimage().median_filter(x, (1, size, size, 1), mode="mirror"))


def eroded(size: int) -> Peer:
    """Least of windows."""
    return lambda x: np.asarray(_ndimage().grey_erosion(x, (1, size, size, 1)))


def sobel(x: Array) -> Array:
    """Length of the gradient, image by image: SciPy smooths along all other axes."""
    images = _floats(x)[..., 0]
    down, across = (np.stack([_ndimage().sobel(each, axis) for each in images]) for axis in (0, 1))
    return np.asarray(np.hypot(down, across)[..., None])


def rotated(angle: float) -> Peer:
    """Linear samples of a picture turned about its centre."""
    of = {"axes": (2, 1), "reshape": False, "order": 1}
    return lambda x: _like(_ndimage().rotate(_floats(x), angle, **of), x)


def histogram(x: Array) -> Array:
    """Counts of 256 levels of each image of one channel."""
    return np.stack([np.bincount(each.ravel(), minlength=256) for each in x])[:, None]


def equalised(x: Array) -> Array:
    """Pillow's rule, by a table for each image of one channel."""
    return np.stack([_table(each)[each] for each in x])


def _table(x: Array) -> Array:
    counts = np.bincount(x.ravel(), minlength=256)
    step = max(int(counts.sum() - counts[counts.nonzero()[0][-1]]) // 255, 1)
    before = np.cumsum(counts) - counts
    return np.asarray(np.minimum((before + step // 2) // step, 255), np.uint8)


def composite(x: Array) -> Array:
    """A picture of four channels over itself, with straight alpha."""
    above = _floats(x)
    alpha = above[..., 3:]
    rest = alpha * (1 - alpha / 255)
    both = alpha + rest
    colours = (above[..., :3] * (alpha + rest)) / np.where(both == 0, 1, both)
    return _like(np.where(alpha == 0, above, np.concatenate([colours, both], -1)), x)


def _ndimage() -> Any:
    return importlib.import_module("scipy.ndimage")


def _floats(x: Array) -> Array:
    return x.astype(np.float32)


def _like(y: Array, x: Array) -> Array:
    """In the picture's dtype; levels are rounded."""
    return np.asarray(np.rint(y).clip(0, 255), np.uint8) if x.dtype == np.uint8 else y
