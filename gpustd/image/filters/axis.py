"""Windows along one axis after the other: weighted sums, least and greatest values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, DType, f32
from gpustd.image.picture import picture_of
from gpustd.image.tables import table
from gpustd.image.words import launch_cells

__all__ = ["Fold", "Window", "fold_axes", "fold_axis"]

Fold = Literal["sum", "min", "max"]


@dataclass(frozen=True)
class Window:
    """``taps`` neighbours from ``-origin`` on, with weights where they are summed."""

    taps: int
    origin: int
    weights: NDArray[np.float64] | None = None


def weighted(weights: NDArray[np.float64]) -> Window:
    """A centred window of weights."""
    return Window(len(weights), len(weights) // 2, weights)


def fold_axes(
    image: Buffer[Any],
    windows: tuple[Window, Window],
    fold: Fold,
    border: tuple[int, float],
    dtype: type[DType],
) -> Buffer[Any]:
    """The height by the first window, then the width by the second; ``dtype`` is the result's.

    ``border`` is the mode's number and the constant. Sums are kept in f32 between the axes.
    """
    between = f32 if fold == "sum" else image.dtype
    middle = fold_axis(image, windows[0], fold, border, between, vertical=True)
    return fold_axis(middle, windows[1], fold, border, dtype, vertical=False)


def fold_axis(
    image: Buffer[Any],
    window: Window,
    fold: Fold,
    border: tuple[int, float],
    dtype: type[DType],
    *,
    vertical: bool,
) -> Buffer[Any]:
    """One axis by a window."""
    picture = picture_of("fold_axis", image)
    device = image.device
    result: Buffer[Any] = device.buffer(dtype, picture.shape)
    if not picture.size:
        return result
    buffers = [image]
    if window.weights is not None:
        buffers.append(table(device, window.weights.astype(np.float32)))
    wide = picture.row % 4 == 0 if vertical else picture.channels == 4
    sizes = {
        "length": picture.height if vertical else picture.width,
        "taps": window.taps,
        "origin": window.origin,
        "mode": border[0],
        "fill": border[1],
    }
    spec = {"vertical": vertical, "fold": fold}
    launch_cells("taps.wgsl", spec, (*buffers, result), picture, sizes, wide=wide, light=vertical)
    return result
