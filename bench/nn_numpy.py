"""Operations of gpustd.nn in NumPy and SciPy, as users write them, with our shapes."""

from __future__ import annotations

import importlib
import math
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

__all__ = [
    "attention",
    "batch_norm",
    "bilinear",
    "convolution",
    "gelu",
    "log_softmax",
    "normalize",
    "pool",
    "rms_norm",
    "transposed_convolution",
]

Array = NDArray[Any]


def gelu(x: Array) -> Array:
    """Return the exact form of GELU."""
    return np.asarray(x / 2 * (1 + _special().erf(x / np.float32(math.sqrt(2)))))


def pool(kind: str, kernel: int, stride: int, padding: int) -> Callable[[Array], Array]:
    """Return a function for the maximum or mean of square windows; a mean counts padding as 0."""
    fill = -math.inf if kind == "max" else 0.0

    def call(x: Array) -> Array:
        width = ((0, 0), (padding, padding), (padding, padding), (0, 0))
        padded = np.pad(x, width, constant_values=fill)
        windows = sliding_window_view(padded, (kernel, kernel), (1, 2))[:, ::stride, ::stride]
        return np.asarray(windows.max((-2, -1)) if kind == "max" else windows.mean((-2, -1)))

    return call


def convolution(groups: int) -> Callable[[Array, Array], Array]:
    """Return a convolution with padding "same" and an odd kernel."""

    def call(x: Array, w: Array) -> Array:
        kernel = w.shape[:-2]
        width = [(0, 0), *((k // 2, k // 2) for k in kernel), (0, 0)]
        axes = tuple(range(1, len(kernel) + 1))
        windows = sliding_window_view(np.pad(x, width), kernel, axes)
        windows = np.moveaxis(windows, len(kernel) + 1, -1)
        each, outputs = x.shape[-1] // groups, w.shape[-1] // groups
        parts = []
        for g in range(groups):
            rows = windows[..., g * each : (g + 1) * each].reshape(*x.shape[:-1], -1)
            parts.append(rows @ w[..., g * outputs : (g + 1) * outputs].reshape(-1, outputs))
        return np.asarray(np.concatenate(parts, -1))

    return call


def transposed_convolution(x: Array, w: Array) -> Array:
    """Double the size by a transposed convolution: kernel 4 x 4, stride 2, padding 1."""
    images, height, width, _ = x.shape
    y = np.zeros((images, 2 * height + 2, 2 * width + 2, w.shape[-1]), x.dtype)
    for i, j in np.ndindex(4, 4):
        y[:, i : i + 2 * height : 2, j : j + 2 * width : 2] += x @ w[i, j]
    return np.asarray(y[:, 1:-1, 1:-1])


def batch_norm(x: Array, mean: Array, variance: Array, weight: Array, bias: Array) -> Array:
    """Normalise channels with given statistics."""
    return np.asarray((x - mean) / np.sqrt(variance + np.float32(1e-5)) * weight + bias)


def rms_norm(x: Array) -> Array:
    """Divide rows by the root of their mean square."""
    eps = np.finfo(np.float32).eps
    return np.asarray(x / np.sqrt((x * x).mean(-1, keepdims=True) + eps))


def normalize(x: Array) -> Array:
    """Divide rows by their length."""
    return np.asarray(x / np.maximum(np.linalg.norm(x, axis=-1, keepdims=True), 1e-12))


def log_softmax(x: Array) -> Array:
    """Return the log_softmax of every row."""
    return np.asarray(_special().log_softmax(x, -1))


def bilinear(x: Array) -> Array:
    """Double the size by linear interpolation between the centres of pixels."""
    zoom = importlib.import_module("scipy.ndimage").zoom
    return np.asarray(zoom(x, (1, 2, 2, 1), order=1, mode="nearest", grid_mode=True))


def attention(q: Array, k: Array, v: Array, mask: Array) -> Array:
    """Compute attention with all scores in memory, and add the mask to them."""
    scores = np.einsum("bqhd,bkhd->bhqk", q, k) / np.float32(math.sqrt(q.shape[-1])) + mask
    return np.asarray(np.einsum("bhqk,bkhd->bqhd", _special().softmax(scores, -1), v))


def _special() -> Any:
    return importlib.import_module("scipy.special")
