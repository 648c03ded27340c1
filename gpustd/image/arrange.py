"""Moves of whole pixels: flip, crop and pad."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucore import ArgumentError, Buffer, ShapeError, T, u8
from gpustd.image.border import CONSTANT, MIRROR, NEAREST, REFLECT, WRAP, extended_indices
from gpustd.image.pixel_kernels import launch_pixels, pixels_per_invocation
from gpustd.image.resampling.gathering import gather
from gpustd.image.shapes import ImageShape, image_shape
from gpustd.launch.checks import as_float, as_int, choice, require_buffer_fits
from gpustd.launch.template import Value
from gpustd.launch.variants import forced_variant

__all__ = ["crop", "flip", "pad"]

# The names of numpy.pad, whose reflect is scipy.ndimage's mirror.
_PAD_MODES = {
    "symmetric": REFLECT,
    "reflect": MIRROR,
    "edge": NEAREST,
    "wrap": WRAP,
    "constant": CONSTANT,
}

Widths = int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]


def flip(image: Buffer[T], axis: int | None = None) -> Buffer[T]:
    """Reverse the rows (axis 0), the columns (1) or both (None), as `numpy.flip`.

    Axis 0 is the height and axis 1 the width, in a batch too. Images are (H, W), (H, W, C) or (N,
    H, W, C) of u8 or f32, C 1 to 4. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> picture = device.buffer_from_array(np.arange(6, dtype=np.uint8).reshape(2, 3))
    >>> image.flip(picture, 1).read().tolist()
    [[2, 1, 0], [5, 4, 3]]
    """
    shape = image_shape("flip", image)
    choice("flip", "axis", axis, (0, 1, None))
    if axis != 0 and _fits_mirror_kernel(image, shape):
        return _mirror(image, shape, upside_down=axis is None)
    rows, columns = _identity_maps(shape)
    rows = rows if axis == 1 else rows[::-1]
    return gather("flip", image, rows, columns if axis == 0 else columns[::-1])


def crop(image: Buffer[T], top: int, left: int, height: int, width: int) -> Buffer[T]:
    """Return the ``height`` by ``width`` pixels from (``top``, ``left``) on.

    Raises `ShapeError` where they reach beyond the image, `DTypeError`.

    >>> picture = device.buffer_from_array(np.arange(12, dtype=np.uint8).reshape(3, 4))
    >>> image.crop(picture, 1, 1, 2, 2).read().tolist()
    [[5, 6], [9, 10]]
    """
    shape = image_shape("crop", image)
    top, left = as_int("crop", "top", top), as_int("crop", "left", left)
    height, width = as_int("crop", "height", height), as_int("crop", "width", width)
    inside = 0 <= top <= top + height <= shape.height
    if not inside or not 0 <= left <= left + width <= shape.width:
        raise ShapeError(
            f"crop: {height} x {width} pixels from ({top}, {left}) must lie inside the image, got "
            f"{image!r}; pad it first"
        )
    rows, columns = _identity_maps(shape)
    return gather("crop", image, rows[top : top + height], columns[left : left + width])


def pad(
    image: Buffer[T], pad_width: Widths, mode: str = "constant", constant_values: float = 0
) -> Buffer[T]:
    """Surround the image with pixels, as `numpy.pad` does its height and width.

    ``pad_width`` is one number of pixels for all sides, (before, after) for both axes, or ((top,
    bottom), (left, right)). Modes: constant, edge, reflect (the edge is not repeated), symmetric
    (it is), wrap. Raises `ArgumentError`, `DTypeError`, and `ShapeError` for an image without
    elements in another mode than constant.

    >>> picture = device.buffer_from_array(np.array([[1, 2, 3]], np.uint8))
    >>> image.pad(picture, ((0, 0), (2, 1)), mode="reflect").read().tolist()
    [[3, 2, 1, 2, 3, 2]]
    """
    shape = image_shape("pad", image)
    border = _PAD_MODES[choice("pad", "mode", mode, _PAD_MODES)]
    constant_values = as_float("pad", "constant_values", constant_values)
    if image.dtype is u8 and constant_values not in range(256):
        raise ArgumentError(
            f"pad: constant_values must be a whole number from 0 to 255 for u8, got "
            f"{constant_values}"
        )
    (top, bottom), (left, right) = _pad_widths(pad_width)
    target = shape.with_size(shape.height + top + bottom, shape.width + left + right)
    require_buffer_fits("pad", image.device, image.dtype, target.buffer_shape)
    axes = (shape.height, top + bottom), (shape.width, left + right)
    if border != CONSTANT and any(added and not extent for extent, added in axes):
        raise ShapeError(
            f"pad: mode must be 'constant' for an image without elements, got {mode!r}, {image!r}"
        )
    rows = extended_indices(border, top, shape.height, bottom)
    columns = extended_indices(border, left, shape.width, right)
    return gather("pad", image, rows, columns, constant_values)


def _fits_mirror_kernel(image: Buffer[Any], shape: ImageShape) -> bool:
    """Tell whether `launch_pixels` takes whole rows, and `gather` would not be faster.

    `gather` moves pixels of 4, 8 or 16 bytes as whole words.
    """
    pixel = shape.channels * image.dtype.itemsize
    whole_units = shape.width % pixels_per_invocation(image) == 0 and shape.size > 0
    return whole_units and pixel not in {4, 8, 16} and forced_variant("cells") is None


def _mirror(image: Buffer[T], shape: ImageShape, *, upside_down: bool) -> Buffer[T]:
    """Reverse the pixels of each row, or with ``upside_down`` those of each image."""
    result = image.device.buffer(image.dtype, image.shape)
    pixels = pixels_per_invocation(image)
    run = shape.width * (shape.height if upside_down else 1)
    spec: dict[str, Value] = {"mirrored": True, "whole": image.dtype is u8}
    launch_pixels("mirrored.wgsl", spec, image, result, pixels, run // pixels)
    return result


def _identity_maps(shape: ImageShape) -> tuple[np.ndarray, np.ndarray]:
    """Return the maps of rows and columns that leave every pixel in its place."""
    return np.arange(shape.height, dtype=np.int32), np.arange(shape.width, dtype=np.int32)


def _pad_widths(pad_width: Widths) -> tuple[tuple[int, int], tuple[int, int]]:
    """Return (top, bottom) and (left, right). Raises `ArgumentError`."""
    try:
        full = np.broadcast_to(np.asarray(pad_width), (2, 2)).tolist()
    except ValueError:
        full = [[-1, -1], [-1, -1]]
    (top, bottom), (left, right) = full
    if any(not isinstance(n, int) or n < 0 for n in (top, bottom, left, right)):
        raise ArgumentError(
            "pad: pad_width must be a number >= 0, (before, after) or ((top, bottom), (left, "
            f"right)), got {pad_width}"
        )
    return (top, bottom), (left, right)
