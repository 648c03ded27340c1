"""Resizing of f32 along both axes in one launch, on GPUs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, T, f32
from gpucore.integers import ceil_div
from gpustd.image.resampling.weights import Taps
from gpustd.image.shapes import ImageShape, image_shape
from gpustd.launch.grid import MOST_GROUPS
from gpustd.launch.tables import array_table
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant

__all__ = ["try_resize_fused"]

_LANES = 128
_MAX_TAPS, _MAX_WINDOW = 16, 24
_MAX_PLACES = 128
# Rows of a workgroup, a multiple of four.
_STRIP = 12


def try_resize_fused(
    image: Buffer[T], target: ImageShape, down: Taps, across: Taps
) -> Buffer[T] | None:
    """Resize the height by ``down`` and the width by ``across``, to the extents ``target``.

    A forced tile is the invocations of a workgroup.

    Returns None where the kernel does not fit: another dtype than f32, rows that are not whole
    words, or long windows.
    """
    source = image_shape("resize", image)
    variant = forced_variant("resize") or ("cells" if image.device.is_cpu else "resize_fused")
    # Two launches measured faster where a picture grows.
    grows = 2 * target.pixels > source.pixels or target.height > source.height
    if variant != forced_variant("resize") and grows:
        return None
    if variant != "resize_fused" or image.dtype is not f32 or source.row % 4:
        return None
    window = _window_of_four(down)
    forced = forced_tile("resize")
    lanes = forced if isinstance(forced, int) else _LANES
    places = _places(across, target.channels, lanes)
    taps = max(down.weights.shape[1], across.weights.shape[1])
    strips = ceil_div(target.height, _STRIP)
    if taps > _MAX_TAPS or window > _MAX_WINDOW or not places:
        return None
    if max(target.images, strips, ceil_div(target.width, places)) > MOST_GROUPS:
        return None
    spec: dict[str, Value] = {
        "channels": target.channels,
        "lanes": lanes,
        "places": places,
        "window": window,
        "half": (ceil_div(4 * lanes, target.channels) + 3) // 2,
        "taps_x": across.weights.shape[1],
    }
    sizes = {
        "rows": target.height,
        "width": target.width,
        "x_rows": source.height,
        "across": source.row // 4,
        "strip": _STRIP,
    }
    device = image.device
    result = device.buffer(image.dtype, target.buffer_shape)
    tables = (
        array_table(device, down.starts),
        array_table(device, _weights_of_four(down, window)),
        array_table(device, across.starts),
        array_table(device, across.weights.T.astype(np.float32)),
    )
    grid = (ceil_div(target.width, places), strips, target.images)
    kernel(device, "image/resize_fused.wgsl", **spec)(image, *tables, result, sizes, grid=grid)
    return result


def _window_of_four(taps: Taps) -> int:
    """Return the most places of the source that four neighbours of the result need."""
    starts = taps.starts.astype(np.int64)
    last = starts[np.minimum(np.arange(0, len(starts), 4) + 3, len(starts) - 1)]
    return int((last - starts[::4]).max() + taps.weights.shape[1])


def _weights_of_four(taps: Taps, window: int) -> NDArray[np.float32]:
    """Return the weights (groups, ``window``, 4) of groups of four places.

    A group's window begins at the start of its first place.
    """
    places, count = taps.weights.shape
    starts = taps.starts.astype(np.int64)
    at = starts - starts[::4].repeat(4)[:places]
    weights = np.zeros((ceil_div(places, 4) * 4, window), np.float32)
    np.put_along_axis(weights[:places], at[:, None] + np.arange(count), taps.weights, axis=1)
    return np.ascontiguousarray(weights.reshape(-1, 4, window).swapaxes(1, 2))


def _places(across: Taps, channels: int, lanes: int) -> int:
    """Return the places of a workgroup: a multiple of four, or 0 if the kernel does not fit.

    It is the largest for which the words of their sources do not outnumber the lanes.
    """
    starts, taps = across.starts.astype(np.int64), across.weights.shape[1]
    for places in range(_MAX_PLACES, 0, -4):
        first = np.arange(0, len(starts), places)
        last = np.minimum(first + places, len(starts)) - 1
        words = ((starts[last] + taps) * channels - 1) // 4 - starts[first] * channels // 4 + 1
        if words.max() <= lanes:
            return places
    return 0
