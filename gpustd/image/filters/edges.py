"""Derivatives: Sobel, Scharr and Laplace."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucore import Buffer, f32, u8
from gpustd.image.border import border_of
from gpustd.image.filters.correlation import fold_window
from gpustd.image.filters.stencil import fits_stencil, launch_stencil
from gpustd.image.picture import picture_of
from gpustd.image.words import launch_cells
from gpustd.launch.checks import choice
from gpustd.launch.template import Value

__all__ = ["laplacian", "scharr", "sobel"]

_ALONG = {0: "down", 1: "across", None: "both"}
_LAPLACE = ((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0))


def sobel(
    image: Buffer[Any], axis: int | None = None, mode: str = "reflect", cval: float = 0.0
) -> Buffer[f32]:
    """Derivative along the height (axis 0) or width (1), or the gradient's length (None), in f32.

    As `scipy.ndimage.sobel`, not divided by anything: (-1, 0, 1) along the axis, (1, 2, 1) across
    it; the mode constant surrounds the image with ``cval`` (SciPy: the derivative too). Levels of
    u8 count as 0 to 255. Images are (H, W), (H, W, C) or (N, H, W, C); ``mode`` and
    ``cval``: `gpustd.image.border`. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[0, 0, 10, 10]], np.uint8))
    >>> image.sobel(picture, 1).read().tolist()
    [[0.0, 40.0, 40.0, 0.0]]
    """
    return _gradient("sobel", image, axis, (mode, cval), (1, 2))


def scharr(
    image: Buffer[Any], axis: int | None = None, mode: str = "reflect", cval: float = 0.0
) -> Buffer[f32]:
    """As `sobel` with (3, 10, 3) across the axis, which turns more evenly (Scharr 2000).

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[0], [1], [1]], np.float32))
    >>> image.scharr(picture, 0).read().tolist()
    [[16.0], [16.0], [0.0]]
    """
    return _gradient("scharr", image, axis, (mode, cval), (3, 10))


def laplacian(image: Buffer[Any], mode: str = "reflect", cval: float = 0.0) -> Buffer[f32]:
    """Sum of the second differences (1, -2, 1) of height and width, as `scipy.ndimage.laplace`.

    The result is f32; arguments and errors as `sobel`'s.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[0, 1, 4, 9]], np.float32))
    >>> image.laplacian(picture).read().tolist()
    [[1.0, 2.0, 2.0, -5.0]]
    """
    picture_of("laplacian", image)
    border = border_of("laplacian", mode, cval)
    weights = np.array([1.0, 1.0, -4.0, 1.0, 1.0])
    return fold_window(image, np.array(_LAPLACE), weights, "sum", border, f32)


def _gradient(
    op: str,
    image: Buffer[Any],
    axis: int | None,
    border: tuple[str, float],
    across: tuple[int, int],
) -> Buffer[f32]:
    picture = picture_of(op, image)
    axis = choice(op, "axis", axis, _ALONG)
    result = image.device.buffer(f32, picture.shape)
    number, fill = border_of(op, *border)
    spec: dict[str, Value] = {"along": _ALONG[axis], "side": across[0], "middle": across[1]}
    stencil = spec["stencil"] = fits_stencil(image, picture)
    if stencil:
        edges = (number, fill)
        # Levels are few bytes: rows are shared between more results.
        plan = (1, 8, 64) if image.dtype is u8 else (1, 4, 128)
        launch_stencil("gradient.wgsl", spec, (image, result), picture, 3, edges, plan)
    elif picture.size:
        sizes = {"mode": number, "fill": fill}
        launch_cells("gradient.wgsl", spec, (image, result), picture, sizes)
    return result
