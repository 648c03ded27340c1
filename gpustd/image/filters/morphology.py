"""Grey morphology with flat structuring elements: windows of any form without weights.

All take the arguments of `erode`, give an image of the same shape and dtype, and raise
`ShapeError`, `DTypeError`, `ArgumentError`.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import ArgumentError, Buffer, T
from gpustd.image.border import border_of
from gpustd.image.filters.axis import Window
from gpustd.image.filters.correlation import fold_window
from gpustd.image.filters.separable_window import separable
from gpustd.image.pairs import combined
from gpustd.image.picture import picture_of, sides_of
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
_Window = tuple[int, int] | NDArray[np.bool_]


def erode(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """Least value under the window, as `scipy.ndimage.grey_erosion`; exact.

    The window is a rectangle of ``size`` (rows, columns), or where ``footprint`` (rows, columns)
    is not zero; its centre is at ``size // 2``. Rectangles are made one axis after the other.
    Images are (H, W), (H, W, C) or (N, H, W, C) of u8 or f32 without NaN; ``mode`` and ``cval``:
    `gpustd.image.border`. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[5, 3, 8, 9, 9]], np.uint8))
    >>> image.erode(picture, 3).read().tolist()
    [[3, 3, 3, 8, 9]]
    """
    return _folded("erode", image, (size, footprint, mode, cval), "min")


def dilate(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """Greatest value under the mirrored window, as `scipy.ndimage.grey_dilation`; see `erode`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[5, 3, 8, 9, 9]], np.uint8))
    >>> image.dilate(picture, footprint=[[1, 1, 0]]).read().tolist()
    [[5, 8, 9, 9, 9]]
    """
    return _folded("dilate", image, (size, footprint, mode, cval), "max")


def opening(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """Erosion, then dilation: takes away what is bright and smaller than the window.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[2, 9, 2, 2, 7, 7, 7]], np.uint8))
    >>> image.opening(picture, 3).read().tolist()
    [[2, 2, 2, 2, 7, 7, 7]]
    """
    return _folded("opening", image, (size, footprint, mode, cval), "min", "max")


def closing(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """Dilation, then erosion: fills what is dark and smaller than the window.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[2, 9, 2, 2, 7, 7, 7]], np.uint8))
    >>> image.closing(picture, 3).read().tolist()
    [[9, 9, 7, 7, 7, 7, 7]]
    """
    return _folded("closing", image, (size, footprint, mode, cval), "max", "min")


def morphological_gradient(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """Dilation less erosion; u8 stops at 0.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[2, 9, 2, 2, 7, 7, 7]], np.uint8))
    >>> image.morphological_gradient(picture, 3).read().tolist()
    [[7, 7, 7, 5, 5, 0, 0]]
    """
    how = (size, footprint, mode, cval)
    most, least = (_folded("morphological_gradient", image, how, fold) for fold in ("max", "min"))
    return combined("difference", most, least)


def white_tophat(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """The image less its opening: what is bright and small; u8 stops at 0.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[2, 9, 2, 2, 7, 7, 7]], np.uint8))
    >>> image.white_tophat(picture, 3).read().tolist()
    [[0, 7, 0, 0, 0, 0, 0]]
    """
    opened = _folded("white_tophat", image, (size, footprint, mode, cval), "min", "max")
    return combined("difference", image, opened)


def black_tophat(
    image: Buffer[T],
    size: Size = 3,
    footprint: ArrayLike | None = None,
    mode: str = "reflect",
    cval: float = 0.0,
) -> Buffer[T]:
    """The closing less the image: what is dark and small; u8 stops at 0.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[2, 9, 2, 2, 7, 7, 7]], np.uint8))
    >>> image.black_tophat(picture, 3).read().tolist()
    [[7, 0, 5, 5, 0, 0, 0]]
    """
    closed = _folded("black_tophat", image, (size, footprint, mode, cval), "max", "min")
    return combined("difference", closed, image)


def _window(op: str, size: Size, footprint: ArrayLike | None) -> _Window:
    """Rows and columns of the window, or truths where it is no rectangle. `ArgumentError`."""
    if footprint is None:
        return sides_of(op, size)
    window: NDArray[np.bool_] = as_floats(op, "footprint", footprint) != 0
    if window.ndim != 2 or not window.any():
        raise ArgumentError(
            f"{op}: footprint of shape {window.shape}: wants (rows, columns), one of them not zero"
        )
    return sides_of(op, window.shape) if window.all() else window


def _folded(
    op: str,
    image: Buffer[T],
    how: tuple[Size, ArrayLike | None, str, float],
    *folds: Literal["min", "max"],
) -> Buffer[T]:
    """Least or greatest values in turn; ``how``: size, footprint, mode and cval as of `erode`."""
    size, footprint, mode, cval = how
    picture_of(op, image)
    window = _window(op, size, footprint)
    border = border_of(op, mode, cval)
    for fold in folds:
        image = _extreme(image, window, border, fold)
    return image


def _extreme(
    image: Buffer[T],
    window: _Window,
    border: tuple[int, float],
    fold: Literal["min", "max"],
) -> Buffer[T]:
    """Under the window, mirrored for the greatest."""
    dilates = fold == "max"
    if isinstance(window, np.ndarray):
        offsets = np.argwhere(window) - np.array(window.shape) // 2
        offsets = -offsets if dilates else offsets
        return fold_window(image, offsets, None, fold, border, image.dtype)
    rows, columns = (Window(n, n - 1 - n // 2 if dilates else n // 2) for n in window)
    return separable(image, (rows, columns), fold, border, image.dtype)
