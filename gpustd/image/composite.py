"""Compositing of one image over another."""

from __future__ import annotations

from gpucore import Buffer, ShapeError, T, u8
from gpucore.integers import ceil_div
from gpustd.image.shapes import image_shape, require_same
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import launch_each
from gpustd.launch.template import Value
from gpustd.launch.variants import forced_variant

__all__ = ["alpha_composite"]

# A small f32 is rounded to a whole number when this is added and then subtracted.
_ROUND = 1.5 * 2.0**23


def alpha_composite(below: Buffer[T], above: Buffer[T], premultiplied: bool = False) -> Buffer[T]:
    """Lay ``above`` over ``below`` by Porter and Duff's operator over.

    Both images are RGBA, (H, W, 4) or (N, H, W, 4), of u8 or f32.

    Straight alpha: u8 gives the same levels as `PIL.Image.alpha_composite`. With f32 (0 .. 1),
    alpha a is as + ad (1 - as) and colours are (Cs as + Cd ad (1 - as)) / a, or those of ``below``
    where a is 0. With ``premultiplied``, all four channels are s + d (1 - as), and u8 is rounded to
    the nearest.

    Raises `ShapeError`, `DTypeError`.

    >>> white = device.buffer_from_array(np.full((1, 1, 4), 255, np.uint8))
    >>> red = device.buffer_from_array(np.array([[[255, 0, 0, 51]]], np.uint8))
    >>> image.alpha_composite(white, red).read().tolist()
    [[[255, 204, 204, 255]]]
    """
    shape = image_shape("alpha_composite", below)
    if shape.channels != 4:
        raise ShapeError(
            f"alpha_composite: an image must have 4 channels, the last one alpha, got {below!r}"
        )
    require_buffers("alpha_composite", above)
    require_same("alpha_composite", below, above)
    result = below.device.buffer(below.dtype, below.shape)
    spec: dict[str, Value] = {"source": below.dtype.name, "premultiplied": premultiplied}
    variant = forced_variant("composite") or ("integers" if below.device.is_cpu else "floats")
    spec["floats"] = variant == "floats" and below.dtype is u8 and not premultiplied
    words = ceil_div(shape.pixels, 4) if spec["floats"] else shape.pixels
    sizes = {"up": _ROUND, "down": _ROUND} if spec["floats"] else {}
    launch_each("image/composite.wgsl", spec, (below, above, result), words, sizes)
    return result
