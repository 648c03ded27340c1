"""Resizing levels on GPUs, four places of the result from one window of the source."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, u8
from gpucore.integers import ceil_div
from gpustd.image.picture import Picture
from gpustd.image.resampling.weights import Taps
from gpustd.image.tables import table
from gpustd.launch.grid import MOST_GROUPS
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["launch_fours"]

_ROWS = 4
# A window of four may be so many times as long as that of one: a longer one is more work.
_MOST_SHARED = 2


def launch_fours(
    image: Buffer[Any],
    result: Buffer[Any],
    source: Picture,
    made: Picture,
    taps: Taps,
    *,
    vertical: bool,
) -> bool:
    """Record one axis resized, where that is quicker so; whether it is."""
    variant = forced_variant("resize") or ("cells" if image.device.is_cpu else "fours")
    if variant != "fours" or image.dtype is not u8 or not _whole(source, made, vertical=vertical):
        return False
    window, starts, weights = _windows(taps, 1 if vertical else 4)
    if variant != forced_variant("resize") and window > _MOST_SHARED * taps.weights.shape[1]:
        return False
    spec: dict[str, Value] = {"source": "u8", "target": result.dtype.name}
    if vertical:
        cells = math.gcd(made.row // 4, 2)
        units = made.row // (4 * cells)
        spec |= {"cells": cells}
        sizes = {"rows": made.height, "across": units, "x_rows": source.height, "taps": window}
        grid = (ceil_div(units, 32), ceil_div(made.height, 16), made.images)
    else:
        weights = weights.swapaxes(0, 1)
        starts = starts // 4
        units = made.width // 4
        spec |= {"channels": made.channels, "rows": _ROWS}
        sizes = {"rows": made.height, "across": units, "x_across": source.width // 4}
        sizes |= {"groups": window // 4}
        grid = (ceil_div(units, 32), ceil_div(made.height, 4 * _ROWS), made.images)
    tables = (table(image.device, starts), table(image.device, weights.astype(np.float32)))
    name = f"image/fours_{'down' if vertical else 'across'}.wgsl"
    kernel(image.device, name, **spec)(image, *tables, result, sizes, grid=grid)
    return True


def _whole(source: Picture, made: Picture, *, vertical: bool) -> bool:
    """Whether rows are whole words, or groups of four pixels, and the grid has room."""
    whole = made.row % 4 == 0 if vertical else made.width % 4 == source.width % 4 == 0
    return whole and max(made.images, made.height // 4, made.row // 128) < MOST_GROUPS


def _windows(taps: Taps, align: int) -> tuple[int, NDArray[np.uint32], NDArray[np.float64]]:
    """Length of a window, starts (fours,) and weights (fours, length, 4).

    Starts are multiples of ``align``; the length is one of 4 then, else of 2.
    """
    places, count = taps.weights.shape
    fours = ceil_div(places, 4)
    each = np.pad(taps.starts.astype(np.int64), (0, 4 * fours - places), "edge").reshape(fours, 4)
    full = np.pad(taps.weights, ((0, 4 * fours - places), (0, 0))).reshape(fours, 4, count)
    first = each.min(axis=1) // align * align
    step = max(align, 2)
    length = int(ceil_div((each.max(axis=1) + count - first).max(), step) * step)
    weights = np.zeros((fours, length, 4))
    at = (each - first[:, None])[:, :, None] + np.arange(count)
    np.put_along_axis(weights, at.swapaxes(1, 2), full.swapaxes(1, 2), axis=1)
    return length, first.astype(np.uint32), weights
