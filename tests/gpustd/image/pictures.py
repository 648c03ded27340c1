"""Pictures for the tests of `gpustd.image`, and their comparison with float64."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device
from tests.gpustd.compare import compare
from tests.gpustd.poison import poison_pool

__all__ = ["EPS", "MODES", "SHAPES", "check", "draw", "per_axis", "upload"]

Array = NDArray[Any]

EPS = 2.0**-24
"""Unit of f32's rounding to the nearest."""

MODES = ("reflect", "mirror", "nearest", "wrap", "constant")

# Rows that end inside of a word, rows of whole words, a batch, one pixel.
SHAPES = ((13, 17), (6, 20, 3), (2, 5, 7, 4), (2, 3, 9, 1), (1, 1, 2))


def draw(shape: tuple[int, ...], dtype: type[Any], seed: int = 1) -> Array:
    """Values in 0 .. 255 of u8, around 0 of f32."""
    rng = np.random.default_rng(seed)
    if dtype is np.uint8:
        return rng.integers(0, 256, shape).astype(np.uint8)
    return rng.normal(0, 2, shape).astype(np.float32)


def upload(device: Device, array: Array) -> Buffer[Any]:
    """The array on the device, with the pool poisoned for results of up to four times its size."""
    buffer = device.buffer_from_array(array)
    poison_pool(device, array.nbytes, 4 * array.size)
    return buffer


def per_axis(shape: tuple[int, ...], down: Any, across: Any, rest: Any) -> list[Any]:
    """A setting for each axis of an array: of its height, of its width, of the others."""
    first = 1 if len(shape) == 4 else 0
    return [down if i == first else across if i == first + 1 else rest for i in range(len(shape))]


def check(device: Device, function: str, result: Array, exact: Array, error: Any) -> None:
    """Compare with float64: f32 within ``error``; u8 within half a level more, once clamped."""
    if result.dtype == np.uint8:
        exact = np.clip(exact, 0, 255)
        error = np.asarray(error) + 0.5 + 512 * EPS
    compare(device, f"image.{function}", result, exact, error)
