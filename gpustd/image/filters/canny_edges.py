"""Canny's edges (Canny 1986, doi 10.1109/TPAMI.1986.4767851), as scikit-image computes them."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import ArgumentError, Buffer, Device, ShapeError, f32, u8, u32
from gpucore.integers import ceil_div
from gpustd.image.border import CONSTANT, border_of
from gpustd.image.filters.axis import weighted
from gpustd.image.filters.blur import gaussian_weights
from gpustd.image.filters.separable_window import separable
from gpustd.image.picture import Picture, picture_of
from gpustd.image.tables import table
from gpustd.launch.checks import as_float
from gpustd.launch.grid import MOST_GROUPS, flat_grid
from gpustd.launch.template import Value, kernel

__all__ = ["canny", "connect"]

# Workgroups of `ridge.wgsl`, cells that an invocation walks down; cells of a tile's side.
_LANES, _STRIP = 4, 4
_TILE = 16
# A gradient's length that squares in f32 give is 0 or greater.
_LEAST = 1e-30


def canny(
    image: Buffer[Any],
    sigma: float = 1.0,
    low_threshold: float | None = None,
    high_threshold: float | None = None,
    mode: str = "constant",
) -> Buffer[u8]:
    """1 where there is an edge, else 0, of a grey image (H, W), (H, W, 1) or (N, H, W, 1).

    The steps of `skimage.feature.canny`: a Gaussian of ``sigma`` pixels (with the mode constant,
    what lies beyond the edge does not count; other modes: `gpustd.image.border`); Sobel; the
    pixels whose gradient is at least ``low_threshold`` and no less than both neighbours along it;
    of these, the 8-connected components with a pixel of at least ``high_threshold``. Thresholds
    are in the image's own levels, as the length of `gpustd.image.sobel`'s gradient; by default a
    tenth and a fifth of 255 (u8) or of 1 (f32).

    The components are found on the device by union-find in a fixed number of launches: nothing is
    read back. Raises `ShapeError`, `DTypeError`, `ArgumentError`, `LimitError` (more than 65535
    images, or 4194240 rows).

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> step = np.tile(np.array([0, 0, 0, 0, 90, 200, 200, 200], np.uint8), (5, 1))
    >>> image.canny(device.buffer_from_array(step), 1.0).read()[2].tolist()
    [0, 0, 0, 0, 1, 0, 0, 0]
    """
    picture = picture_of("canny", image)
    if picture.channels != 1:
        raise ShapeError(f"canny: {image!r} has {picture.channels} channels: make it grey first")
    full = 255.0 if image.dtype is u8 else 1.0
    low = as_float("canny", "low_threshold", 0.1 * full if low_threshold is None else low_threshold)
    high = as_float(
        "canny", "high_threshold", 0.2 * full if high_threshold is None else high_threshold
    )
    sigma = as_float("canny", "sigma", sigma)
    if not 0 <= low <= high or not 0 <= sigma < np.inf:
        raise ArgumentError(
            f"canny: sigma {sigma}, low_threshold {low}, high_threshold {high}: wants sigma >= 0 "
            "and 0 <= low <= high"
        )
    number, _ = border_of("canny", mode)
    edges = image.device.buffer(u8, picture.shape)
    if picture.size:
        connect(_candidates(image, picture, sigma, number, (low, high)), edges, picture)
    return edges


def _candidates(
    image: Buffer[Any],
    picture: Picture,
    sigma: float,
    number: int,
    thresholds: tuple[float, float],
) -> Buffer[u32]:
    """Cells of 4 by 4 pixels (images, down, across), as `connect` takes them."""
    weights = gaussian_weights("canny", sigma, 4.0)
    scaled = number == CONSTANT and len(weights) > 1
    window = weighted(weights)
    smooth: Buffer[f32] = separable(image, (window, window), "sum", (number, 0.0), f32)
    down, across = _cells(picture)
    made = image.device.buffer(u32, (picture.images, down, across))
    tables = [_scale(weights, n) for n in (picture.height, picture.width)] if scaled else []
    sizes: Any = {
        "rows": picture.height,
        "row": picture.width,
        "down": down,
        "across": across,
        "strip": _STRIP,
        "near": len(weights) // 2,
        "low": max(thresholds[0], _LEAST),
        "high": thresholds[1],
    }
    spec: dict[str, Value] = {"whole": picture.width % 4 == 0, "scaled": scaled, "lanes": _LANES}
    grid = (ceil_div(across, 32), ceil_div(down, _LANES * _STRIP), picture.images)
    launch = kernel(image.device, "image/ridge.wgsl", **spec)
    launch(smooth, *(table(image.device, t) for t in tables), made, sizes, grid=grid)
    return made


def _cells(picture: Picture) -> tuple[int, int]:
    """Cells down and across."""
    return ceil_div(picture.height, 4), ceil_div(picture.width, 4)


def _scale(weights: NDArray[np.float64], extent: int) -> NDArray[np.float32]:
    """One over the sum of the weights that lie inside, by place."""
    radius, places = len(weights) // 2, np.arange(extent)
    sums = np.append(0, np.cumsum(weights))
    last = np.minimum(extent - places + radius, len(weights))
    inside = sums[last] - sums[np.maximum(radius - places, 0)]
    return np.asarray(1 / inside, np.float32)


def connect(cells: Buffer[u32], edges: Buffer[u8], picture: Picture) -> None:
    """Set ``edges`` to 1 in the 8-connected components of kept pixels that hold a strong one.

    ``cells`` (images, down, across) are words for 4 by 4 pixels: bits 0 to 15 say row by row which
    are kept, bit 16 + k whether one is strong in the k-th block of 2 by 2.
    """
    device: Device = cells.device
    down, across = _cells(picture)
    labels = device.buffer(u32, 4 * cells.size)
    sizes: Any = {
        "images": picture.images,
        "down": down,
        "across": across,
        "rows": picture.height,
        "row": picture.width,
    }
    tiles = (ceil_div(across, _TILE), ceil_div(down, _TILE), picture.images)
    for step in ("tiles", "seams"):
        kernel(device, "image/hysteresis.wgsl", step=step)(cells, labels, sizes, grid=tiles)
    whole = picture.width % 4 == 0 and down <= 4 * MOST_GROUPS
    grid = (ceil_div(across, 32), ceil_div(down, 4), picture.images)
    if not whole:
        grid = flat_grid(ceil_div(picture.size, 4), 64)
    finish = kernel(device, "image/hysteresis.wgsl", step="finish", whole=whole)
    finish(cells, labels, edges, sizes, grid=grid)
