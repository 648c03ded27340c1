"""Correlation with any small kernel, and folds over windows of any form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import ArgumentError, Buffer, DType, T
from gpustd.image.border import Border, as_border
from gpustd.image.filters.axis_windows import Fold
from gpustd.image.filters.stencil import fits_stencil, launch_stencil
from gpustd.image.shapes import image_shape
from gpustd.image.word_kernels import launch_words
from gpustd.launch.checks import as_floats
from gpustd.launch.tables import array_table
from gpustd.launch.template import Value

__all__ = ["filter2d", "fold_window"]

_MAX_STENCIL = 5


def filter2d(
    image: Buffer[T], kernel: ArrayLike, mode: str = "reflect", cval: float = 0.0
) -> Buffer[T]:
    """Correlate height and width with ``kernel`` (rows, columns), as `scipy.ndimage.correlate`.

    The kernel is a host array with its centre at ``size // 2``; its zeros cost nothing.
    `gpustd.image.border` lists ``mode`` (reflect, mirror, nearest, wrap, constant) and ``cval``.
    Images are (H, W), (H, W, C) or (N, H, W, C) of u8 or f32. Sums are f32; u8 is rounded to the
    nearest (ties upwards) and clamped. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> shape = device.buffer_from_array(np.array([[1, 2, 4, 8]], np.float32))
    >>> image.filter2d(shape, [[-1, 0, 1]]).read().tolist()
    [[1.0, 3.0, 6.0, 4.0]]
    """
    image_shape("filter2d", image)
    taps = as_floats("filter2d", "kernel", kernel)
    if taps.ndim != 2 or not taps.size:
        raise ArgumentError(
            f"filter2d: kernel must be (rows, columns), at least one of each, got {taps.shape}"
        )
    if not (np.abs(taps) <= np.finfo(np.float32).max).all():
        raise ArgumentError(f"filter2d: kernel must hold finite numbers of f32, got {kernel!r}")
    border = as_border("filter2d", mode, cval)
    places = np.argwhere(taps != 0)
    offsets = places - np.array(taps.shape) // 2
    return fold_window(image, offsets, taps[taps != 0], "sum", border, image.dtype)


def fold_window(
    image: Buffer[Any],
    offsets: NDArray[np.int64],
    weights: NDArray[np.float64] | None,
    fold: Fold,
    border: Border,
    dtype: type[DType],
) -> Buffer[Any]:
    """Fold the pixels at ``offsets`` (taps, 2) from each pixel into one; sums are weighted."""
    shape = image_shape("fold_window", image)
    device = image.device
    result: Buffer[Any] = device.buffer(dtype, shape.buffer_shape)
    if not shape.size:
        return result
    size = 2 * int(np.abs(offsets).max(initial=0)) + 1
    if len(offsets) > 0 and size <= _MAX_STENCIL and fits_stencil(image, shape):
        size = max(size, 3)
        used = (offsets + size // 2) @ (size, 1)
        tables = [] if weights is None else [array_table(device, weights.astype(np.float32))]
        spec: dict[str, Value] = {"fold": fold, "used": " ".join(map(str, used))}
        launch_stencil("correlate.wgsl", spec, (image, *tables, result), shape, size, border)
        return result
    # An empty table cannot be bound, so it has one tap more, which is not counted.
    padded = np.concatenate([offsets, np.zeros((1, 2))]).astype(np.int32)
    buffers = [image, array_table(device, padded)]
    if weights is not None:
        buffers.append(array_table(device, np.append(weights, 0).astype(np.float32)))
    sizes = {"taps": len(offsets), "mode": border.mode, "fill": border.fill}
    launch_words("window.wgsl", {"fold": fold}, (*buffers, result), shape, sizes)
    return result
