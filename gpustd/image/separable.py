"""A window that is a product of one along the height and one along the width.

Two rungs: `axes` makes one axis after the other, with the middle in memory (four passes over it);
`tile` makes both in one launch on a GPU, where windows are small and rows are whole words: memory
reads each element once and writes it once, which is the least. There, instructions set the pace of
u8, of which an element has time for some 15 on an H200: so means of it are sums of integers, two in
a word.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucore import Buffer, DType, u8
from gpustd.grid import flat_grid, strip_rows
from gpustd.image.axis import Fold, Window, fold_axes
from gpustd.image.picture import Picture, picture_of
from gpustd.image.tables import table
from gpustd.rungs import wanted_rung
from gpustd.template import Value, kernel

__all__ = ["separable"]

_WORKGROUP = 128
_MOST_TAPS = 9
_MOST_HALO = 8
# Cells whose rows an invocation keeps in registers, and those that it reads at a time.
_MOST_KEPT, _MOST_READ = 8, 12


def separable(
    image: Buffer[Any],
    windows: tuple[Window, Window],
    fold: Fold,
    border: tuple[int, float],
    dtype: type[DType],
) -> Buffer[Any]:
    """Height by the first window, width by the second.

    ``border`` is the mode's number and the constant, ``dtype`` the result's; sums are f32 up to
    the last step.
    """
    picture = picture_of("separable", image)
    halo = _halo(windows[1], picture.channels)
    fits = (
        picture.row % 4 == 0
        and picture.size > 0
        and max(w.taps for w in windows) <= _MOST_TAPS
        and max(halo) <= _MOST_HALO
    )
    rung = wanted_rung("separable") or ("axes" if image.device.is_cpu else "tile")
    if rung == "tile" and fits:
        return _tiled(image, windows, fold, border, dtype)
    return fold_axes(image, windows, fold, border, dtype)


def _halo(window: Window, channels: int) -> tuple[int, int]:
    """Cells of four elements to the left and to the right of one that its taps reach."""
    before, after = window.origin, window.taps - 1 - window.origin
    return -(-before * channels // 4), -(-after * channels // 4)


def _tiled(
    image: Buffer[Any],
    windows: tuple[Window, Window],
    fold: Fold,
    border: tuple[int, float],
    dtype: type[DType],
) -> Buffer[Any]:
    picture = picture_of("separable", image)
    device = image.device
    result: Buffer[Any] = device.buffer(dtype, picture.shape)
    down, across = windows
    left, right = _halo(across, picture.channels)
    cells = _cells(picture, down.taps) if image.dtype is u8 else 1
    steps = 4 if image.dtype is u8 or 4 * (left + 1 + right) <= _MOST_READ else 2
    between = _is_between(windows) and 0 <= border[1] <= 255
    levels = image.dtype is u8 is dtype and between and _is_flat(windows) and border[1] % 1 == 0
    spec: dict[str, Value] = {
        "source": image.dtype.name,
        "target": dtype.name,
        "fold": "mean" if levels else fold,
        "channels": picture.channels,
        "taps_y": down.taps,
        "taps_x": across.taps,
        "origin_y": down.origin,
        "origin_x": across.origin,
        "left": left,
        "right": right,
        "cells": cells,
        "steps": steps,
        "clamped": not between,
    }
    units = picture.row // (4 * cells)
    lanes = units * picture.images
    strip = strip_rows(picture.height, lanes, steps, down.taps - 1)
    count = lanes * -(-picture.height // strip)
    sizes: dict[str, float] = {
        "count": count,
        "rows": picture.height,
        "across": units,
        "width": picture.width,
        "strip": strip,
        "mode": border[0],
        "fill": border[1],
    }
    buffers = [image, result]
    if down.weights is not None and across.weights is not None and not levels:
        weights = np.concatenate([down.weights, across.weights]).astype(np.float32)
        buffers.insert(1, table(device, weights))
    launch = kernel(device, "image/tile.wgsl", **spec)
    launch(*buffers, sizes, grid=flat_grid(count, _WORKGROUP))
    return result


def _is_flat(windows: tuple[Window, Window]) -> bool:
    """Whether all weights of an axis are the same."""
    return all(w.weights is not None and np.ptp(w.weights) == 0 for w in windows)


def _is_between(windows: tuple[Window, Window]) -> bool:
    """Whether the result lies between the least and the greatest of what is folded."""
    weights = [w.weights for w in windows if w.weights is not None]
    return all(w.min() >= 0 and abs(w.sum() - 1) < 1e-6 for w in weights)


def _cells(picture: Picture, taps: int) -> int:
    """Cells of an invocation, four bytes each: up to 16 bytes, where rows are whole and short."""
    fitting = (n for n in (4, 2) if picture.row % (4 * n) == 0 and n * (taps - 1) <= _MOST_KEPT)
    return next(fitting, 1)
