"""Geometric transforms: affine, perspective, rotation, by splines of order 0, 1 or 3."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import ArgumentError, Buffer, ShapeError, T, f32, u8
from gpustd.arrays.casting import cast
from gpustd.image.border import CONSTANT, extended
from gpustd.image.filters.axis import fold_axes, weighted
from gpustd.image.grids import fits_quilt, quilt_grid
from gpustd.image.picture import Picture, picture_of, size_of
from gpustd.image.resampling.gathering import gather
from gpustd.image.words import launch_cells
from gpustd.launch.checks import as_float, as_floats, choice, require_buffer_fits
from gpustd.launch.template import Value, kernel

__all__ = ["affine_transform", "perspective_transform", "rotate"]

# mode: border of the pixels, border of the spline's filter.
_MODES = {
    "constant": (1, 1),
    "grid-constant": (CONSTANT, CONSTANT),
    "nearest": (2, 2),
    "reflect": (0, 0),
    "grid-mirror": (0, 0),
    "mirror": (1, 1),
    "grid-wrap": (3, 3),
}
_POLE = math.sqrt(3) - 2
# |pole|^14 < 2^-26: further taps change no f32.
_REACH = 14
_MARGIN = 12


def affine_transform(
    image: Buffer[T],
    matrix: ArrayLike,
    offset: float | Sequence[float] = 0.0,
    output_shape: Sequence[int] | None = None,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
) -> Buffer[T]:
    """Pixel o = (row, column) of the result from ``matrix @ o + offset`` of the image.

    As `scipy.ndimage.affine_transform` over height and width: the matrix maps the result into the
    image, rows come first, the centre of pixel (i, j) is at (i, j). ``matrix`` is (2, 2), its
    diagonal (2,), or (2, 3) or (3, 3) with the offset inside. ``output_shape`` is (height, width).
    Orders: 0 nearest, 1 linear, 3 cubic B-spline (with its prefilter). Modes: constant (``cval``
    outside of the pixels' centres), grid-constant, nearest, reflect, mirror, grid-wrap. (OpenCV's
    matrix M, from x, y of the image to those of the result, becomes the rows and columns exchanged
    of its inverse.)

    Images are (H, W), (H, W, C) or (N, H, W, C) of u8 or f32; u8 is rounded to the nearest (ties
    upwards) and clamped. Points are computed in f32: they are off by up to 2^-22 of the largest
    coordinate. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[10, 20, 40]], np.uint8))
    >>> image.affine_transform(picture, [[1, 0], [0, 0.5]], output_shape=(1, 5), order=1).read()
    array([[10, 15, 20, 30, 40]], dtype=uint8)
    """
    picture_of("affine_transform", image)
    full = _homogeneous("affine_transform", matrix, offset)
    return _warped("affine_transform", image, full, output_shape, (order, mode, cval))


def perspective_transform(
    image: Buffer[T],
    matrix: ArrayLike,
    output_shape: Sequence[int] | None = None,
    order: int = 1,
    mode: str = "constant",
    cval: float = 0.0,
) -> Buffer[T]:
    """Pixel (row, column) of the result from ``matrix @ (row, column, 1)``, divided by its third.

    ``matrix`` (3, 3) maps the result into the image, rows first. OpenCV's M for
    ``warpPerspective(image, M, ...)`` is ``P @ inv(M) @ P`` here, P exchanging the first two axes.
    All else as `affine_transform`; where the third coordinate is 0 the value is not defined.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[1, 2, 3, 4]], np.uint8))
    >>> double = [[2, 0, 0], [0, 2, 0], [0, 0, 1]]
    >>> image.perspective_transform(picture, double, output_shape=(1, 2)).read()
    array([[1, 3]], dtype=uint8)
    """
    picture_of("perspective_transform", image)
    full = as_floats("perspective_transform", "matrix", matrix)
    if full.shape != (3, 3) or not np.isfinite(full).all():
        raise ArgumentError(
            f"perspective_transform: matrix of shape {full.shape}: wants (3, 3), all finite"
        )
    return _warped("perspective_transform", image, full, output_shape, (order, mode, cval))


def rotate(
    image: Buffer[T],
    angle: float,
    reshape: bool = True,
    order: int = 3,
    mode: str = "constant",
    cval: float = 0.0,
) -> Buffer[T]:
    """Rotate by ``angle`` degrees about the centre, as `scipy.ndimage.rotate` in height and width.

    Positive angles turn counter-clockwise as the picture is seen. With ``reshape`` the result is as
    large as the whole turned picture. ``order``, ``mode``, ``cval`` and errors as
    `affine_transform`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[1, 2, 3], [4, 5, 6]], np.uint8))
    >>> image.rotate(picture, 90, order=1).read().tolist()
    [[3, 6], [2, 5], [1, 4]]
    """
    picture = picture_of("rotate", image)
    angle = as_float("rotate", "angle", angle)
    if not math.isfinite(angle):
        raise ArgumentError(f"rotate: angle {angle}: wants a finite number of degrees")
    c, s = _cosine_sine(angle)
    turn = np.array([[c, s], [-s, c]])
    extents = np.array([picture.height, picture.width])
    made = extents
    if reshape:
        corners = turn @ [[0, 0, extents[0], extents[0]], [0, extents[1], 0, extents[1]]]
        made = (np.ptp(corners, axis=1) + 0.5).astype(int)
    offset = (extents - 1) / 2 - turn @ ((made - 1) / 2)
    full = _homogeneous("rotate", turn, offset.tolist())
    return _warped("rotate", image, full, made.tolist(), (order, mode, cval))


def _cosine_sine(angle: float) -> tuple[float, float]:
    """Of an angle in degrees; exact for quarter turns."""
    quarters, rest = divmod(angle, 90.0)
    c, s = math.cos(math.radians(rest)), math.sin(math.radians(rest))
    return ((c, s), (-s, c), (-c, -s), (s, -c))[int(quarters) % 4]


def _homogeneous(
    op: str, matrix: ArrayLike, offset: float | Sequence[float]
) -> NDArray[np.float64]:
    """Matrix (3, 3). Raises `ArgumentError`."""
    given, moved = as_floats(op, "matrix", matrix), as_floats(op, "offset", offset)
    given = np.diag(given) if given.shape == (2,) else given
    full = np.eye(3)
    if given.shape not in {(2, 2), (2, 3), (3, 3)} or not np.isfinite(given).all():
        raise ArgumentError(
            f"{op}: matrix of shape {given.shape}: wants (2, 2), (2,), (2, 3) or (3, 3), all finite"
        )
    if moved.shape not in {(), (2,)} or not np.isfinite(moved).all():
        raise ArgumentError(f"{op}: offset {offset!r}: wants a finite number, or (row, column)")
    full[:2, : given.shape[1]] = given[:2]
    if given.shape == (2, 2):
        full[:2, 2] = moved
    return full


def _warped(
    op: str,
    image: Buffer[T],
    matrix: NDArray[np.float64],
    output_shape: Sequence[int] | None,
    sampling: tuple[int, str, float],
) -> Buffer[T]:
    picture = picture_of(op, image)
    order, mode, cval = sampling
    order, mode = choice(op, "order", order, (0, 1, 3)), choice(op, "mode", mode, _MODES)
    cval = as_float(op, "cval", cval)
    height, width = picture.height, picture.width
    if output_shape is not None:
        height, width = size_of(op, "output_shape", output_shape)
    made = picture.resized(height, width)
    require_buffer_fits(op, image.device, image.dtype, made.shape)
    result = image.device.buffer(image.dtype, made.shape)
    if not made.size:
        return result
    if not picture.size:
        raise ShapeError(f"{op}: {image!r} is empty: nothing to make {made.shape} from")
    source: Buffer[Any] = image
    margin = 0
    if order == 3:
        source, margin = _coefficients(image, mode, cval)
    perspective = matrix[2].tolist() != [0.0, 0.0, 1.0]
    extents = picture_of(op, source)
    sizes: dict[str, object] = {f"m{i}": (*matrix[i].tolist(), 0.0) for i in range(3)}
    sizes |= {
        "size": (extents.height, extents.width),
        "mode": _MODES[mode][0],
        "strict": int(mode == "constant"),
        "margin": margin,
        "fill": cval,
    }
    spec: dict[str, Value] = {"order": order, "perspective": perspective}
    spec["tiled"] = fits_quilt("warp", made, result)
    if not spec["tiled"]:
        launch_cells("warp.wgsl", spec, (source, result), made, sizes)
        return result
    spec |= {"source": source.dtype.name, "target": image.dtype.name, "channels": made.channels}
    # Only splines leave the range of what they lie between.
    spec |= {"quick": True, "clamped": order == 3 or not 0 <= cval <= 255}
    uniform: Any = {"elements": made.size, "rows": made.height, "row": made.row, **sizes}
    launch = kernel(image.device, "image/warp.wgsl", **spec)
    launch(source, result, uniform, grid=quilt_grid(made))
    return result


def _coefficients(image: Buffer[Any], mode: str, cval: float) -> tuple[Buffer[f32], int]:
    """Cubic B-spline coefficients, and the pixels by which they go beyond the image on each side.

    The recursive filter of Unser 1999 (doi 10.1109/79.799930) as its impulse response, of which 29
    taps count in f32. Where the image goes on with one value, its coefficients do not: there, it
    is padded first, in f32 if the value is none of its levels.
    """
    picture: Picture = picture_of("_coefficients", image)
    number = _MODES[mode][1]
    margin = 0
    if mode in {"nearest", "grid-constant"}:
        margin = _MARGIN
        if image.dtype is u8 and cval not in range(256):
            image = cast(image, f32)
        rows = extended(number, margin, picture.height, margin)
        columns = extended(number, margin, picture.width, margin)
        image = gather("_coefficients", image, rows, columns, cval)
    reach = np.abs(np.arange(-_REACH, _REACH + 1))
    window = weighted(-6 * _POLE / (1 - _POLE**2) * _POLE**reach)
    return fold_axes(image, (window, window), "sum", (number, cval), f32), margin
