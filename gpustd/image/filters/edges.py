"""Derivatives of images: Sobel, Scharr and Laplace."""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucore import Buffer, f32, u8
from gpustd.image.border import Border, as_border
from gpustd.image.filters.correlation import fold_window
from gpustd.image.filters.stencil import StencilPlan, fits_stencil, launch_stencil
from gpustd.image.shapes import image_shape
from gpustd.image.word_kernels import launch_words
from gpustd.launch.checks import choice
from gpustd.launch.template import Value

__all__ = ["laplacian", "scharr", "sobel"]

_ALONG = {0: "down", 1: "across", None: "both"}
_LAPLACE = ((-1, 0), (0, -1), (0, 0), (0, 1), (1, 0))


def sobel(
    image: Buffer[Any], axis: int | None = None, mode: str = "reflect", cval: float = 0.0
) -> Buffer[f32]:
    """Return the derivative along the height (0) or width (1), or the gradient's length (None).

    As `scipy.ndimage.sobel`, not divided by anything: weights are (-1, 0, 1) along the axis and (1,
    2, 1) across it. The mode constant surrounds the image with ``cval`` (SciPy surrounds the
    derivative too). Images are (H, W), (H, W, C) or (N, H, W, C) of u8 or f32; levels of u8 count
    as 0 to 255, and the result is f32. `gpustd.image.border` lists ``mode`` and ``cval``. Raises
    `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> picture = device.buffer_from_array(np.array([[0, 0, 10, 10]], np.uint8))
    >>> image.sobel(picture, 1).read().tolist()
    [[0.0, 40.0, 40.0, 0.0]]
    """
    return _gradient("sobel", image, axis, as_border("sobel", mode, cval), 1, 2)


def scharr(
    image: Buffer[Any], axis: int | None = None, mode: str = "reflect", cval: float = 0.0
) -> Buffer[f32]:
    """Return the derivative as `sobel`, with the weights (3, 10, 3) across the axis (Scharr 2000).

    They depend less on the direction of an edge.

    >>> picture = device.buffer_from_array(np.array([[0], [1], [1]], np.float32))
    >>> image.scharr(picture, 0).read().tolist()
    [[16.0], [16.0], [0.0]]
    """
    return _gradient("scharr", image, axis, as_border("scharr", mode, cval), 3, 10)


def laplacian(image: Buffer[Any], mode: str = "reflect", cval: float = 0.0) -> Buffer[f32]:
    """Return the sum of second differences (1, -2, 1) of both axes, as `scipy.ndimage.laplace`.

    The result is f32. Arguments and errors are those of `sobel`.

    >>> picture = device.buffer_from_array(np.array([[0, 1, 4, 9]], np.float32))
    >>> image.laplacian(picture).read().tolist()
    [[1.0, 2.0, 2.0, -5.0]]
    """
    image_shape("laplacian", image)
    border = as_border("laplacian", mode, cval)
    weights = np.array([1.0, 1.0, -4.0, 1.0, 1.0])
    return fold_window(image, np.array(_LAPLACE), weights, "sum", border, f32)


def _gradient(
    op: str,
    image: Buffer[Any],
    axis: int | None,
    border: Border,
    side: int,
    middle: int,
) -> Buffer[f32]:
    """Return differences of the neighbours along ``axis``, or the gradient's length (None).

    The weights across the axis are ``side``, ``middle``, ``side``.
    """
    shape = image_shape(op, image)
    axis = choice(op, "axis", axis, _ALONG)
    result = image.device.buffer(f32, shape.buffer_shape)
    spec: dict[str, Value] = {"along": _ALONG[axis], "side": side, "middle": middle}
    stencil = spec["stencil"] = fits_stencil(image, shape)
    if stencil:
        # Elements of u8 are few bytes, so more results share the rows that are read.
        plan = StencilPlan(1, 8, 64) if image.dtype is u8 else StencilPlan(1, 4, 128)
        launch_stencil("gradient.wgsl", spec, (image, result), shape, 3, border, plan)
    elif shape.size:
        sizes = {"mode": border.mode, "fill": border.fill}
        launch_words("gradient.wgsl", spec, (image, result), shape, sizes)
    return result
