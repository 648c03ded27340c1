"""Rank filters: the median."""

from __future__ import annotations

from gpucore import Buffer, T, u8
from gpustd.image.border import CONSTANT, border_of
from gpustd.image.filters.separable_window import has_halves
from gpustd.image.filters.stencil import fits_stencil, launch_stencil
from gpustd.image.picture import picture_of
from gpustd.image.words import launch_cells
from gpustd.launch.checks import choice
from gpustd.launch.template import Value
from gpustd.launch.variants import forced_variant

__all__ = ["median"]

_SIZES = (1, 3, 5, 7, 9)
_QUICK_TO_COMPILE = 5
# By size, as measured on an H200.
_STENCILS = {3: (4, 4, 128), 5: (1, 2, 64)}


def median(image: Buffer[T], size: int = 3, mode: str = "reflect", cval: float = 0.0) -> Buffer[T]:
    """Median of ``size`` by ``size`` pixels, as `scipy.ndimage.median_filter`; exact.

    ``size`` is 1, 3, 5, 7 or 9. ``mode`` and ``cval``: `gpustd.image.border`. Images are (H, W),
    (H, W, C) or (N, H, W, C) of u8 or f32. A window with a NaN gives some value of f32.
    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[1, 9, 2], [3, 1, 4], [8, 2, 3]], np.uint8))
    >>> image.median(picture, 3).read().tolist()
    [[1, 2, 2], [3, 3, 3], [3, 3, 3]]
    """
    picture = picture_of("median", image)
    size = choice("median", "size", size, _SIZES)
    result = image.device.buffer(image.dtype, picture.shape)
    border = border_of("median", mode, cval)
    sizes = {"mode": border[0], "fill": border[1]}
    if not picture.size or size == 1:
        result.copy_from(image)
        return result
    quick = not image.device.is_cpu or size <= _QUICK_TO_COMPILE
    wanted = forced_variant("median")
    if size in _STENCILS and not wanted and fits_stencil(image, picture):
        levels = image.dtype is u8 and (border[0] != CONSTANT or cval in range(256))
        halves = size == 3 and levels and has_halves(image.device)
        spec: dict[str, Value] = {"variant": "stencil", "halves": halves}
        plan = _STENCILS[size]
        launch_stencil("median.wgsl", spec, (image, result), picture, size, border, plan)
        return result
    variant = wanted or ("select" if quick else "bisect")
    launch_cells("median.wgsl", {"size": size, "variant": variant}, (image, result), picture, sizes)
    return result
