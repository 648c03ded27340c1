"""Windows along one axis after the other: weighted sums, least and greatest values."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, DType, f32
from gpustd.image.border import Border
from gpustd.image.shapes import image_shape
from gpustd.image.word_kernels import launch_words
from gpustd.launch.tables import array_table

__all__ = ["Fold", "Window", "Windows", "centred_window", "fold_axes", "fold_axis"]

Fold = Literal["sum", "min", "max"]
"""How the elements under a window become one: a weighted sum, the least or the greatest."""


@dataclass(frozen=True)
class Window:
    """A window of ``taps`` neighbours from place ``-origin`` on, with weights for a sum."""

    taps: int
    origin: int
    weights: NDArray[np.float64] | None = None


class Windows(NamedTuple):
    """The windows of a separable filter: ``down`` the height and ``across`` the width."""

    down: Window
    across: Window


def centred_window(weights: NDArray[np.float64]) -> Window:
    """Return the window of ``weights`` whose middle lies on the pixel."""
    return Window(len(weights), len(weights) // 2, weights)


def fold_axes(
    image: Buffer[Any], windows: Windows, fold: Fold, border: Border, dtype: type[DType]
) -> Buffer[Any]:
    """Fold the height, then the width, into an image of ``dtype``.

    Sums are kept in f32 between the axes.
    """
    between = f32 if fold == "sum" else image.dtype
    middle = fold_axis(image, windows.down, fold, border, between, vertical=True)
    return fold_axis(middle, windows.across, fold, border, dtype, vertical=False)


def fold_axis(
    image: Buffer[Any],
    window: Window,
    fold: Fold,
    border: Border,
    dtype: type[DType],
    *,
    vertical: bool,
) -> Buffer[Any]:
    """Fold the height (``vertical``) or the width by a window, into an image of ``dtype``."""
    shape = image_shape("fold_axis", image)
    device = image.device
    result: Buffer[Any] = device.buffer(dtype, shape.buffer_shape)
    if not shape.size:
        return result
    buffers = [image]
    if window.weights is not None:
        buffers.append(array_table(device, window.weights.astype(np.float32)))
    wide = shape.row % 4 == 0 if vertical else shape.channels == 4
    sizes = {
        "length": shape.height if vertical else shape.width,
        "taps": window.taps,
        "origin": window.origin,
        "mode": border.mode,
        "fill": border.fill,
    }
    spec = {"vertical": vertical, "fold": fold}
    launch_words("taps.wgsl", spec, (*buffers, result), shape, sizes, wide=wide, light=vertical)
    return result
