"""The median filter."""

from __future__ import annotations

from gpucore import Buffer, T, u8
from gpustd.image.border import CONSTANT, as_border
from gpustd.image.filters.stencil import StencilPlan, fits_stencil, launch_stencil
from gpustd.image.shapes import image_shape
from gpustd.image.word_kernels import launch_words
from gpustd.launch.checks import choice
from gpustd.launch.elements import can_compare_f16_pairs
from gpustd.launch.template import Value
from gpustd.launch.variants import forced_variant

__all__ = ["median"]

_SIZES = (1, 3, 5, 7, 9)
# The largest window whose selection network a software renderer compiles quickly.
_QUICK_TO_COMPILE = 5
# By size, as measured on an H200.
_PLANS = {3: StencilPlan(4, 4, 128), 5: StencilPlan(1, 2, 64)}


def median(image: Buffer[T], size: int = 3, mode: str = "reflect", cval: float = 0.0) -> Buffer[T]:
    """Return the median of ``size`` by ``size`` pixels, as `scipy.ndimage.median_filter`; exact.

    ``size`` is 1, 3, 5, 7 or 9. `gpustd.image.border` lists ``mode`` and ``cval``. Images are (H,
    W), (H, W, C) or (N, H, W, C) of u8 or f32. A window with a NaN gives an unspecified value of
    f32. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> picture = device.buffer_from_array(np.array([[1, 9, 2], [3, 1, 4], [8, 2, 3]], np.uint8))
    >>> image.median(picture, 3).read().tolist()
    [[1, 2, 2], [3, 3, 3], [3, 3, 3]]
    """
    shape = image_shape("median", image)
    size = choice("median", "size", size, _SIZES)
    result = image.device.buffer(image.dtype, shape.buffer_shape)
    border = as_border("median", mode, cval)
    if not shape.size or size == 1:
        result.copy_from(image)
        return result
    forced = forced_variant("median")
    if size in _PLANS and not forced and fits_stencil(image, shape):
        levels = image.dtype is u8 and (border.mode != CONSTANT or cval in range(256))
        halves = size == 3 and levels and can_compare_f16_pairs(image.device)
        spec: dict[str, Value] = {"variant": "stencil", "halves": halves}
        launch_stencil("median.wgsl", spec, (image, result), shape, size, border, _PLANS[size])
        return result
    quick = not image.device.is_cpu or size <= _QUICK_TO_COMPILE
    spec = {"size": size, "variant": forced or ("select" if quick else "bisect")}
    sizes = {"mode": border.mode, "fill": border.fill}
    launch_words("median.wgsl", spec, (image, result), shape, sizes)
    return result
