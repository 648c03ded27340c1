"""Canny's edge detector (Canny 1986, doi 10.1109/TPAMI.1986.4767851), as in scikit-image."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpucore import ArgumentError, Buffer, ShapeError, f32, u8, u32
from gpucore.integers import ceil_div
from gpustd.image.border import CONSTANT, Border, as_border
from gpustd.image.filters.axis_windows import Windows, centred_window
from gpustd.image.filters.blur import gaussian_weights
from gpustd.image.filters.separable import filter_separable
from gpustd.image.shapes import ImageShape, image_shape
from gpustd.launch.checks import as_float
from gpustd.launch.grid import MOST_GROUPS, flat_grid
from gpustd.launch.tables import array_table
from gpustd.launch.template import Value, kernel

__all__ = ["canny", "connect_edges"]

# In ``image/canny_candidates.wgsl``: rows of invocations in a workgroup, and cells of each. In
# ``image/hysteresis.wgsl``: cells along a tile's side.
_ROWS, _STRIP = 4, 4
_TILE = 16
# The length of a gradient, from squares in f32, is either 0 or greater than this.
_MIN_LENGTH = 1e-30


class _Thresholds(NamedTuple):
    """The least gradient of a kept pixel, and of a strong one."""

    low: float
    high: float


def canny(
    image: Buffer[Any],
    sigma: float = 1.0,
    low_threshold: float | None = None,
    high_threshold: float | None = None,
    mode: str = "constant",
) -> Buffer[u8]:
    """Return 1 where there is an edge and else 0, in u8.

    Images are grey: (H, W), (H, W, 1) or (N, H, W, 1). The steps are those of
    `skimage.feature.canny`:

    - A Gaussian of ``sigma`` pixels. With the mode constant, pixels beyond the edge do not count;
      `gpustd.image.border` lists the other modes.
    - Sobel's gradient. A pixel is kept if its length is at least ``low_threshold`` and no less than
      at both neighbours along the gradient.
    - Of the kept pixels, the 8-connected components with a pixel of at least ``high_threshold``.

    Thresholds are in the image's own levels, as the length of the gradient of `gpustd.image.sobel`.
    By default they are a tenth and a fifth of 255 (u8) or of 1 (f32).

    The device finds components by union-find in a fixed number of launches; nothing is read back.
    Raises `ShapeError`, `DTypeError`, `ArgumentError`, and `LimitError` for more than 65535 images
    or 4194240 rows.

    >>> step = np.tile(np.array([0, 0, 0, 0, 90, 200, 200, 200], np.uint8), (5, 1))
    >>> image.canny(device.buffer_from_array(step), 1.0).read()[2].tolist()
    [0, 0, 0, 0, 1, 0, 0, 0]
    """
    shape = image_shape("canny", image)
    if shape.channels != 1:
        raise ShapeError(f"canny: an image must have one channel, got {image!r}; make it grey")
    top = 255.0 if image.dtype is u8 else 1.0
    thresholds = _Thresholds(
        as_float("canny", "low_threshold", 0.1 * top if low_threshold is None else low_threshold),
        as_float(
            "canny", "high_threshold", 0.2 * top if high_threshold is None else high_threshold
        ),
    )
    sigma = as_float("canny", "sigma", sigma)
    if not 0 <= thresholds.low <= thresholds.high or not 0 <= sigma < np.inf:
        raise ArgumentError(
            "canny: arguments must be sigma >= 0 and 0 <= low_threshold <= high_threshold, got "
            f"sigma {sigma}, low_threshold {thresholds.low}, high_threshold {thresholds.high}"
        )
    border = as_border("canny", mode)
    edges = image.device.buffer(u8, shape.buffer_shape)
    if shape.size:
        connect_edges(_candidates(image, shape, sigma, border, thresholds), edges, shape)
    return edges


def _candidates(
    image: Buffer[Any],
    shape: ImageShape,
    sigma: float,
    border: Border,
    thresholds: _Thresholds,
) -> Buffer[u32]:
    """Return the cells of 4 by 4 pixels (images, down, across) that `connect_edges` takes."""
    weights = gaussian_weights("canny", sigma, 4.0)
    scaled = border.mode == CONSTANT and len(weights) > 1
    window = centred_window(weights)
    smooth: Buffer[f32] = filter_separable(image, Windows(window, window), "sum", border, f32)
    down, across = _cells(shape)
    cells = image.device.buffer(u32, (shape.images, down, across))
    scales = [_scale(weights, n) for n in (shape.height, shape.width)] if scaled else []
    sizes: Any = {
        "rows": shape.height,
        "row": shape.width,
        "down": down,
        "across": across,
        "strip": _STRIP,
        "near": len(weights) // 2,
        "low": max(thresholds.low, _MIN_LENGTH),
        "high": thresholds.high,
    }
    spec: dict[str, Value] = {"whole": shape.width % 4 == 0, "scaled": scaled, "lanes": _ROWS}
    grid = (ceil_div(across, 32), ceil_div(down, _ROWS * _STRIP), shape.images)
    launch = kernel(image.device, "image/canny_candidates.wgsl", **spec)
    tables = [array_table(image.device, scale) for scale in scales]
    launch(smooth, *tables, cells, sizes, grid=grid)
    return cells


def _cells(shape: ImageShape) -> tuple[int, int]:
    """Return how many cells of 4 by 4 pixels cover the height and the width."""
    return ceil_div(shape.height, 4), ceil_div(shape.width, 4)


def _scale(weights: NDArray[np.float64], extent: int) -> NDArray[np.float32]:
    """Return, by place, one over the sum of the weights that lie inside the image."""
    radius, places = len(weights) // 2, np.arange(extent)
    sums = np.append(0, np.cumsum(weights))
    last = np.minimum(extent - places + radius, len(weights))
    inside = sums[last] - sums[np.maximum(radius - places, 0)]
    return np.asarray(1 / inside, np.float32)


def connect_edges(cells: Buffer[u32], edges: Buffer[u8], shape: ImageShape) -> None:
    """Set ``edges`` to 1 in the 8-connected components of kept pixels that hold a strong one.

    ``cells`` (images, down, across) are words for 4 by 4 pixels. Bits 0 to 15 tell row by row which
    pixels are kept. Bit 16 + k tells whether the k-th block of 2 by 2 holds a strong one.
    """
    device = cells.device
    down, across = _cells(shape)
    labels = device.buffer(u32, 4 * cells.size)
    sizes: Any = {
        "images": shape.images,
        "down": down,
        "across": across,
        "rows": shape.height,
        "row": shape.width,
    }
    tiles = (ceil_div(across, _TILE), ceil_div(down, _TILE), shape.images)
    for step in ("tiles", "seams"):
        kernel(device, "image/hysteresis.wgsl", step=step)(cells, labels, sizes, grid=tiles)
    whole_words = shape.width % 4 == 0 and down <= 4 * MOST_GROUPS
    grid = (ceil_div(across, 32), ceil_div(down, 4), shape.images)
    if not whole_words:
        grid = flat_grid(ceil_div(shape.size, 4), 64)
    finish = kernel(device, "image/hysteresis.wgsl", step="finish", whole=whole_words)
    finish(cells, labels, edges, sizes, grid=grid)
