"""Correlation with any small kernel, and folds over windows of any form."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import ArgumentError, Buffer, DType, T
from gpustd.image.border import border_of
from gpustd.image.filters.axis import Fold
from gpustd.image.filters.stencil import fits_stencil, launch_stencil
from gpustd.image.picture import picture_of
from gpustd.image.tables import table
from gpustd.image.words import launch_cells
from gpustd.launch.checks import as_floats
from gpustd.launch.template import Value

__all__ = ["filter2d", "fold_window"]

_MOST_STENCIL = 5


def filter2d(
    image: Buffer[T], kernel: ArrayLike, mode: str = "reflect", cval: float = 0.0
) -> Buffer[T]:
    """Correlate height and width with ``kernel`` (rows, columns), as `scipy.ndimage.correlate`.

    The kernel's centre is at ``size // 2``; it is a host array, its zeros cost nothing. ``mode``
    (reflect, mirror, nearest, wrap, constant) and ``cval``: `gpustd.image.border`. Images are
    (H, W), (H, W, C) or (N, H, W, C) of u8 or f32; sums are f32, u8 is rounded to the nearest
    (ties upwards) and clamped. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[1, 2, 4, 8]], np.float32))
    >>> image.filter2d(picture, [[-1, 0, 1]]).read().tolist()
    [[1.0, 3.0, 6.0, 4.0]]
    """
    picture_of("filter2d", image)
    taps = as_floats("filter2d", "kernel", kernel)
    if taps.ndim != 2 or not taps.size:
        raise ArgumentError(
            f"filter2d: kernel of shape {taps.shape}: wants (rows, columns), at least one of each"
        )
    if not (np.abs(taps) <= np.finfo(np.float32).max).all():
        raise ArgumentError("filter2d: kernel holds infinities, NaN or numbers beyond f32")
    border = border_of("filter2d", mode, cval)
    places = np.argwhere(taps != 0)
    offsets = places - np.array(taps.shape) // 2
    return fold_window(image, offsets, taps[taps != 0], "sum", border, image.dtype)


def fold_window(
    image: Buffer[Any],
    offsets: NDArray[np.int64],
    weights: NDArray[np.float64] | None,
    fold: Fold,
    border: tuple[int, float],
    dtype: type[DType],
) -> Buffer[Any]:
    """Fold the pixels at ``offsets`` (taps, 2) from each; sums are weighted."""
    picture = picture_of("fold_window", image)
    device = image.device
    result: Buffer[Any] = device.buffer(dtype, picture.shape)
    if not picture.size:
        return result
    size = 2 * int(np.abs(offsets).max(initial=0)) + 1
    if len(offsets) > 0 and size <= _MOST_STENCIL and fits_stencil(image, picture):
        size = max(size, 3)
        used = (offsets + size // 2) @ (size, 1)
        tables = [] if weights is None else [table(device, weights.astype(np.float32))]
        spec: dict[str, Value] = {"fold": fold, "used": " ".join(map(str, used))}
        launch_stencil("correlate.wgsl", spec, (image, *tables, result), picture, size, border)
        return result
    # An empty table could not be bound: one tap more, which is not counted.
    padded = np.concatenate([offsets, np.zeros((1, 2))]).astype(np.int32)
    buffers = [image, table(device, padded)]
    if weights is not None:
        buffers.append(table(device, np.append(weights, 0).astype(np.float32)))
    sizes = {"taps": len(offsets), "mode": border[0], "fill": border[1]}
    launch_cells("window.wgsl", {"fold": fold}, (*buffers, result), picture, sizes)
    return result
