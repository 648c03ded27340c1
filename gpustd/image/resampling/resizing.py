"""Resizing: nearest, area, and the filters of Pillow and OpenCV."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import numpy as np

from gpucore import Buffer, DType, ShapeError, T, f32, u8
from gpucore.integers import ceil_div
from gpustd.image.grids import fits_pixel_tiles, pixel_tile_grid
from gpustd.image.resampling.fused_axes import try_resize_fused
from gpustd.image.resampling.gathering import gather
from gpustd.image.resampling.u8_axis import try_resize_u8
from gpustd.image.resampling.weights import Taps, area_taps, filter_taps, point_taps
from gpustd.image.shapes import ImageShape, image_shape, result_size
from gpustd.image.word_kernels import launch_words
from gpustd.launch.checks import choice, require_buffer_fits
from gpustd.launch.tables import array_table
from gpustd.launch.template import Value, kernel

__all__ = ["resize"]

Method = Literal["nearest", "bilinear", "bicubic", "lanczos", "area"]
_METHODS = ("nearest", "bilinear", "bicubic", "lanczos", "area")


def resize(
    image: Buffer[T], size: Sequence[int], method: Method = "bilinear", antialias: bool = True
) -> Buffer[T]:
    """Resize the image to ``size`` (height, width). Premultiply alpha: channels are resized alone.

    - ``nearest``: the source pixel under the centre of the result's, floor((i + 1/2) old / new).
      Where the centre lies on an edge, the later pixel counts (PyTorch's ``nearest-exact``; Pillow,
      whose centres are sums of rounded steps, takes either).
    - ``bilinear``, ``bicubic``, ``lanczos`` (three lobes) with ``antialias``: Pillow's filters. As
      there, u8 is rounded between the axes. The width goes first (Pillow 13 takes the height first
      where it shrinks more).
    - the same without ``antialias``: interpolation at half-pixel centres, edge repeated, cubic
      a = -0.75, as OpenCV's ``INTER_LINEAR`` and ``INTER_CUBIC`` and PyTorch's ``interpolate``.
    - ``area``: the mean of the source under each pixel of the result, parts of pixels counted as
      parts (OpenCV's ``INTER_AREA`` on shrinking).

    ``antialias`` changes nothing for nearest and area. An axis whose extent stays is left alone.

    Images are (H, W), (H, W, C) or (N, H, W, C) of u8 or f32; u8 is rounded to the nearest, ties
    upwards. The error of f32 is that of the f32 sums: for each axis, at most (taps + 2) 2^-24 of
    the sum of |weight x value|. Raises `DTypeError`, `ArgumentError`, and `ShapeError` for an image
    without elements or extents < 0.

    >>> picture = device.buffer_from_array(np.array([[0, 100], [100, 200]], np.uint8))
    >>> image.resize(picture, (1, 4), "area").read().tolist()
    [[50, 50, 150, 150]]
    """
    source = image_shape("resize", image)
    height, width = result_size("resize", "size", size)
    choice("resize", "method", method, _METHODS)
    target = source.with_size(height, width)
    require_buffer_fits("resize", image.device, image.dtype, target.buffer_shape)
    if target.size and not source.size:
        raise ShapeError(
            f"resize: an image must have elements to become {target.buffer_shape}, got {image!r}"
        )
    if not target.size:
        return image.device.buffer(image.dtype, target.buffer_shape)
    if method == "nearest":
        rows, columns = _nearest(source.height, height), _nearest(source.width, width)
        return gather("resize", image, rows, columns)
    return _filter(image, source, target, method, antialias=antialias)


def _filter(
    image: Buffer[T], source: ImageShape, target: ImageShape, method: str, *, antialias: bool
) -> Buffer[T]:
    """Resize by weighted sums, one axis after the other or both in one launch."""
    between: type[DType] = u8 if image.dtype is u8 and antialias and method != "area" else f32
    axes = [(False, source.width, target.width), (True, source.height, target.height)]
    if between is f32:
        # Rows are faster to read than places of a row: the second axis has less to read.
        axes.reverse()
    steps = [
        (vertical, _taps(method, old, new, antialias=antialias), new / old)
        for vertical, old, new in axes
        if old != new
    ]
    if between is f32:
        # Less is left to do once the axis that shrinks more is done.
        steps.sort(key=lambda step: step[2])
    if between is f32 and len(steps) == 2:
        # Rounded extents decide which axis shrinks more, so either may be the first.
        down, across = sorted(steps, key=lambda step: not step[0])
        fused = try_resize_fused(image, target, down[1], across[1])
        if fused is not None:
            return fused
    result: Buffer[Any] = image
    shape = source
    for n, (vertical, taps, _) in enumerate(steps):
        height, width = (target.height, shape.width) if vertical else (shape.height, target.width)
        shape = shape.with_size(height, width)
        dtype = image.dtype if n == len(steps) - 1 else between
        result = _resize_axis(result, shape, taps, dtype, vertical=vertical)
    return result if steps else _copy(image)


def _nearest(source: int, target: int) -> np.ndarray:
    """Return the place of the source under the centre of each place of the result."""
    return ((2 * np.arange(target) + 1) * source // (2 * target)).astype(np.int32)


def _taps(method: str, source: int, target: int, *, antialias: bool) -> Taps:
    """Return the weights of one axis from ``source`` places to ``target``."""
    if method == "area":
        return area_taps(source, target)
    return (filter_taps if antialias else point_taps)(method, source, target)


def _resize_axis(
    image: Buffer[Any], target: ImageShape, taps: Taps, dtype: type[DType], *, vertical: bool
) -> Buffer[Any]:
    """Return ``image`` with its height (``vertical``) or width resized, in ``dtype``."""
    source = image_shape("resize", image)
    device = image.device
    result: Buffer[Any] = device.buffer(dtype, target.buffer_shape)
    if try_resize_u8(image, result, source, target, taps, vertical=vertical):
        return result
    if not vertical and fits_pixel_tiles("resize", target, result):
        _launch_pixel_tiles(image, result, source, target, taps)
        return result
    wide = target.row % 4 == 0 if vertical else target.channels == 4
    sizes = {"x_rows": source.height, "x_row": source.row, "taps": taps.weights.shape[1]}
    starts = array_table(device, taps.starts)
    weights = array_table(device, taps.weights.astype(np.float32))
    buffers = (image, starts, weights, result)
    launch_words("resample.wgsl", {"vertical": vertical}, buffers, target, sizes, wide=wide)
    return result


def _launch_pixel_tiles(
    image: Buffer[Any], result: Buffer[Any], source: ImageShape, target: ImageShape, taps: Taps
) -> None:
    """Record ``image/narrowed.wgsl``, which resizes the width in tiles of whole pixels."""
    device = image.device
    step = 4 if image.dtype is u8 else 1
    count = ceil_div(taps.weights.shape[1], step) * step
    weights = np.zeros((count, target.width), np.float32)
    weights[: taps.weights.shape[1]] = taps.weights.T
    spec: dict[str, Value] = {
        "source": image.dtype.name,
        "target": result.dtype.name,
        "channels": target.channels,
    }
    sizes = {
        "rows": target.height,
        "row": target.row,
        "x_rows": source.height,
        "x_row": source.width,
        "taps": count,
        "last": (source.size - 1) // 4,
    }
    buffers = (image, array_table(device, taps.starts), array_table(device, weights), result)
    kernel(device, "image/narrowed.wgsl", **spec)(*buffers, sizes, grid=pixel_tile_grid(target))


def _copy(image: Buffer[T]) -> Buffer[T]:
    """Return a copy of ``image`` in a buffer of its own."""
    result = image.device.buffer(image.dtype, image.shape)
    result.copy_from(image)
    return result
