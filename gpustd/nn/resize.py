"""Feature maps (N, H, W, C) of another size: interpolation, and channels moved to pixels."""

from __future__ import annotations

import math
from typing import Literal

from gpucore import ArgumentError, Buffer, ShapeError, T
from gpustd.arrays.moving.transposing import transpose
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
from gpustd.nn.conv.windows import Extents, each_axis, is_wide, spatial_extents

__all__ = ["interpolate", "pixel_shuffle", "pixel_unshuffle", "upsample_nearest"]

# Factors up to this one have a kernel whose text writes out each result.
_MOST_FACTOR = 4


def interpolate(
    x: Buffer[T],
    size: Extents | None = None,
    scale_factor: float | tuple[float, float] | None = None,
    mode: Literal["nearest", "bilinear"] = "nearest",
    align_corners: bool = False,
) -> Buffer[T]:
    """Resize (N, H, W, C) to (N, height, width, C); give either ``size`` or ``scale_factor``.

    ``nearest`` takes pixel floor(i old / new), of any dtype that WGSL has; ``bilinear`` weighs four
    pixels of f16 or f32 in f32. With ``align_corners`` the centres of the corner pixels stay, else
    the corners of the image; there is no filter against aliasing. A ``scale_factor`` gives the size
    floor(old factor), and its inverse is then the distance of the pixels. Raises `ShapeError`,
    `ArgumentError`, `DTypeError`.

        >>> x = device.buffer_from_array(np.array([[[[0], [4]]]], np.float32))
        >>> nn.interpolate(x, (1, 4), mode="bilinear").read().ravel().tolist()
        [0.0, 1.0, 3.0, 4.0]
    """
    old = spatial_extents("interpolate", x, 2)
    if mode not in ("nearest", "bilinear"):
        raise ArgumentError(f"interpolate: mode must be 'nearest' or 'bilinear', got {mode!r}")
    if align_corners and mode == "nearest":
        raise ArgumentError("interpolate: align_corners must be False where mode is 'nearest'")
    new, steps = _new_extents(old, size, scale_factor)
    if align_corners:
        steps = tuple((o - 1) / (n - 1) if n > 1 else 0.0 for o, n in zip(old, new, strict=True))
    if not math.prod(old):
        raise ShapeError(f"interpolate: x must have at least one pixel, got {x.shape}")
    scalar = (common_scalar if mode == "nearest" else float_scalar)("interpolate", x)
    factors = tuple(n // o for n, o in zip(new, old, strict=True))
    exact = all(s * f == 1 for s, f in zip(steps, factors, strict=True))
    if mode == "bilinear" and exact and max(factors) <= _MOST_FACTOR:
        return _enlarge(scalar, x, factors)
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


def _enlarge(scalar: str, x: Buffer[T], factors: tuple[int, ...]) -> Buffer[T]:
    """Return the bilinear interpolation by whole factors along y and x."""
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


def _new_extents(
    old: tuple[int, ...],
    size: Extents | None,
    factor: float | tuple[float, float] | None,
) -> tuple[tuple[int, ...], tuple[float, ...]]:
    """Return the result's extents, and the old pixels from one new pixel to the next."""
    if size is not None and factor is None:
        new = each_axis("interpolate", "size", size, 2)
        return new, tuple(o / n for o, n in zip(old, new, strict=True))
    if size is not None or factor is None:
        raise ArgumentError("interpolate: give either size or scale_factor")
    factors = factor if isinstance(factor, tuple) else (factor, factor)
    if not all(0 < f < math.inf for f in factors):
        raise ArgumentError(f"interpolate: scale_factor must be positive and finite, got {factor}")
    new = tuple(math.floor(o * f) for o, f in zip(old, factors, strict=True))
    if min(new) < 1:
        raise ArgumentError(
            f"interpolate: scale_factor must leave at least one pixel of {old}, got {factor}"
        )
    return new, tuple(1 / f for f in factors)


def upsample_nearest(x: Buffer[T], factor: int = 2) -> Buffer[T]:
    """Enlarge (N, H, W, C) to (N, factor H, factor W, C): each pixel becomes a square.

    Any dtype that WGSL has. `gpustd.fused_conv2d` enlarges its images by itself. Raises
    `ShapeError`, `DTypeError`, `ArgumentError`.

        >>> x = device.buffer_from_array(np.array([1, 2], np.float32).reshape(1, 1, 2, 1))
        >>> nn.upsample_nearest(x).read()[0, :, :, 0].tolist()
        [[1.0, 1.0, 2.0, 2.0], [1.0, 1.0, 2.0, 2.0]]
    """
    height, width = spatial_extents("upsample_nearest", x, 2)
    factor = as_int("upsample_nearest", "factor", factor)
    if factor < 1:
        raise ShapeError(f"upsample_nearest: factor must be at least 1, got {factor}")
    images, channels = x.shape[0], x.shape[3]
    y = x.device.buffer(x.dtype, (images, factor * height, factor * width, channels))
    unit = width_of(channels)
    spec: dict[str, Value] = {"scalar": common_scalar("upsample_nearest", x), "width": unit}
    sizes = {"width": width, "channels": channels // unit, "factor": factor}
    launch_flat("nn/upsample_nearest/naive.wgsl", spec, (x, y), x.size // unit, sizes)
    return y


def pixel_shuffle(x: Buffer[T], upscale_factor: int) -> Buffer[T]:
    """Return (N, H, W, C r r) as (N, H r, W r, C): channel c r r + i r + j becomes pixel (i, j).

    Shi et al. 2016 (arXiv 1609.05158). Any dtype. Raises `ShapeError`, `DTypeError`.

        >>> x = device.buffer_from_array(np.arange(4, dtype=np.float32).reshape(1, 1, 1, 4))
        >>> nn.pixel_shuffle(x, 2).read()[0, ..., 0].tolist()
        [[0.0, 1.0], [2.0, 3.0]]
    """
    height, width = spatial_extents("pixel_shuffle", x, 2)
    r = as_int("pixel_shuffle", "upscale_factor", upscale_factor)
    images, channels = x.shape[0], x.shape[3]
    if r < 1 or channels % (r * r):
        raise ShapeError(
            f"pixel_shuffle: channels must be a multiple of {r} squared, got {x.shape}"
        )
    left = channels // (r * r)
    parts = x.view((images * height, width, left, r, r))
    return transpose(parts, (0, 3, 1, 4, 2)).view((images, height * r, width * r, left))


def pixel_unshuffle(x: Buffer[T], downscale_factor: int) -> Buffer[T]:
    """Return (N, H r, W r, C) as (N, H, W, C r r): the inverse of `pixel_shuffle`.

    Any dtype. Raises `ShapeError`, `DTypeError`.

        >>> x = device.buffer_from_array(np.arange(4, dtype=np.float32).reshape(1, 2, 2, 1))
        >>> nn.pixel_unshuffle(x, 2).read().tolist()
        [[[[0.0, 1.0, 2.0, 3.0]]]]
    """
    height, width = spatial_extents("pixel_unshuffle", x, 2)
    r = as_int("pixel_unshuffle", "downscale_factor", downscale_factor)
    images, channels = x.shape[0], x.shape[3]
    if r < 1 or height % r or width % r:
        raise ShapeError(
            f"pixel_unshuffle: height and width must be multiples of {r}, got {x.shape}"
        )
    parts = x.view((images * height // r, r, width // r, r, channels))
    shape = (images, height // r, width // r, channels * r * r)
    return transpose(parts, (0, 2, 4, 1, 3)).view(shape)
