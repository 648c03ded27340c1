"""Weights of resizing along one axis, in float64.

With antialiasing they follow Pillow (`src/libImaging/Resample.c`). There, the filter grows with the
scale on shrinking. Weights beyond the edge are left out, and the others are scaled to sum to 1.
Without antialiasing, weights interpolate between half-pixel centres, and the edge is repeated, as
in OpenCV's INTER_LINEAR and INTER_CUBIC.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["Taps", "area_taps", "filter_taps", "point_taps"]

Array = NDArray[Any]


@dataclass(frozen=True)
class Taps:
    """The weights of each place of the result: ``starts`` (places,) and ``weights`` (places, taps).

    Place p sums the source from place ``starts[p]`` on, with ``weights[p]``; every row sums to 1.
    """

    starts: NDArray[np.uint32]
    weights: NDArray[np.float64]


def _triangle(x: Array) -> Array:
    """Return the triangle of the bilinear filter."""
    return np.asarray(np.maximum(1 - np.abs(x), 0))


def _cubic(x: Array, a: float) -> Array:
    """Return Keys' cubic with parameter ``a`` (Keys 1981, doi 10.1109/TASSP.1981.1163711)."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = (((x - 5) * x + 8) * x - 4) * a
    return np.where(x < 1, near, np.where(x < 2, far, 0))


def _lanczos(x: Array) -> Array:
    """Return the Lanczos filter of three lobes (Duchon 1979)."""
    return np.where(np.abs(x) < 3, np.sinc(x) * np.sinc(x / 3), 0)


# For each method: half its width, and its functions with antialiasing and without.
_FILTERS: dict[str, tuple[float, Callable[[Array], Array], Callable[[Array], Array]]] = {
    "bilinear": (1, _triangle, _triangle),
    "bicubic": (2, lambda x: _cubic(x, -0.5), lambda x: _cubic(x, -0.75)),
    "lanczos": (3, _lanczos, _lanczos),
}


def filter_taps(method: str, source: int, target: int) -> Taps:
    """Return Pillow's antialiased weights from ``source`` places to ``target``."""
    support, function, _ = _FILTERS[method]
    scale = source / target
    stretch = max(scale, 1.0)
    centre = (np.arange(target) + 0.5) * scale
    first = np.maximum(np.trunc(centre - support * stretch + 0.5), 0).astype(np.int64)
    end = np.minimum(np.trunc(centre + support * stretch + 0.5), source).astype(np.int64)
    places = first[:, None] + np.arange((end - first).max(initial=1))
    weights = function((places - centre[:, None] + 0.5) / stretch)
    weights = np.where(places < end[:, None], weights, 0)
    return _move_starts(first, weights / weights.sum(axis=1, keepdims=True), source)


def point_taps(method: str, source: int, target: int) -> Taps:
    """Return weights that interpolate at the centres of the result's pixels."""
    support, _, function = _FILTERS[method]
    centre = (np.arange(target) + 0.5) * (source / target) - 0.5
    nearest = np.floor(centre).astype(np.int64)
    places = nearest[:, None] + np.arange(1 - int(support), int(support) + 1)
    weights = function(places - centre[:, None])
    weights /= weights.sum(axis=1, keepdims=True)
    inside = np.clip(places, 0, source - 1)
    first = inside[:, :1]
    moved = np.zeros_like(weights)
    np.add.at(moved, (np.arange(target)[:, None], inside - first), weights)
    return _move_starts(first[:, 0], moved, source)


def area_taps(source: int, target: int) -> Taps:
    """Return weights of the mean of the source under each pixel of the result.

    A pixel under its edge counts in part.
    """
    edges = np.arange(target + 1) * source / target
    first = np.minimum(np.floor(edges[:-1]).astype(np.int64), source - 1)
    count = int((np.ceil(edges[1:]).astype(np.int64) - first).max(initial=1))
    places = first[:, None] + np.arange(count)
    overlap = np.minimum(places + 1, edges[1:, None]) - np.maximum(places, edges[:-1, None])
    weights = np.where(places < source, np.maximum(overlap, 0), 0)
    return _move_starts(first, weights / weights.sum(axis=1, keepdims=True), source)


def _move_starts(first: Array, weights: Array, source: int) -> Taps:
    """Return taps whose starts are moved back so that none, used or not, lies beyond the source."""
    taps = min(weights.shape[1], source)
    starts = np.minimum(first, source - taps)
    moved = np.zeros((len(first), taps))
    shift = first - starts
    for k in range(taps):
        from_ = k - shift
        rows = (from_ >= 0) & (from_ < weights.shape[1])
        moved[rows, k] = weights[rows, from_[rows]]
    return Taps(starts.astype(np.uint32), moved)
