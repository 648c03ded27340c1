"""Canny's edges (Canny 1986, doi 10.1109/TPAMI.1986.4767851), as scikit-image computes them."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucore import ArgumentError, Buffer, Device, ShapeError, f32, u8, u32
from gpustd.grid import flat_grid
from gpustd.image.axis import fold_axes, weighted
from gpustd.image.blur import gaussian_weights
from gpustd.image.border import CONSTANT, border_number
from gpustd.image.cells import launch_cells
from gpustd.image.edges import sobel
from gpustd.image.picture import Picture, picture_of
from gpustd.image.resize import resampled
from gpustd.image.weights import smoothing_taps
from gpustd.template import kernel

__all__ = ["canny", "connect"]


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
    read back. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

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
    low = 0.1 * full if low_threshold is None else low_threshold
    high = 0.2 * full if high_threshold is None else high_threshold
    if not 0 <= low <= high or not 0 <= sigma < np.inf:
        raise ArgumentError(
            f"canny: sigma {sigma}, low_threshold {low}, high_threshold {high}: wants sigma >= 0 "
            "and 0 <= low <= high"
        )
    number = border_number("canny", mode)
    edges = image.device.buffer(u8, picture.shape)
    if picture.size:
        smooth = _smoothed(image, picture, sigma, number)
        thin = _thinned(sobel(smooth, 0), sobel(smooth, 1), picture, low)
        connect(thin, edges, picture, high)
    return edges


def _smoothed(image: Buffer[Any], picture: Picture, sigma: float, number: int) -> Buffer[f32]:
    weights = gaussian_weights(sigma, 4.0)
    if number != CONSTANT:
        return fold_axes(image, (weighted(weights), weighted(weights)), "sum", (number, 0.0), f32)
    down, across = (smoothing_taps(weights, n) for n in (picture.height, picture.width))
    middle = resampled(image, picture, down, f32, vertical=True)
    return resampled(middle, picture, across, f32, vertical=False)


def _thinned(down: Buffer[f32], across: Buffer[f32], picture: Picture, low: float) -> Buffer[f32]:
    """The gradient's length where it is on a ridge and at least ``low``, else 0."""
    thin = down.device.buffer(f32, picture.shape)
    launch_cells("thin.wgsl", {}, (down, across, thin), picture, {"low": low})
    return thin


def connect(thin: Buffer[f32], edges: Buffer[u8], picture: Picture, high: float) -> None:
    """Set ``edges`` to 1 in the 8-connected components of ``thin`` > 0 that reach ``high``."""
    device: Device = thin.device
    roots, marks = device.buffer(u32, thin.size), device.buffer(u32, thin.size)
    sizes = {"count": thin.size, "rows": picture.height, "row": picture.width, "high": high}
    grid = flat_grid(thin.size, 64)

    def step(name: str, *buffers: Buffer[Any]) -> None:
        kernel(device, "image/hysteresis.wgsl", step=name)(*buffers, sizes, grid=grid)

    step("start", roots, marks)
    step("join", thin, roots)
    step("mark", thin, roots, marks)
    step("finish", thin, roots, marks, edges)
