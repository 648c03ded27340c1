"""Arranging pixels: flip, crop and pad."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucore import ArgumentError, Buffer, ShapeError, T, u8
from gpustd.image.border import CONSTANT, extended
from gpustd.image.picture import Picture, picture_of
from gpustd.image.pixels import launch_pixels, pixels_each
from gpustd.image.resampling.gathering import gather
from gpustd.launch.checks import as_float, as_int, choice, require_buffer_fits
from gpustd.launch.template import Value
from gpustd.launch.variants import forced_variant

__all__ = ["crop", "flip", "pad"]

# numpy.pad's names; its reflect is scipy.ndimage's mirror.
_PAD_MODES = {"symmetric": 0, "reflect": 1, "edge": 2, "wrap": 3, "constant": CONSTANT}

Widths = int | tuple[int, int] | tuple[tuple[int, int], tuple[int, int]]


def flip(image: Buffer[T], axis: int | None = None) -> Buffer[T]:
    """Reverse the rows (axis 0), the columns (1) or both (None), as `numpy.flip`.

    Axes are those of the picture: 0 is its height and 1 its width, in a batch too. Images are
    (H, W), (H, W, C) or (N, H, W, C) of u8 or f32, C 1 to 4.
    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.arange(6, dtype=np.uint8).reshape(2, 3))
    >>> image.flip(picture, 1).read().tolist()
    [[2, 1, 0], [5, 4, 3]]
    """
    picture = picture_of("flip", image)
    choice("flip", "axis", axis, (0, 1, None))
    if axis != 0 and _in_units(image, picture):
        return _mirrored(image, picture, axis is None)
    rows, columns = _identity(picture)
    return gather(
        "flip", image, rows if axis == 1 else rows[::-1], columns if axis == 0 else columns[::-1]
    )


def crop(image: Buffer[T], top: int, left: int, height: int, width: int) -> Buffer[T]:
    """The ``height`` by ``width`` pixels from (``top``, ``left``) on.

    Raises `ShapeError` where they reach beyond the image, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.arange(12, dtype=np.uint8).reshape(3, 4))
    >>> image.crop(picture, 1, 1, 2, 2).read().tolist()
    [[5, 6], [9, 10]]
    """
    picture = picture_of("crop", image)
    top, left = as_int("crop", "top", top), as_int("crop", "left", left)
    height, width = as_int("crop", "height", height), as_int("crop", "width", width)
    inside = 0 <= top <= top + height <= picture.height
    if not inside or not 0 <= left <= left + width <= picture.width:
        raise ShapeError(
            f"crop: {height} x {width} from ({top}, {left}) reaches beyond {image!r}: pad it first"
        )
    rows, columns = _identity(picture)
    return gather("crop", image, rows[top : top + height], columns[left : left + width])


def pad(
    image: Buffer[T], pad_width: Widths, mode: str = "constant", constant_values: float = 0
) -> Buffer[T]:
    """Surround the picture, as `numpy.pad` does its height and width.

    ``pad_width`` is one number of pixels for all sides, (before, after) for both axes, or
    ((top, bottom), (left, right)). Modes: constant, edge, reflect (the edge is not repeated),
    symmetric (it is), wrap. Raises `ArgumentError`, `ShapeError` (an empty picture has only the
    mode constant), `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[1, 2, 3]], np.uint8))
    >>> image.pad(picture, ((0, 0), (2, 1)), mode="reflect").read().tolist()
    [[3, 2, 1, 2, 3, 2]]
    """
    picture = picture_of("pad", image)
    number = _PAD_MODES[choice("pad", "mode", mode, _PAD_MODES)]
    constant_values = as_float("pad", "constant_values", constant_values)
    if image.dtype is u8 and constant_values not in range(256):
        raise ArgumentError(f"pad: constant_values {constant_values}: u8 holds 0 to 255")
    (top, bottom), (left, right) = _widths(pad_width)
    made = picture.resized(picture.height + top + bottom, picture.width + left + right)
    require_buffer_fits("pad", image.device, image.dtype, made.shape)
    grown = (picture.height, top + bottom), (picture.width, left + right)
    if number != CONSTANT and any(added and not extent for extent, added in grown):
        raise ShapeError(f"pad: {image!r} is empty: only the mode constant can pad it")
    rows = extended(number, top, picture.height, bottom)
    columns = extended(number, left, picture.width, right)
    return gather("pad", image, rows, columns, constant_values)


def _in_units(image: Buffer[Any], picture: Picture) -> bool:
    """Whether rows are whole units of `launch_pixels`, and pixels are no words to `gather`."""
    pixel = picture.channels * image.dtype.itemsize
    whole = picture.width % pixels_each(image) == 0 and picture.size > 0
    return whole and pixel not in {4, 8, 16} and forced_variant("cells") is None


def _mirrored(image: Buffer[T], picture: Picture, upside_down: bool) -> Buffer[T]:
    """The pixels of each row in reverse order, or those of each picture."""
    result = image.device.buffer(image.dtype, image.shape)
    pixels = pixels_each(image)
    run = picture.width * (picture.height if upside_down else 1)
    spec: dict[str, Value] = {"mirrored": True, "whole": image.dtype is u8}
    launch_pixels("mirrored.wgsl", spec, image, result, pixels, run // pixels)
    return result


def _identity(picture: Picture) -> tuple[np.ndarray, np.ndarray]:
    """Maps that leave every pixel in its place."""
    return np.arange(picture.height, dtype=np.int32), np.arange(picture.width, dtype=np.int32)


def _widths(pad_width: Widths) -> tuple[tuple[int, int], tuple[int, int]]:
    """Before and after, of height and width. Raises `ArgumentError`."""
    try:
        full = np.broadcast_to(np.asarray(pad_width), (2, 2)).tolist()
    except ValueError:
        full = [[-1, -1], [-1, -1]]
    (top, bottom), (left, right) = full
    if any(not isinstance(n, int) or n < 0 for n in (top, bottom, left, right)):
        raise ArgumentError(
            f"pad: pad_width {pad_width}: wants a number >= 0, (before, after) or "
            "((top, bottom), (left, right))"
        )
    return (top, bottom), (left, right)
