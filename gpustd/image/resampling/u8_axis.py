"""Resizing of u8 along one axis on GPUs: one window of the source for four places of the result."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, u8
from gpucore.integers import ceil_div
from gpustd.image.resampling.weights import Taps
from gpustd.image.shapes import ImageShape
from gpustd.launch.grid import MOST_GROUPS
from gpustd.launch.tables import array_table
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["try_resize_u8"]

_ROWS = 4
# The window of four places may be this many times as long as that of one. A longer one is more
# work than four single ones.
_MAX_SHARED = 2


def try_resize_u8(
    image: Buffer[Any],
    result: Buffer[Any],
    source: ImageShape,
    target: ImageShape,
    taps: Taps,
    *,
    vertical: bool,
) -> bool:
    """Record the resizing of one axis of u8 on a GPU; return False where that is not faster."""
    variant = forced_variant("resize") or ("cells" if image.device.is_cpu else "resize_u8")
    fits = image.dtype is u8 and _fits_grid(source, target, vertical=vertical)
    if variant != "resize_u8" or not fits:
        return False
    window, starts, weights = _windows_of_four(taps, 1 if vertical else 4)
    if variant != forced_variant("resize") and window > _MAX_SHARED * taps.weights.shape[1]:
        return False
    spec: dict[str, Value] = {"source": "u8", "target": result.dtype.name}
    if vertical:
        cells = math.gcd(target.row // 4, 2)
        units = target.row // (4 * cells)
        spec |= {"cells": cells}
        sizes = {"rows": target.height, "across": units, "x_rows": source.height, "taps": window}
        grid = (ceil_div(units, 32), ceil_div(target.height, 16), target.images)
    else:
        weights = weights.swapaxes(0, 1)
        starts = starts // 4
        units = target.width // 4
        spec |= {"channels": target.channels, "rows": _ROWS}
        sizes = {"rows": target.height, "across": units, "x_across": source.width // 4}
        sizes |= {"groups": window // 4}
        grid = (ceil_div(units, 32), ceil_div(target.height, 4 * _ROWS), target.images)
    tables = (array_table(image.device, starts), array_table(image.device, weights))
    name = f"image/resize_u8_{'down' if vertical else 'across'}.wgsl"
    kernel(image.device, name, **spec)(image, *tables, result, sizes, grid=grid)
    return True


def _fits_grid(source: ImageShape, target: ImageShape, *, vertical: bool) -> bool:
    """Tell whether rows are whole words, or whole groups of four pixels, and the grid has room."""
    whole_words = target.row % 4 == 0 if vertical else target.width % 4 == source.width % 4 == 0
    return whole_words and max(target.images, target.height // 4, target.row // 128) < MOST_GROUPS


def _windows_of_four(taps: Taps, align: int) -> tuple[int, NDArray[np.uint32], NDArray[np.float32]]:
    """Return the length of a window, starts (groups,) and weights (groups, length, 4).

    A group is four places of the result. Starts are multiples of ``align``, 1 or 4; the length is a
    multiple of 2 or 4.
    """
    places, count = taps.weights.shape
    groups = ceil_div(places, 4)
    padding = 4 * groups - places
    starts = np.pad(taps.starts.astype(np.int64), (0, padding), "edge").reshape(groups, 4)
    full = np.pad(taps.weights, ((0, padding), (0, 0))).reshape(groups, 4, count)
    first = starts.min(axis=1) // align * align
    step = max(align, 2)
    length = int(ceil_div((starts.max(axis=1) + count - first).max(), step) * step)
    weights = np.zeros((groups, length, 4))
    at = (starts - first[:, None])[:, :, None] + np.arange(count)
    np.put_along_axis(weights, at.swapaxes(1, 2), full.swapaxes(1, 2), axis=1)
    return length, first.astype(np.uint32), weights.astype(np.float32)
