"""Grey morphology with flat structuring elements: windows of any form without weights.

All take the arguments of `erode`, give an image of the same shape and dtype, and raise
`ShapeError`, `DTypeError`, `ArgumentError`.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import ArgumentError, Buffer, T
from gpustd.image.axis import Fold, Window
from gpustd.image.border import border_number
from gpustd.image.filter2d import fold_window
from gpustd.image.pairs import combined
from gpustd.image.picture import picture_of, sides_of
from gpustd.image.separable import separable

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
    return _extreme("erode", image, _window("erode", size, footprint), (mode, cval))


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
    return _extreme("dilate", image, _window("dilate", size, footprint), (mode, cval))


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
    return dilate(erode(image, size, footprint, mode, cval), size, footprint, mode, cval)


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
    return erode(dilate(image, size, footprint, mode, cval), size, footprint, mode, cval)


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
    most = dilate(image, size, footprint, mode, cval)
    return combined("difference", most, erode(image, size, footprint, mode, cval))


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
    return combined("difference", image, opening(image, size, footprint, mode, cval))


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
    return combined("difference", closing(image, size, footprint, mode, cval), image)


def _window(op: str, size: Size, footprint: ArrayLike | None) -> NDArray[np.bool_]:
    """The window as an array of truth. Raises `ArgumentError`."""
    if footprint is None:
        return np.ones(sides_of(op, size), bool)
    window: NDArray[np.bool_] = np.asarray(footprint).astype(bool)
    if window.ndim != 2 or not window.any():
        raise ArgumentError(
            f"{op}: footprint of shape {window.shape}: wants (rows, columns), one of them not zero"
        )
    return window


def _extreme(
    op: str, image: Buffer[T], window: NDArray[np.bool_], border: tuple[str, float]
) -> Buffer[T]:
    picture_of(op, image)
    number = (border_number(op, border[0]), border[1])
    dilates = op == "dilate"
    fold: Fold = "max" if dilates else "min"
    if not window.all():
        offsets = np.argwhere(window) - np.array(window.shape) // 2
        offsets = -offsets if dilates else offsets
        return fold_window(image, offsets, None, fold, number, image.dtype)
    rows, columns = (Window(n, n - 1 - n // 2 if dilates else n // 2) for n in window.shape)
    return separable(image, (rows, columns), fold, number, image.dtype)
