"""Geometric transforms: affine, perspective, rotation, by splines of order 0, 1 or 3."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import ArgumentError, Buffer, ShapeError, T, f32, u8
from gpustd.arrays.elementwise.conversion import cast
from gpustd.image.border import CONSTANT, MIRROR, NEAREST, REFLECT, WRAP, Border, extended_indices
from gpustd.image.filters.axis_windows import Windows, centred_window, fold_axes
from gpustd.image.grids import fits_pixel_tiles, pixel_tile_grid
from gpustd.image.resampling.gathering import gather
from gpustd.image.shapes import image_shape, result_size
from gpustd.image.word_kernels import launch_words
from gpustd.launch.checks import as_float, as_floats, choice, require_buffer_fits
from gpustd.launch.template import Value, kernel

__all__ = ["affine_transform", "perspective_transform", "rotate"]

# The border of the pixels and of the spline's filter. With the mode constant, points outside of the
# pixels' centres are cval, so only the filter reads its border.
_MODES = {
    "constant": MIRROR,
    "grid-constant": CONSTANT,
    "nearest": NEAREST,
    "reflect": REFLECT,
    "grid-mirror": REFLECT,
    "mirror": MIRROR,
    "grid-wrap": WRAP,
}
_POLE = math.sqrt(3) - 2
# |pole|^14 < 2^-26: further taps change no f32.
_REACH = 14
_MARGIN = 12


class _Sampling(NamedTuple):
    """Reading of an image: spline order between its pixels, border rule beyond its edge."""

    order: int
    mode: str
    cval: float


def affine_transform(
    image: Buffer[T],
    matrix: ArrayLike,
    offset: float | Sequence[float] = 0.0,
    output_shape: Sequence[int] | None = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
) -> Buffer[T]:
    """Return the image whose pixel o = (row, column) is ``image`` at ``matrix @ o + offset``.

    As `scipy.ndimage.affine_transform` over height and width: the matrix maps the result into the
    image, rows come first, and the centre of pixel (i, j) is at (i, j). ``matrix`` is (2, 2), its
    diagonal (2,), or (2, 3) or (3, 3) with the offset inside. ``output_shape`` is (height, width).
    Orders: 0 nearest, 1 linear, 3 cubic B-spline (with its prefilter). Modes: constant (``cval``
    outside of the pixels' centres), grid-constant, nearest, reflect, mirror, grid-wrap.

    OpenCV's matrix M maps x, y of the image to those of the result. Here, it becomes its inverse
    with rows and columns exchanged.

    Images are (H, W), (H, W, C) or (N, H, W, C) of u8 or f32; u8 is rounded to the nearest (ties
    upwards) and clamped. Points are computed in f32: they are off by up to 2^-22 of the largest
    coordinate. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> picture = device.buffer_from_array(np.array([[10, 20, 40]], np.uint8))
    >>> image.affine_transform(picture, [[1, 0], [0, 0.5]], output_shape=(1, 5), order=1).read()
    array([[10, 15, 20, 30, 40]], dtype=uint8)
    """
    image_shape("affine_transform", image)
    full = _homogeneous("affine_transform", matrix, offset)
    return _warp("affine_transform", image, full, output_shape, _Sampling(order, mode, cval))


def perspective_transform(
    image: Buffer[T],
    matrix: ArrayLike,
    output_shape: Sequence[int] | None = None,
    order: int = 1,
    mode: str = "constant",
    cval: float = 0.0,
) -> Buffer[T]:
    """Return the image whose pixel (row, column) is ``image`` at ``matrix @ (row, column, 1)``.

    The first two coordinates are divided by the third; where that is 0 the value is not defined.
    ``matrix`` (3, 3) maps the result into the image, rows first. OpenCV's M for
    ``warpPerspective(image, M, ...)`` is ``P @ inv(M) @ P`` here, where P exchanges the first two
    axes. Other arguments and errors are those of `affine_transform`.

    >>> picture = device.buffer_from_array(np.array([[1, 2, 3, 4]], np.uint8))
    >>> double = [[2, 0, 0], [0, 2, 0], [0, 0, 1]]
    >>> image.perspective_transform(picture, double, output_shape=(1, 2)).read()
    array([[1, 3]], dtype=uint8)
    """
    image_shape("perspective_transform", image)
    full = as_floats("perspective_transform", "matrix", matrix)
    if full.shape != (3, 3) or not np.isfinite(full).all():
        raise ArgumentError(
            f"perspective_transform: matrix must be (3, 3), all finite, got {matrix!r}"
        )
    return _warp("perspective_transform", image, full, output_shape, _Sampling(order, mode, cval))


def rotate(
    image: Buffer[T],
    angle: float,
    reshape: bool = True,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
) -> Buffer[T]:
    """Rotate by ``angle`` degrees about the centre, as `scipy.ndimage.rotate` in height and width.

    Positive angles turn the picture counter-clockwise. With ``reshape`` the result is as large as
    the whole rotated picture. ``order``, ``mode``, ``cval`` and errors are those of
    `affine_transform`.

    >>> picture = device.buffer_from_array(np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    >>> image.rotate(picture, 90, order=1).read().tolist()
    [[3, 6], [2, 5], [1, 4]]
    """
    source = image_shape("rotate", image)
    angle = as_float("rotate", "angle", angle)
    if not math.isfinite(angle):
        raise ArgumentError(f"rotate: angle must be a finite number of degrees, got {angle}")
    c, s = _cosine_sine(angle)
    turn = np.array([[c, s], [-s, c]])
    extents = np.array([source.height, source.width])
    size = extents
    if reshape:
        corners = turn @ [[0, 0, extents[0], extents[0]], [0, extents[1], 0, extents[1]]]
        size = (np.ptp(corners, axis=1) + 0.5).astype(int)
    offset = (extents - 1) / 2 - turn @ ((size - 1) / 2)
    full = _homogeneous("rotate", turn, offset.tolist())
    return _warp("rotate", image, full, size.tolist(), _Sampling(order, mode, cval))


def _cosine_sine(angle: float) -> tuple[float, float]:
    """Return cosine and sine of an angle in degrees, exact for quarter turns."""
    quarters, rest = divmod(angle, 90.0)
    c, s = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    return ((c, s), (-s, c), (-c, -s), (s, -c))[int(quarters) % 4]


def _homogeneous(
    op: str, matrix: ArrayLike, offset: float | Sequence[float]
) -> NDArray[np.float64]:
    """Return the matrix (3, 3) of a linear part and an offset. Raises `ArgumentError`."""
    linear, translation = as_floats(op, "matrix", matrix), as_floats(op, "offset", offset)
    linear = np.diag(linear) if linear.shape == (2,) else linear
    full = np.eye(3)
    if linear.shape not in {(2, 2), (2, 3), (3, 3)} or not np.isfinite(linear).all():
        raise ArgumentError(
            f"{op}: matrix must be (2, 2), (2,), (2, 3) or (3, 3), all finite, got {matrix!r}"
        )
    if translation.shape not in {(), (2,)} or not np.isfinite(translation).all():
        raise ArgumentError(
            f"{op}: offset must be a finite number or (row, column), got {offset!r}"
        )
    full[:2, : linear.shape[1]] = linear[:2]
    if linear.shape == (2, 2):
        full[:2, 2] = translation
    return full


def _warp(
    op: str,
    image: Buffer[T],
    matrix: NDArray[np.float64],
    output_shape: Sequence[int] | None,
    sampling: _Sampling,
) -> Buffer[T]:
    """Return the image (``output_shape``) whose places ``matrix`` (3, 3) maps into ``image``."""
    source = image_shape(op, image)
    order = choice(op, "order", sampling.order, (0, 1, 3))
    mode = choice(op, "mode", sampling.mode, _MODES)
    cval = as_float(op, "cval", sampling.cval)
    height, width = source.height, source.width
    if output_shape is not None:
        height, width = result_size(op, "output_shape", output_shape)
    target = source.with_size(height, width)
    require_buffer_fits(op, image.device, image.dtype, target.buffer_shape)
    if target.size and not source.size:
        raise ShapeError(
            f"{op}: an image must have elements to become {target.buffer_shape}, got {image!r}"
        )
    result = image.device.buffer(image.dtype, target.buffer_shape)
    if target.size:
        _launch(op, image, result, matrix, _Sampling(order, mode, cval))
    return result


def _launch(
    op: str,
    image: Buffer[Any],
    result: Buffer[Any],
    matrix: NDArray[np.float64],
    sampling: _Sampling,
) -> None:
    """Record ``image/warp.wgsl``, of a cubic spline's coefficients where the order is 3."""
    order, mode, cval = sampling
    pixels, margin = _coefficients(image, mode, cval) if order == 3 else (image, 0)
    source, target = image_shape(op, pixels), image_shape(op, result)
    sizes: dict[str, object] = {f"m{i}": (*matrix[i].tolist(), 0.0) for i in range(3)}
    sizes |= {
        "size": (source.height, source.width),
        "mode": _MODES[mode],
        "strict": int(mode == "constant"),
        "margin": margin,
        "fill": cval,
    }
    perspective = matrix[2].tolist() != [0.0, 0.0, 1.0]
    spec: dict[str, Value] = {"order": order, "perspective": perspective}
    spec["tiled"] = fits_pixel_tiles("warp", target, result)
    if not spec["tiled"]:
        launch_words("warp.wgsl", spec, (pixels, result), target, sizes)
        return
    spec |= {"source": pixels.dtype.name, "target": image.dtype.name, "channels": target.channels}
    # Only splines leave the range of the values that they lie between.
    spec |= {"quick": True, "clamped": order == 3 or not 0 <= cval <= 255}
    uniform: Any = {"elements": target.size, "rows": target.height, "row": target.row, **sizes}
    launch = kernel(image.device, "image/warp.wgsl", **spec)
    launch(pixels, result, uniform, grid=pixel_tile_grid(target))


def _coefficients(image: Buffer[Any], mode: str, cval: float) -> tuple[Buffer[f32], int]:
    """Return cubic B-spline coefficients, and how many pixels they reach beyond each side.

    The recursive filter of Unser 1999 (doi 10.1109/79.799930) is applied as its impulse response,
    of which 29 taps count in f32. Where one value goes on beyond the image, the coefficients still
    vary there. So such an image is padded first, in f32 if the value is none of its levels.
    """
    shape = image_shape("_coefficients", image)
    border = Border(_MODES[mode], cval)
    margin = 0
    if mode in {"nearest", "grid-constant"}:
        margin = _MARGIN
        if image.dtype is u8 and cval not in range(256):
            image = cast(image, f32)
        rows = extended_indices(border.mode, margin, shape.height, margin)
        columns = extended_indices(border.mode, margin, shape.width, margin)
        image = gather("_coefficients", image, rows, columns, cval)
    reach = np.abs(np.arange(-_REACH, _REACH + 1))
    window = centred_window(-6 * _POLE / (1 - _POLE**2) * _POLE**reach)
    return fold_axes(image, Windows(window, window), "sum", border, f32), margin
