"""Images in NumPy and SciPy, or CuPy, as their users write them; results as of `gpustd.image`.

A peer takes the module, NumPy or CuPy, and its picture (N, H, W, C). Where SciPy would work in u8,
it gets floats and the result is rounded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from bench.cupy_peer import scipy_part

__all__ = [
    "Peer",
    "box",
    "composite",
    "equalise",
    "erode",
    "flip",
    "gaussian",
    "histogram",
    "matrix",
    "median",
    "rotate",
    "sobel",
]

Peer = Callable[[Any, Any], Any]


def flip(axis: int) -> Peer:
    """Return the peer that reverses an axis."""
    return lambda np, x: np.flip(x, axis).copy()


def matrix(rows: Sequence[Sequence[float]], offset: Sequence[float]) -> Peer:
    """Return the peer that multiplies channels by a matrix."""

    def call(np: Any, x: Any) -> Any:
        weights = np.asarray(rows, np.float32).T
        return _like(np, x @ weights + np.asarray(offset, np.float32), x)

    return call


def box(size: int) -> Peer:
    """Return the peer that takes means of windows."""
    window = (1, size, size, 1)
    return lambda np, x: _like(
        np, _ndimage(np).uniform_filter(_floats(np, x), window, mode="mirror"), x
    )


def gaussian(sigma: float, truncate: float) -> Peer:
    """Return the peer that blurs by normal weights."""
    of = {"mode": "mirror", "truncate": truncate}
    widths = (0, sigma, sigma, 0)
    return lambda np, x: _like(np, _ndimage(np).gaussian_filter(_floats(np, x), widths, **of), x)


def median(size: int) -> Peer:
    """Return the peer that takes medians of windows."""
    return lambda np, x: _ndimage(np).median_filter(x, (1, size, size, 1), mode="mirror")


def erode(size: int) -> Peer:
    """Return the peer that takes the least value of windows."""
    return lambda np, x: _ndimage(np).grey_erosion(x, (1, size, size, 1))


def sobel(np: Any, x: Any) -> Any:
    """Return the length of the gradient, image by image: SciPy smooths along all other axes."""
    images = _floats(np, x)[..., 0]
    slope = _ndimage(np).sobel
    down, across = (np.stack([slope(each, axis) for each in images]) for axis in (0, 1))
    return np.hypot(down, across)[..., None]


def rotate(angle: float) -> Peer:
    """Return the peer that samples a picture linearly, turned about its centre."""
    of = {"axes": (2, 1), "reshape": False, "order": 1}
    return lambda np, x: _like(np, _ndimage(np).rotate(_floats(np, x), angle, **of), x)


def histogram(np: Any, x: Any) -> Any:
    """Count 256 levels of each image of one channel."""
    return np.stack([np.bincount(each.ravel(), minlength=256) for each in x])[:, None]


def equalise(np: Any, x: Any) -> Any:
    """Equalise by Pillow's rule, with a table for each image of one channel."""
    return np.stack([_table(np, each)[each] for each in x])


def _table(np: Any, x: Any) -> Any:
    counts = np.bincount(x.ravel(), minlength=256)
    step = max(int(counts.sum() - counts[counts.nonzero()[0][-1]]) // 255, 1)
    before = np.cumsum(counts) - counts
    return np.minimum((before + step // 2) // step, 255).astype(np.uint8)


def composite(np: Any, x: Any) -> Any:
    """Lay a picture of four channels over itself, with straight alpha."""
    above = _floats(np, x)
    alpha = above[..., 3:]
    rest = alpha * (1 - alpha / 255)
    total = alpha + rest
    colours = (above[..., :3] * (alpha + rest)) / np.where(total == 0, 1, total)
    result = np.where(alpha == 0, above, np.concatenate([colours, total], -1))
    return _like(np, result, x)


def _ndimage(np: Any) -> Any:
    return scipy_part(np, "ndimage")


def _floats(np: Any, x: Any) -> Any:
    return x.astype(np.float32)


def _like(np: Any, y: Any, x: Any) -> Any:
    """Return ``y`` in the dtype of ``x``; levels are rounded."""
    return np.rint(y).clip(0, 255).astype(np.uint8) if x.dtype == np.uint8 else y
