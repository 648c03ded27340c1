"""Colour spaces of pixels, each pixel alone.

f32 stands for values in 0 .. 1 and is not clamped; u8 for levels 0 .. 255, rounded to the nearest
(ties upwards) and clamped. HSV, L*a*b* and linear light are f32, of u8 too.
Transfer functions use WGSL's ``pow``, whose relative error is some 2^-18.
"""

from __future__ import annotations

from typing import Any

from gpucore import Buffer, DTypeError, ShapeError, T, f32, u8
from gpustd.image.picture import picture_of
from gpustd.image.pixels import launch_pixels, pixels_each
from gpustd.launch.template import Value

__all__ = [
    "hsv_to_rgb",
    "lab_to_rgb",
    "linear_to_srgb",
    "rgb_to_grey",
    "rgb_to_hsv",
    "rgb_to_lab",
    "rgb_to_ycbcr",
    "srgb_to_linear",
    "to_float",
    "to_u8",
    "ycbcr_to_rgb",
]


def rgb_to_grey(image: Buffer[T]) -> Buffer[T]:
    """Luma of ITU-R BT.601: (H, W, 3) to (H, W), (N, H, W, 3) to (N, H, W, 1).

    Of u8 in Pillow's integers: the same levels as ``convert("L")``.
    Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> colours = device.buffer_from_array(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8))
    >>> image.rgb_to_grey(colours).read().tolist()
    [[76, 150]]
    """
    picture_of("rgb_to_grey", image)
    made = _converted("rgb_to_grey", image, 1, image.dtype, unit=1)
    return made.view(made.shape[:2]) if len(made.shape) == 3 else made


def rgb_to_ycbcr(image: Buffer[T]) -> Buffer[T]:
    """Y, Cb, Cr of JPEG (ITU-T T.871: BT.601, full range); Cb and Cr are around 128 (f32: 0.5).

    Of (..., 3), u8 or f32. Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> red = device.buffer_from_array(np.array([[[255, 0, 0]]], np.uint8))
    >>> image.rgb_to_ycbcr(red).read().tolist()
    [[[76, 85, 255]]]
    """
    picture_of("rgb_to_ycbcr", image)
    return _converted("rgb_to_ycbcr", image, 3, image.dtype, unit=1)


def ycbcr_to_rgb(image: Buffer[T]) -> Buffer[T]:
    """The inverse of `rgb_to_ycbcr`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> grey = device.buffer_from_array(np.array([[[90, 128, 128]]], np.uint8))
    >>> image.ycbcr_to_rgb(grey).read().tolist()
    [[[90, 90, 90]]]
    """
    picture_of("ycbcr_to_rgb", image)
    return _converted("ycbcr_to_rgb", image, 3, image.dtype, unit=1)


def rgb_to_hsv(image: Buffer[Any]) -> Buffer[f32]:
    """Hue in turns (0 to 1, not included), saturation and value, as `colorsys.rgb_to_hsv`.

    Of (..., 3), u8 or f32; the result is f32. Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> blue = device.buffer_from_array(np.array([[[0, 0, 255]]], np.uint8))
    >>> image.rgb_to_hsv(blue).read().round(2)
    array([[[0.67, 1.  , 1.  ]]], dtype=float32)
    """
    return _converted("rgb_to_hsv", image, 3, f32)


def hsv_to_rgb(image: Buffer[f32]) -> Buffer[f32]:
    """The inverse of `rgb_to_hsv`; a hue of any size counts in whole turns.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> red = device.buffer_from_array(np.array([[[1, 1, 0.5]]], np.float32))
    >>> image.hsv_to_rgb(red).read().tolist()
    [[[0.5, 0.0, 0.0]]]
    """
    return _converted("hsv_to_rgb", _float("hsv_to_rgb", image), 3, f32)


def rgb_to_lab(image: Buffer[Any]) -> Buffer[f32]:
    """CIE L*a*b* (D65) of sRGB: L* from 0 to 100. Of (..., 3), u8 or f32; the result is f32.

    Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> white = device.buffer_from_array(np.array([[[255, 255, 255]]], np.uint8))
    >>> abs(image.rgb_to_lab(white).read().round(1)).tolist()
    [[[100.0, 0.0, 0.0]]]
    """
    return _converted("rgb_to_lab", image, 3, f32)


def lab_to_rgb(image: Buffer[f32]) -> Buffer[f32]:
    """The inverse of `rgb_to_lab`; what sRGB cannot show is below 0 or above 1.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> white = device.buffer_from_array(np.array([[[100, 0, 0]]], np.float32))
    >>> image.lab_to_rgb(white).read().round(2).tolist()
    [[[1.0, 1.0, 1.0]]]
    """
    return _converted("lab_to_rgb", _float("lab_to_rgb", image), 3, f32)


def srgb_to_linear(image: Buffer[Any]) -> Buffer[f32]:
    """Light of sRGB's values (IEC 61966-2-1), in 0 .. 1; a fourth channel, alpha, is only scaled.

    Of (H, W), (H, W, C) or (N, H, W, C), u8 or f32; the result is f32.
    Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> grey = device.buffer_from_array(np.array([[0, 188, 255]], np.uint8))
    >>> image.srgb_to_linear(grey).read().round(2).tolist()
    [[0.0, 0.5, 1.0]]
    """
    return _converted("srgb_to_linear", image, None, f32)


def linear_to_srgb(image: Buffer[f32]) -> Buffer[f32]:
    """The inverse of `srgb_to_linear`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> half = device.buffer_from_array(np.array([[0, 0.5, 1]], np.float32))
    >>> (100 * image.linear_to_srgb(half).read()).round().tolist()
    [[0.0, 74.0, 100.0]]
    """
    return _converted("linear_to_srgb", _float("linear_to_srgb", image), None, f32)


def to_float(image: Buffer[u8]) -> Buffer[f32]:
    """Levels 0 .. 255 of u8 as f32 in 0 .. 1. Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[0, 255]], np.uint8))
    >>> image.to_float(picture).read().tolist()
    [[0.0, 1.0]]
    """
    picture_of("to_float", image)
    if image.dtype is not u8:
        raise DTypeError(f"to_float: wants u8, got {image!r}")
    return _converted("to_float", image, None, f32, unit=1)


def to_u8(image: Buffer[f32]) -> Buffer[u8]:
    """f32 in 0 .. 1 as levels 0 .. 255, clamped. Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[-1, 0.25, 1, 2]], np.float32))
    >>> image.to_u8(picture).read().tolist()
    [[0, 64, 255, 255]]
    """
    return _converted("to_u8", _float("to_u8", image), None, u8)


def _float(op: str, image: Buffer[f32]) -> Buffer[f32]:
    """The image, which must be f32. Raises `DTypeError`, `ShapeError`."""
    picture_of(op, image)
    if image.dtype is not f32:
        raise DTypeError(f"{op}: wants f32, got {image!r}: gpustd.image.to_float converts u8")
    return image


def _converted(
    op: str, image: Buffer[Any], channels: int | None, dtype: type[T], *, unit: int = 255
) -> Buffer[T]:
    """Three channels to ``channels``, or all as they are (None); u8 is divided by ``unit``."""
    picture = picture_of(op, image)
    if channels is not None and (picture.channels != 3 or len(image.shape) < 3):
        raise ShapeError(f"{op}: {image!r}: wants 3 channels on the last axis")
    shape = image.shape if channels is None else (*image.shape[:-1], channels)
    result = image.device.buffer(dtype, shape)
    scale = float(unit if image.dtype is u8 else 1)
    spec: dict[str, Value] = {"op": op, "unit": scale}
    if op == "rgb_to_grey":
        spec["whole"] = dtype is u8
    launch_pixels("colour.wgsl", spec, image, result, pixels_each(image, result))
    return result
