"""Resizing latents on the device: a matrix of weights for each axis.

The kernels are PyTorch's ``interpolate`` without aligned corners, so that hires fix gives the
WebUI's pictures. Linear and cubic (a = -3/4) read neighbours of the nearest point. The antialiased
ones (cubic: a = -1/2) are Pillow's, whose window widens where a picture shrinks.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diffusion.errors import SettingsError
from gpucore import Buffer, f32
from gpustd import gemm, transpose

__all__ = ["KERNELS", "Matrix", "apply_to_sides", "resample", "weights"]

Matrix = NDArray[np.float64]


def nearest(source: int, target: int) -> Matrix:
    """Pick the pixel at ⌊i·s⌋, s being source over target."""
    return _one_pixel_weights(np.arange(target) * source // target, source)


def nearest_exact(source: int, target: int) -> Matrix:
    """Pick the pixel whose square holds the middle of the new one."""
    return _one_pixel_weights((2 * np.arange(target) + 1) * source // (2 * target), source)


def _one_pixel_weights(indices: NDArray[np.int64], source: int) -> Matrix:
    """Return weights of 1 at ``indices``, one for each row."""
    return np.eye(source)[np.minimum(indices, source - 1)]


def linear(source: int, target: int) -> Matrix:
    """Interpolate between the two nearest pixels."""
    return _interpolation_weights(source, target, lambda x: np.maximum(1 - np.abs(x), 0), 1)


def cubic(source: int, target: int) -> Matrix:
    """Interpolate over four pixels by Keys' cubic, a = -3/4 (Keys 1981)."""
    return _interpolation_weights(source, target, lambda x: _keys_cubic(x, -0.75), 2)


def _interpolation_weights(
    source: int, target: int, kernel: Callable[[Matrix], Matrix], reach: int
) -> Matrix:
    """Return weights of the pixels within ``reach``; the edge's pixel stands for those beyond."""
    places = (np.arange(target) + 0.5) * source / target - 0.5
    first = np.floor(places).astype(np.int64) - reach + 1
    result = np.zeros((target, source))
    for offset in range(2 * reach):
        taps = first + offset
        np.add.at(
            result,
            (np.arange(target), np.clip(taps, 0, source - 1)),
            kernel(places - taps),
        )
    return result


def _keys_cubic(x: Matrix, a: float) -> Matrix:
    """Return Keys' cubic at distances ``x``."""
    x = np.abs(x)
    near = ((a + 2) * x - (a + 3)) * x * x + 1
    far = ((x - 5) * x + 8) * x * a - 4 * a
    return np.where(x < 1, near, np.where(x < 2, far, 0.0))


def linear_antialiased(source: int, target: int) -> Matrix:
    """Weigh by a triangle as wide as a new pixel."""
    return _window_weights(source, target, lambda x: np.maximum(1 - np.abs(x), 0), 1)


def cubic_antialiased(source: int, target: int) -> Matrix:
    """Weigh by Keys' cubic, a = -1/2, as wide as a new pixel."""
    return _window_weights(source, target, lambda x: _keys_cubic(x, -0.5), 2)


def _window_weights(
    source: int, target: int, kernel: Callable[[Matrix], Matrix], reach: int
) -> Matrix:
    """Return weights that sum to 1 over the pixels within the picture."""
    factor = source / target
    width = max(factor, 1.0)
    result = np.zeros((target, source))
    for index in range(target):
        middle = (index + 0.5) * factor
        low = max(math.floor(middle - reach * width + 0.5), 0)
        high = min(math.floor(middle + reach * width + 0.5), source)
        taps = kernel((np.arange(low, high, dtype=np.float64) - middle + 0.5) / width)
        result[index, low:high] = taps / taps.sum()
    return result


KERNELS: Final = {
    "nearest": nearest,
    "nearest_exact": nearest_exact,
    "linear": linear,
    "linear_antialiased": linear_antialiased,
    "cubic": cubic,
    "cubic_antialiased": cubic_antialiased,
}


def weights(kernel: str, source: int, target: int) -> Matrix:
    """Return each new pixel's weights of the old ones: (target, source). Raises `SettingsError`."""
    if kernel not in KERNELS:
        raise SettingsError("kernel", kernel, f"must be one of {', '.join(KERNELS)}")
    return KERNELS[kernel](source, target)


def resample(x: Buffer[f32], size: tuple[int, int], kernel: str) -> Buffer[f32]:
    """Resize (B, h, w, C) to (B, *size, C), size being (height, width); summed in f32."""
    down, across = (weights(kernel, x.shape[axis], size[axis - 1]) for axis in (1, 2))
    return apply_to_sides(x, down, across)


def apply_to_sides(x: Buffer[f32], down: Matrix, across: Matrix) -> Buffer[f32]:
    """Return (B, h, w, C) with each column and each row multiplied by a matrix (new, old)."""
    for axis, matrix in ((2, across), (1, down)):
        axis_last = transpose(x, (0, 3 - axis, 3, axis))
        columns = np.ascontiguousarray(matrix.T, np.float32)
        y = gemm(axis_last, x.device.buffer_from_array(columns))
        x = transpose(y, (0, 1, 3, 2) if axis == 2 else (0, 3, 1, 2))
    return x
