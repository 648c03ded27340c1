"""Colour spaces, converted pixel by pixel.

Values of f32 lie in 0 .. 1 and are not clamped. Levels of u8 lie in 0 .. 255; results are rounded
to the nearest (ties upwards) and clamped. HSV, L*a*b* and linear light are f32, of u8 too. Transfer
functions use WGSL's ``pow``, whose relative error is some 2^-18.
"""

from __future__ import annotations

from typing import Any

from gpucore import Buffer, DTypeError, ShapeError, T, f32, u8
from gpustd.image.pixel_kernels import launch_pixels, pixels_per_invocation
from gpustd.image.shapes import image_shape
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
    """Convert to the luma of ITU-R BT.601: (H, W, 3) to (H, W), (N, H, W, 3) to (N, H, W, 1).

    u8 is computed in Pillow's integers and gives the same levels as ``convert("L")``. Raises
    `ShapeError`, `DTypeError`.

    >>> colours = device.buffer_from_array(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8))
    >>> image.rgb_to_grey(colours).read().tolist()
    [[76, 150]]
    """
    image_shape("rgb_to_grey", image)
    grey = _convert("rgb_to_grey", image, 1, image.dtype, unit=1)
    return grey.view(grey.shape[:2]) if len(grey.shape) == 3 else grey


def rgb_to_ycbcr(image: Buffer[T]) -> Buffer[T]:
    """Convert to JPEG's Y, Cb, Cr (ITU-T T.871: BT.601, full range).

    Cb and Cr lie around 128 (f32: 0.5). Images are (..., 3), u8 or f32. Raises `ShapeError`,
    `DTypeError`.

    >>> red = device.buffer_from_array(np.array([[[255, 0, 0]]], np.uint8))
    >>> image.rgb_to_ycbcr(red).read().tolist()
    [[[76, 85, 255]]]
    """
    image_shape("rgb_to_ycbcr", image)
    return _convert("rgb_to_ycbcr", image, 3, image.dtype, unit=1)


def ycbcr_to_rgb(image: Buffer[T]) -> Buffer[T]:
    """Convert back from Y, Cb, Cr: the inverse of `rgb_to_ycbcr`.

    >>> grey = device.buffer_from_array(np.array([[[90, 128, 128]]], np.uint8))
    >>> image.ycbcr_to_rgb(grey).read().tolist()
    [[[90, 90, 90]]]
    """
    image_shape("ycbcr_to_rgb", image)
    return _convert("ycbcr_to_rgb", image, 3, image.dtype, unit=1)


def rgb_to_hsv(image: Buffer[Any]) -> Buffer[f32]:
    """Convert to hue, saturation and value, as `colorsys.rgb_to_hsv`.

    Hue is in turns, from 0 to 1 (not included). Images are (..., 3), u8 or f32; the result is f32.
    Raises `ShapeError`, `DTypeError`.

    >>> blue = device.buffer_from_array(np.array([[[0, 0, 255]]], np.uint8))
    >>> image.rgb_to_hsv(blue).read().round(2)
    array([[[0.67, 1.  , 1.  ]]], dtype=float32)
    """
    return _convert("rgb_to_hsv", image, 3, f32)


def hsv_to_rgb(image: Buffer[f32]) -> Buffer[f32]:
    """Convert back from hue, saturation and value: the inverse of `rgb_to_hsv`.

    A hue of any size counts in whole turns.

    >>> red = device.buffer_from_array(np.array([[[1, 1, 0.5]]], np.float32))
    >>> image.hsv_to_rgb(red).read().tolist()
    [[[0.5, 0.0, 0.0]]]
    """
    return _convert("hsv_to_rgb", _require_f32("hsv_to_rgb", image), 3, f32)


def rgb_to_lab(image: Buffer[Any]) -> Buffer[f32]:
    """Convert sRGB to CIE L*a*b* (D65), with L* from 0 to 100.

    Images are (..., 3), u8 or f32; the result is f32. Raises `ShapeError`, `DTypeError`.

    >>> white = device.buffer_from_array(np.array([[[255, 255, 255]]], np.uint8))
    >>> abs(image.rgb_to_lab(white).read().round(1)).tolist()
    [[[100.0, 0.0, 0.0]]]
    """
    return _convert("rgb_to_lab", image, 3, f32)


def lab_to_rgb(image: Buffer[f32]) -> Buffer[f32]:
    """Convert back from L*a*b*: the inverse of `rgb_to_lab`.

    Colours that sRGB cannot show give values below 0 or above 1.

    >>> white = device.buffer_from_array(np.array([[[100, 0, 0]]], np.float32))
    >>> image.lab_to_rgb(white).read().round(2).tolist()
    [[[1.0, 1.0, 1.0]]]
    """
    return _convert("lab_to_rgb", _require_f32("lab_to_rgb", image), 3, f32)


def srgb_to_linear(image: Buffer[Any]) -> Buffer[f32]:
    """Convert sRGB's values to linear light in 0 .. 1 (IEC 61966-2-1).

    A fourth channel, alpha, is only scaled. Images are (H, W), (H, W, C) or (N, H, W, C), u8 or
    f32; the result is f32. Raises `ShapeError`, `DTypeError`.

    >>> grey = device.buffer_from_array(np.array([[0, 188, 255]], np.uint8))
    >>> image.srgb_to_linear(grey).read().round(2).tolist()
    [[0.0, 0.5, 1.0]]
    """
    return _convert("srgb_to_linear", image, None, f32)


def linear_to_srgb(image: Buffer[f32]) -> Buffer[f32]:
    """Convert linear light to sRGB's values: the inverse of `srgb_to_linear`.

    >>> half = device.buffer_from_array(np.array([[0, 0.5, 1]], np.float32))
    >>> (100 * image.linear_to_srgb(half).read()).round().tolist()
    [[0.0, 74.0, 100.0]]
    """
    return _convert("linear_to_srgb", _require_f32("linear_to_srgb", image), None, f32)


def to_float(image: Buffer[u8]) -> Buffer[f32]:
    """Convert levels 0 .. 255 of u8 to f32 in 0 .. 1. Raises `ShapeError`, `DTypeError`.

    >>> picture = device.buffer_from_array(np.array([[0, 255]], np.uint8))
    >>> image.to_float(picture).read().tolist()
    [[0.0, 1.0]]
    """
    image_shape("to_float", image)
    if image.dtype is not u8:
        raise DTypeError(f"to_float: an image must be u8, got {image!r}; cast it first")
    return _convert("to_float", image, None, f32, unit=1)


def to_u8(image: Buffer[f32]) -> Buffer[u8]:
    """Convert f32 in 0 .. 1 to levels 0 .. 255, clamped. Raises `ShapeError`, `DTypeError`.

    >>> picture = device.buffer_from_array(np.array([[-1, 0.25, 1, 2]], np.float32))
    >>> image.to_u8(picture).read().tolist()
    [[0, 64, 255, 255]]
    """
    return _convert("to_u8", _require_f32("to_u8", image), None, u8)


def _require_f32(op: str, image: Buffer[f32]) -> Buffer[f32]:
    """Return the image, which must be f32. Raises `DTypeError`, `ShapeError`."""
    image_shape(op, image)
    if image.dtype is not f32:
        raise DTypeError(
            f"{op}: an image must be f32, got {image!r}; gpustd.image.to_float converts u8"
        )
    return image


def _convert(
    op: str, image: Buffer[Any], channels: int | None, dtype: type[T], *, unit: int = 255
) -> Buffer[T]:
    """Convert three channels to ``channels``, or each channel alone (None).

    u8 is divided by ``unit`` first.
    """
    source = image_shape(op, image)
    if channels is not None and (source.channels != 3 or len(image.shape) < 3):
        raise ShapeError(f"{op}: the last axis must hold 3 channels, got {image!r}")
    shape = image.shape if channels is None else (*image.shape[:-1], channels)
    result = image.device.buffer(dtype, shape)
    scale = float(unit if image.dtype is u8 else 1)
    spec: dict[str, Value] = {"op": op, "unit": scale}
    if op == "rgb_to_grey":
        spec["whole"] = dtype is u8
    launch_pixels("colour.wgsl", spec, image, result, pixels_per_invocation(image, result))
    return result
