"""Resizing f32 along both axes in one launch, on GPUs."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, T, f32
from gpucore.integers import ceil_div
from gpustd.image.picture import Picture, picture_of
from gpustd.image.resampling.weights import Taps
from gpustd.image.tables import table
from gpustd.launch.grid import MOST_GROUPS
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["launch_both"]

_LANES = 128
_MOST_TAPS, _MOST_WINDOW = 16, 24
_MOST_PLACES = 128
# Rows of a workgroup, whole fours.
_STRIP = 12


def launch_both(image: Buffer[T], made: Picture, down: Taps, across: Taps) -> Buffer[T] | None:
    """Record the height by ``down``, then the width by ``across``, to extents ``made``.

    None where that does not suit: other dtypes, rows of parts of words, long windows.
    """
    source = picture_of("resize", image)
    variant = forced_variant("resize") or ("cells" if image.device.is_cpu else "both")
    # Two launches measured quicker where a picture grows.
    grows = 2 * made.pixels > source.pixels or made.height > source.height
    if variant != forced_variant("resize") and grows:
        return None
    if variant != "both" or image.dtype is not f32 or source.row % 4:
        return None
    rows = down.starts.astype(np.int64)
    last = rows[np.minimum(np.arange(0, len(rows), 4) + 3, len(rows) - 1)]
    window = int((last - rows[::4]).max()) + down.weights.shape[1]
    places = _places(across, made.channels)
    taps = max(down.weights.shape[1], across.weights.shape[1])
    strips = ceil_div(made.height, _STRIP)
    if taps > _MOST_TAPS or window > _MOST_WINDOW or not places:
        return None
    if max(made.images, strips, ceil_div(made.width, places)) > MOST_GROUPS:
        return None
    spec: dict[str, Value] = {
        "channels": made.channels,
        "lanes": _LANES,
        "places": places,
        "window": window,
        "half": (ceil_div(4 * _LANES, made.channels) + 3) // 2,
        "taps_x": across.weights.shape[1],
    }
    sizes = {
        "rows": made.height,
        "width": made.width,
        "x_rows": source.height,
        "across": source.row // 4,
        "strip": _STRIP,
    }
    device = image.device
    result = device.buffer(image.dtype, made.shape)
    tables = (
        table(device, down.starts),
        table(device, _of_fours(down, window)),
        table(device, across.starts),
        table(device, across.weights.T.astype(np.float32)),
    )
    grid = (ceil_div(made.width, places), strips, made.images)
    kernel(device, "image/both.wgsl", **spec)(image, *tables, result, sizes, grid=grid)
    return result


def _of_fours(taps: Taps, window: int) -> NDArray[np.float32]:
    """Weights (fours, window, 4) of four places each from the first one's start on."""
    places, count = taps.weights.shape
    starts = taps.starts.astype(np.int64)
    at = starts - starts[::4].repeat(4)[:places]
    weights = np.zeros((ceil_div(places, 4) * 4, window), np.float32)
    np.put_along_axis(weights[:places], at[:, None] + np.arange(count), taps.weights, axis=1)
    return np.ascontiguousarray(weights.reshape(-1, 4, window).swapaxes(1, 2))


def _places(across: Taps, channels: int) -> int:
    """Most places of a workgroup, in fours, whose sources lie in words of its lanes; 0 if none."""
    starts, taps = across.starts.astype(np.int64), across.weights.shape[1]
    for places in range(_MOST_PLACES, 0, -4):
        first = np.arange(0, len(starts), places)
        last = np.minimum(first + places, len(starts)) - 1
        words = ((starts[last] + taps) * channels - 1) // 4 - starts[first] * channels // 4 + 1
        if words.max() <= _LANES:
            return places
    return 0
