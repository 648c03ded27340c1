"""Feature maps (N, H, W, C) of another size: interpolation and moving channels to pixels."""

from __future__ import annotations

import math
from typing import Literal

from gpucore import ArgumentError, Buffer, ShapeError, T
from gpustd.arrays.moving import transpose
from gpustd.launch.checks import as_int
from gpustd.launch.elements import (
    common_scalar,
    float_scalar,
    launch_each,
    launch_flat,
    widest_word,
    width_of,
)
from gpustd.launch.template import Value
from gpustd.nn.conv.windows import Extents, each_axis, is_wide, spatial

__all__ = ["interpolate", "pixel_shuffle", "pixel_unshuffle"]

# Whole factors up to this one have results that are written out in full.
_MOST_FACTOR = 4


def interpolate(
    x: Buffer[T],
    size: Extents | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: Literal["nearest", "bilinear"] = "nearest",
    align_corners: bool = False,
) -> Buffer[T]:
    """(N, H, W, C) as (N, height, width, C), one of ``size`` and ``scale_factor`` given.

    ``nearest`` takes pixel floor(i old / new), of any dtype that WGSL has; ``bilinear`` weighs four
    pixels of f16 or f32 in f32. With ``align_corners`` the centres of the corner pixels stay, else
    the corners of the image; there is no filter against aliasing. A ``scale_factor`` gives the size
    floor(old factor), and its inverse is then the distance of the pixels. Raises `ShapeError`,
    `ArgumentError`, `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> x = Device.auto().buffer_from_array(np.array([[[[0], [4]]]], np.float32))
        >>> nn.interpolate(x, (1, 4), mode="bilinear").read().ravel().tolist()
        [0.0, 1.0, 3.0, 4.0]
    """
    old = spatial("interpolate", x, 2)
    if mode not in ("nearest", "bilinear") or (align_corners and mode == "nearest"):
        raise ArgumentError(
            f"interpolate: mode {mode!r}, align_corners {align_corners}: wants 'nearest', or "
            "'bilinear' with either"
        )
    new, steps = _sizes(old, size, scale_factor)
    if align_corners:
        steps = tuple((o - 1) / (n - 1) if n > 1 else 0.0 for o, n in zip(old, new, strict=True))
    if not math.prod(old):
        raise ShapeError(f"interpolate: {x.shape}: wants images of at least one pixel")
    checked = common_scalar if mode == "nearest" else float_scalar
    scalar = checked("interpolate", x)
    factors = tuple(n // o for n, o in zip(new, old, strict=True))
    whole = all(s * f == 1 for s, f in zip(steps, factors, strict=True))
    if mode == "bilinear" and whole and max(factors) <= _MOST_FACTOR:
        return _enlarged(scalar, x, factors)
    width = width_of(x.shape[3])
    spec: dict[str, Value] = {
        "scalar": scalar,
        "width": width,
        "mode": mode,
        "exact": scale_factor is None,
        "wide": scale_factor is None and mode == "nearest" and is_wide("interpolate", old, new),
        "align": align_corners,
    }
    y = x.device.buffer(x.dtype, (x.shape[0], *new, x.shape[3]))
    sizes = {
        "units": x.shape[3] // width,
        "height": old[0],
        "width": old[1],
        "out_height": new[0],
        "out_width": new[1],
        "step_y": steps[0],
        "step_x": steps[1],
    }
    launch_each("nn/interpolate.wgsl", spec, (x, y), y.size // width, sizes)
    return y


def _enlarged(scalar: str, x: Buffer[T], factors: tuple[int, ...]) -> Buffer[T]:
    """Bilinear, by whole factors along y and x."""
    images, height, width, channels = x.shape
    y = x.device.buffer(x.dtype, (images, height * factors[0], width * factors[1], channels))
    word = widest_word(x.dtype.itemsize, channels)
    units = channels // word
    spec: dict[str, Value] = {
        "scalar": scalar,
        "width": word,
        "factor_y": factors[0],
        "factor_x": factors[1],
    }
    count = images * (height + 1) * (width + 1) * units
    launch_flat(
        "nn/enlarge.wgsl", spec, (x, y), count, {"units": units, "height": height, "width": width}
    )
    return y


def _sizes(
    old: tuple[int, ...],
    size: Extents | None,
    factor: float | tuple[float, float] | None,
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Extents of the result, and old pixels from one new pixel to the next."""
    if size is not None and factor is None:
        new = each_axis("interpolate", "size", size, 2)
        return new, tuple(o / n for o, n in zip(old, new, strict=True))
    if size is not None or factor is None:
        raise ArgumentError("interpolate: give either size or scale_factor")
    factors = factor if isinstance(factor, tuple) else (factor, factor)
    if not all(0 < f < math.inf for f in factors):
        raise ArgumentError(f"interpolate: scale_factor {factor}: wants finite numbers over 0")
    new = tuple(math.floor(o * f) for o, f in zip(old, factors, strict=True))
    if min(new) < 1:
        raise ArgumentError(f"interpolate: scale_factor {factor} of {old} leaves no pixel")
    return new, tuple(1 / f for f in factors)


def pixel_shuffle(x: Buffer[T], upscale_factor: int) -> Buffer[T]:
    """(N, H, W, C r r) as (N, H r, W r, C): channel c r r + i r + j becomes pixel (i, j) of c.

    Shi et al. 2016 (arXiv 1609.05158). Any dtype. Raises `ShapeError`, `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> x = Device.auto().buffer_from_array(np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4))
        >>> nn.pixel_shuffle(x, 2).read()[0, ..., 0].tolist()
        [[0.0, 1.0], [2.0, 3.0]]
    """
    height, width = spatial("pixel_shuffle", x, 2)
    r, images, channels = (
        as_int("pixel_shuffle", "upscale_factor", upscale_factor),
        x.shape[0],
        x.shape[3],
    )
    if r < 1 or channels % (r * r):
        raise ShapeError(f"pixel_shuffle: {x.shape} by {r}: channels must divide by {r} squared")
    less = channels // (r * r)
    parts = x.view((images * height, width, less, r, r))
    return transpose(parts, (0, 3, 1, 4, 2)).view((images, height * r, width * r, less))


def pixel_unshuffle(x: Buffer[T], downscale_factor: int) -> Buffer[T]:
    """(N, H r, W r, C) as (N, H, W, C r r): the inverse of `pixel_shuffle`.

    Any dtype. Raises `ShapeError`, `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> x = Device.auto().buffer_from_array(np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1))
        >>> nn.pixel_unshuffle(x, 2).read().tolist()
        [[[[0.0, 1.0, 2.0, 3.0]]]]
    """
    height, width = spatial("pixel_unshuffle", x, 2)
    r, images, channels = (
        as_int("pixel_unshuffle", "downscale_factor", downscale_factor),
        x.shape[0],
        x.shape[3],
    )
    if r < 1 or height % r or width % r:
        raise ShapeError(f"pixel_unshuffle: {x.shape} by {r}: height and width must divide by {r}")
    parts = x.view((images * height // r, r, width // r, r, channels))
    shape = (images, height // r, width // r, channels * r * r)
    return transpose(parts, (0, 2, 4, 1, 3)).view(shape)
