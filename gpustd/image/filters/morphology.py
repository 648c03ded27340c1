"""Grey morphology with flat structuring elements: windows of any form, without weights.

All functions take the arguments of `erode`, return an image of the same shape and dtype, and raise
`ShapeError`, `DTypeError`, `ArgumentError`.
"""

from __future__ import annotations

from typing import Literal, NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import ArgumentError, Buffer, T
from gpustd.image.border import as_border
from gpustd.image.differences import subtract_images
from gpustd.image.filters.axis_windows import Window, Windows
from gpustd.image.filters.correlation import fold_window
from gpustd.image.filters.separable import filter_separable
from gpustd.image.shapes import image_shape, window_sides
from gpustd.launch.checks import as_floats

__all__ = [
    "black_tophat",
    "closing",
    "dilate",
    "erode",
    "morphological_gradient",
    "opening",
    "white_tophat",
]

Size = int | tuple[int, int]


class _Element(NamedTuple):
    """The structuring element of ``op`` and the border, as `erode` takes them."""

    op: str
    size: Size
    footprint: ArrayLike | None
    mode: str
    cval: float


def erode(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """Return the least value under the window, as `scipy.ndimage.grey_erosion`; exact.

    The window is a rectangle of ``size`` (rows, columns), or the places where ``footprint`` (rows,
    columns) is not zero. Its centre is at ``size // 2``. Rectangles are computed one axis after the
    other. Images are (H, W), (H, W, C) or (N, H, W, C) of u8 or f32 without NaN.
    `gpustd.image.border` lists ``mode`` and ``cval``. Raises `ShapeError`, `DTypeError`,
    `ArgumentError`.

    >>> picture = device.buffer_from_array(np.array([[5, 3, 8, 9, 9]], np.uint8))
    >>> image.erode(picture, 3).read().tolist()
    [[3, 3, 3, 8, 9]]
    """
    element = _Element("erode", size, footprint, mode, cval)
    return _fold(image, element, "min")


def dilate(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """Return the greatest value under the mirrored window, as `scipy.ndimage.grey_dilation`.

    Arguments and errors are those of `erode`.

    >>> picture = device.buffer_from_array(np.array([[5, 3, 8, 9, 9]], np.uint8))
    >>> image.dilate(picture, footprint=[[1, 1, 0]]).read().tolist()
    [[5, 8, 9, 9, 9]]
    """
    element = _Element("dilate", size, footprint, mode, cval)
    return _fold(image, element, "max")


def opening(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """Erode, then dilate: remove bright spots smaller than the window.

    >>> picture = device.buffer_from_array(np.array([[2, 9, 2, 2, 7, 7, 7]], np.uint8))
    >>> image.opening(picture, 3).read().tolist()
    [[2, 2, 2, 2, 7, 7, 7]]
    """
    element = _Element("opening", size, footprint, mode, cval)
    return _fold(image, element, "min", "max")


def closing(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """Dilate, then erode: fill dark spots smaller than the window.

    >>> picture = device.buffer_from_array(np.array([[2, 9, 2, 2, 7, 7, 7]], np.uint8))
    >>> image.closing(picture, 3).read().tolist()
    [[9, 9, 7, 7, 7, 7, 7]]
    """
    element = _Element("closing", size, footprint, mode, cval)
    return _fold(image, element, "max", "min")


def morphological_gradient(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """Return the dilation minus the erosion; u8 stops at 0.

    >>> picture = device.buffer_from_array(np.array([[2, 9, 2, 2, 7, 7, 7]], np.uint8))
    >>> image.morphological_gradient(picture, 3).read().tolist()
    [[7, 7, 7, 5, 5, 0, 0]]
    """
    element = _Element("morphological_gradient", size, footprint, mode, cval)
    return subtract_images(_fold(image, element, "max"), _fold(image, element, "min"))


def white_tophat(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """Return the image minus its opening: small bright spots. u8 stops at 0.

    >>> picture = device.buffer_from_array(np.array([[2, 9, 2, 2, 7, 7, 7]], np.uint8))
    >>> image.white_tophat(picture, 3).read().tolist()
    [[0, 7, 0, 0, 0, 0, 0]]
    """
    element = _Element("white_tophat", size, footprint, mode, cval)
    opened = _fold(image, element, "min", "max")
    return subtract_images(image, opened)


def black_tophat(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """Return the closing minus the image: small dark spots. u8 stops at 0.

    >>> picture = device.buffer_from_array(np.array([[2, 9, 2, 2, 7, 7, 7]], np.uint8))
    >>> image.black_tophat(picture, 3).read().tolist()
    [[7, 0, 5, 5, 0, 0, 0]]
    """
    element = _Element("black_tophat", size, footprint, mode, cval)
    closed = _fold(image, element, "max", "min")
    return subtract_images(closed, image)


def _window(element: _Element) -> tuple[int, int] | NDArray[np.bool_]:
    """Return rows and columns of the window, or its truths where it is no rectangle.

    Raises `ArgumentError`.
    """
    op = element.op
    if element.footprint is None:
        return window_sides(op, element.size)
    window: NDArray[np.bool_] = as_floats(op, "footprint", element.footprint) != 0
    if window.ndim != 2 or not window.any():
        raise ArgumentError(
            f"{op}: footprint must be (rows, columns), not all of it zero, got "
            f"{element.footprint!r}"
        )
    return window_sides(op, window.shape) if window.all() else window


def _fold(image: Buffer[T], element: _Element, *folds: Literal["min", "max"]) -> Buffer[T]:
    """Take the least or the greatest values under the window, in the order of ``folds``.

    For the greatest, the window is mirrored. Raises `ArgumentError`.
    """
    image_shape(element.op, image)
    window = _window(element)
    border = as_border(element.op, element.mode, element.cval)
    for fold in folds:
        if isinstance(window, np.ndarray):
            offsets = np.argwhere(window) - np.array(window.shape) // 2
            offsets = -offsets if fold == "max" else offsets
            image = fold_window(image, offsets, None, fold, border, image.dtype)
        else:
            origins = ((n - 1 - n // 2 if fold == "max" else n // 2) for n in window)
            windows = Windows(*map(Window, window, origins))
            image = filter_separable(image, windows, fold, border, image.dtype)
    return image
