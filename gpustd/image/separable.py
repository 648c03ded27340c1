"""A window that is a product of one along the height and one along the width.

Two rungs: `axes` makes one axis after the other, with the middle in memory (four passes over it);
`tile` makes both in one launch on a GPU, where windows are small and rows are whole words: each
element is read once and written once, which is the least. There, arithmetic sets the pace from
about nine taps an axis on (u8: three), at 2 (taps_y + taps_x) FLOP an element.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucore import Buffer, DType
from gpustd.grid import MOST_GROUPS
from gpustd.image.axis import Fold, Window, fold_axes
from gpustd.image.picture import Picture, picture_of
from gpustd.image.tables import table
from gpustd.rungs import wanted_rung
from gpustd.template import Value, kernel

__all__ = ["separable"]

_LANES = 128
_MOST_TAPS = 9
_MOST_HALO = 8
_MANY_GROUPS = 4096


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
        and max(picture.height // 8, picture.images) < MOST_GROUPS
        and max(w.taps for w in windows) <= _MOST_TAPS
        and max(halo) <= _MOST_HALO
    )
    rung = wanted_rung("separable") or ("axes" if image.device.is_cpu else "tile")
    if rung == "tile" and fits:
        return _tiled(image, windows, fold, border, dtype)
    return fold_axes(image, windows, fold, border, dtype)


def _halo(window: Window, channels: int) -> tuple[int, int]:
    """Words to the left and to the right of a word that its taps reach."""
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
    out = _LANES - left - right
    spec: dict[str, Value] = {
        "source": image.dtype.name,
        "target": dtype.name,
        "wide": True,
        "fold": fold,
        "channels": picture.channels,
        "taps_y": down.taps,
        "taps_x": across.taps,
        "origin_y": down.origin,
        "origin_x": across.origin,
        "left": left,
        "right": right,
        "out": out,
    }
    units = picture.row // 4
    groups = -(-units // out)
    strip = _strip(picture, groups)
    sizes: dict[str, float] = {
        "rows": picture.height,
        "across": units,
        "width": picture.width,
        "strip": strip,
        "mode": border[0],
        "fill": border[1],
    }
    grid = (groups, -(-picture.height // strip), picture.images)
    launch = kernel(device, "image/tile.wgsl", **spec)
    if down.weights is not None and across.weights is not None:
        weights = np.concatenate([down.weights, across.weights]).astype(np.float32)
        launch(image, table(device, weights), result, sizes, grid=grid)
    else:
        launch(image, result, sizes, grid=grid)
    return result


def _strip(picture: Picture, groups: int) -> int:
    """Rows of a workgroup: fewer where there are too few workgroups to fill a large GPU."""
    for rows in (32, 16):
        if groups * picture.images * (picture.height // rows) >= _MANY_GROUPS:
            return rows
    return 8
