"""Random operands, references and bounds for products in CUDA C++."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from tests.gpustd.reference import gemm as oracle

__all__ = ["EPS", "close", "convolution", "normal", "wide"]

Array = NDArray[Any]

EPS = 2.0**-10


def wide(array: Array) -> NDArray[np.float64]:
    return array.astype(np.float64)


def normal(rng: np.random.Generator, *shape: int, scale: float = 1.0) -> Array:
    return (rng.standard_normal(shape) * scale).astype(np.float16)


def close(result: Array, a: Array, w: Array, expected: Array, eps: float = EPS) -> bool:
    """Tell whether a product errs by no more than its reference allows."""
    allowed = oracle.bound(wide(a), wide(w), expected, eps)
    return bool(np.all(np.abs(wide(result) - expected) <= allowed))


def convolution(x: Array, w: Array, stride: int, pads: tuple[int, int, int, int]) -> Array:
    """Return a convolution in float64."""
    padded = np.pad(wide(x), ((0, 0), pads[:2], pads[2:], (0, 0)))
    kernel = w.shape[0]
    views = np.lib.stride_tricks.sliding_window_view(padded, (kernel, kernel), axis=(1, 2))
    taps = views[:, ::stride, ::stride]
    found: Array = np.einsum("nyxcij,ijco->nyxo", taps, wide(w), optimize=True)
    return found
