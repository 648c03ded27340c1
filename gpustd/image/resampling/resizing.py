"""Resizing: nearest, area, and the filters of Pillow and OpenCV, one axis after the other."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from gpucore import Buffer, DType, ShapeError, T, f32, u8
from gpucore.integers import ceil_div
from gpustd.image.grids import fits_quilt, quilt_grid
from gpustd.image.picture import Picture, picture_of, size_of
from gpustd.image.resampling.gathering import gather
from gpustd.image.resampling.levels import launch_fours
from gpustd.image.resampling.two_axes import launch_both
from gpustd.image.resampling.weights import Taps, area_taps, filter_taps, point_taps
from gpustd.image.tables import table
from gpustd.image.words import launch_cells
from gpustd.launch.checks import choice, require_buffer_fits
from gpustd.launch.template import Value, kernel

__all__ = ["resize"]

Method = Literal["nearest", "bilinear", "bicubic", "lanczos", "area"]
_METHODS = ("nearest", "bilinear", "bicubic", "lanczos", "area")


def resize(
    image: Buffer[T], size: Sequence[int], method: Method = "bilinear", antialias: bool = True
) -> Buffer[T]:
    """The picture with ``size`` (height, width). Channels are resized alone (premultiply alpha).

    - ``nearest``: the source pixel under the centre of the result's, floor((i + 1/2) old / new): of
      two whose edge lies there the later (PyTorch's ``nearest-exact``; Pillow, whose centres are
      sums of rounded steps, takes either).
    - ``bilinear``, ``bicubic``, ``lanczos`` (three lobes) with ``antialias``: Pillow's filters; u8
      is rounded between the axes, as there; the width goes first (Pillow 13 takes the height
      first where it shrinks more).
    - the same without ``antialias``: interpolation at half-pixel centres, edge repeated, cubic
      a = -0.75, as OpenCV's ``INTER_LINEAR`` and ``INTER_CUBIC`` and PyTorch's ``interpolate``.
    - ``area``: the mean of the source under each pixel of the result, parts of pixels counted as
      parts (OpenCV's ``INTER_AREA`` on shrinking).

    ``antialias`` changes nothing for nearest and area. An axis whose extent stays is left alone.
    Images are (H, W), (H, W, C) or (N, H, W, C) of u8 or f32; u8 is rounded to the nearest, ties
    upwards. The error of f32 is that of the f32 sums, at most (taps + 2) 2^-24 of the sum of
    |weight x value| an axis.
    Raises `ShapeError` (an empty source, extents < 0), `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[0, 100], [100, 200]], np.uint8))
    >>> image.resize(picture, (1, 4), "area").read().tolist()
    [[50, 50, 150, 150]]
    """
    source = picture_of("resize", image)
    height, width = size_of("resize", "size", size)
    choice("resize", "method", method, _METHODS)
    made = source.resized(height, width)
    require_buffer_fits("resize", image.device, image.dtype, made.shape)
    if made.size and not source.size:
        raise ShapeError(f"resize: {image!r} is empty: nothing to make {made.shape} from")
    if not made.size:
        return image.device.buffer(image.dtype, made.shape)
    if method == "nearest":
        return gather(
            "resize", image, _nearest(source.height, height), _nearest(source.width, width)
        )
    between: type[DType] = u8 if image.dtype is u8 and antialias and method != "area" else f32
    axes = [(False, source.width, width), (True, source.height, height)]
    if between is f32:
        # Rows are quicker to read than places of a row: the second axis has less to read.
        axes.reverse()
    steps = [
        (vertical, _taps(method, old, new, antialias=antialias), new / old)
        for vertical, old, new in axes
        if old != new
    ]
    if between is f32:
        # Less is left to do once the axis that shrinks more is done.
        steps.sort(key=lambda step: step[2])
    result: Buffer[Any] = image
    if between is f32 and len(steps) == 2:
        # The axis that shrinks more may be either, by what is rounded of an extent.
        down, across = sorted(steps, key=lambda step: not step[0])
        both = launch_both(image, made, down[1], across[1])
        if both is not None:
            return both
    made = source
    for n, (vertical, taps, _) in enumerate(steps):
        made = made.resized(height, made.width) if vertical else made.resized(made.height, width)
        dtype = image.dtype if n == len(steps) - 1 else between
        result = _resampled(result, made, taps, dtype, vertical=vertical)
    return result if steps else _copy(image)


def _nearest(source: int, made: int) -> np.ndarray:
    """Place of the source under the centre of each of the result's."""
    return ((2 * np.arange(made) + 1) * source // (2 * made)).astype(np.int32)


def _taps(method: str, source: int, made: int, *, antialias: bool) -> Taps:
    if method == "area":
        return area_taps(source, made)
    return (filter_taps if antialias else point_taps)(method, source, made)


def _resampled(
    image: Buffer[Any], made: Picture, taps: Taps, dtype: type[DType], *, vertical: bool
) -> Buffer[Any]:
    """One axis resized."""
    source = picture_of("resize", image)
    device = image.device
    result: Buffer[Any] = device.buffer(dtype, made.shape)
    if launch_fours(image, result, source, made, taps, vertical=vertical):
        return result
    if not vertical and fits_quilt("resize", made, result):
        _narrowed(image, result, source, made, taps)
        return result
    wide = made.row % 4 == 0 if vertical else made.channels == 4
    sizes = {"x_rows": source.height, "x_row": source.row, "taps": taps.weights.shape[1]}
    starts, weights = table(device, taps.starts), table(device, taps.weights.astype(np.float32))
    buffers = (image, starts, weights, result)
    launch_cells("resample.wgsl", {"vertical": vertical}, buffers, made, sizes, wide=wide)
    return result


def _narrowed(
    image: Buffer[Any], result: Buffer[Any], source: Picture, made: Picture, taps: Taps
) -> None:
    device = image.device
    step = 4 if image.dtype is u8 else 1
    count = ceil_div(taps.weights.shape[1], step) * step
    weights = np.zeros((count, made.width), np.float32)
    weights[: taps.weights.shape[1]] = taps.weights.T
    spec: dict[str, Value] = {
        "source": image.dtype.name,
        "target": result.dtype.name,
        "channels": made.channels,
    }
    sizes = {
        "rows": made.height,
        "row": made.row,
        "x_rows": source.height,
        "x_row": source.width,
        "taps": count,
        "last": (source.size - 1) // 4,
    }
    buffers = (image, table(device, taps.starts), table(device, weights), result)
    kernel(device, "image/narrowed.wgsl", **spec)(*buffers, sizes, grid=quilt_grid(made))


def _copy(image: Buffer[T]) -> Buffer[T]:
    result = image.device.buffer(image.dtype, image.shape)
    result.copy_from(image)
    return result
