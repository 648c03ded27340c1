"""Laying one picture over another."""

from __future__ import annotations

from gpucore import Buffer, ShapeError, T, u8
from gpucore.integers import ceil_div
from gpustd.image.picture import picture_of, require_same
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import launch_each
from gpustd.launch.template import Value
from gpustd.launch.variants import forced_variant

__all__ = ["alpha_composite"]

# Added and taken away, it rounds a small f32 to a whole number.
_ROUND = 1.5 * 2.0**23


def alpha_composite(below: Buffer[T], above: Buffer[T], premultiplied: bool = False) -> Buffer[T]:
    """``above`` over ``below``, both (H, W, 4) or (N, H, W, 4) of RGBA (Porter and Duff's over).

    Straight alpha: of u8 the same levels as `PIL.Image.alpha_composite`; of f32 (0 .. 1) the
    colours (Cs as + Cd ad (1 - as)) / a with a = as + ad (1 - as), and those of ``below`` where a
    is 0. ``premultiplied``: all four channels s + d (1 - as), u8 rounded to the nearest.
    Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> white = device.buffer_from_array(np.full((1, 1, 4), 255, np.uint8))
    >>> red = device.buffer_from_array(np.array([[[255, 0, 0, 51]]], np.uint8))
    >>> image.alpha_composite(white, red).read().tolist()
    [[[255, 204, 204, 255]]]
    """
    picture = picture_of("alpha_composite", below)
    if picture.channels != 4:
        raise ShapeError(f"alpha_composite: {below!r}: wants 4 channels, the last one alpha")
    require_buffers("alpha_composite", above)
    require_same("alpha_composite", below, above)
    result = below.device.buffer(below.dtype, below.shape)
    spec: dict[str, Value] = {"source": below.dtype.name, "premultiplied": premultiplied}
    variant = forced_variant("composite") or ("integers" if below.device.is_cpu else "floats")
    spec["floats"] = variant == "floats" and below.dtype is u8 and not premultiplied
    words = ceil_div(picture.pixels, 4) if spec["floats"] else picture.pixels
    sizes = {"up": _ROUND, "down": _ROUND} if spec["floats"] else {}
    launch_each("image/composite.wgsl", spec, (below, above, result), words, sizes)
    return result
