"""Histograms of levels, and their equalisation."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpucore import (
    ArgumentError,
    Array,
    Buffer,
    DTypeError,
    atomic_max,
    barrier,
    f32,
    local_index,
    shared,
    static_range,
    u8,
    u32,
    workgroup_id,
)
from gpucore.integers import ceil_div
from gpustd.image.shapes import ImageShape, image_shape
from gpustd.image.word_kernels import elements_per_word, launch_words
from gpustd.launch.checks import as_floats, as_int
from gpustd.launch.grid import MOST_GROUPS, flat_grid
from gpustd.launch.plain_kernels import plain_kernel
from gpustd.launch.tables import array_table
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["equalise", "histogram"]

_MAX_LOCAL = 4096
_WORKGROUP = 256
_MAX_BINS = 2**20
# Elements of a unit of ``image/tabled.wgsl``, and units of an invocation.
_UNIT, _UNITS = 16, 4
_GROUPS_CPU, _GROUPS_GPU = 8, 2048
_MAX_SCALE = float(np.finfo(np.float32).max)


def histogram(
    image: Buffer[Any],
    bins: int = 256,
    range: tuple[float, float] | None = None,  # noqa: A002
) -> Buffer[u32]:
    """Count values by channel.

    The result is (bins,) for (H, W), (C, bins) for (H, W, C) and (N, C, bins) for (N, H, W, C).

    u8 has 256 levels: ``bins`` divides 256, and there is no ``range``. f32 has equal bins over
    ``range`` (first, last), as `numpy.histogram` of float64. The last bin holds ``last`` too.
    Values outside and NaNs are not counted. Counts are exact. Raises `ShapeError`, `DTypeError`,
    `ArgumentError`.

    >>> picture = device.buffer_from_array(np.array([[0, 0.1, 0.5], [0.9, 1, 2]], np.float32))
    >>> image.histogram(picture, 2, (0, 1)).read().tolist()
    [2, 3]
    """
    shape = image_shape("histogram", image)
    bins = as_int("histogram", "bins", bins)
    range = _as_span(range)  # noqa: A001
    _check_bins(image, bins, range)
    counts_shape = {2: (bins,), 3: (shape.channels, bins)}.get(
        shape.ndim, (shape.images, shape.channels, bins)
    )
    device = image.device
    counts = device.buffer(u32, counts_shape)
    counts.copy_from(array_table(device, np.zeros(counts.size, np.uint32)))
    if shape.size:
        _count(image, shape, counts, bins, range)
    return counts


def _as_span(limits: Sequence[float] | None) -> tuple[float, float] | None:
    """Return first and last as floats, of which f64 may hold more than f32.

    Raises `ArgumentError`.
    """
    if limits is None:
        return None
    span = as_floats("histogram", "range", limits)
    if span.shape != (2,):
        raise ArgumentError(f"histogram: range must be (first, last), got {limits!r}")
    return float(span[0]), float(span[1])


def _check_bins(image: Buffer[Any], bins: int, span: tuple[float, float] | None) -> None:
    """Raise `ArgumentError` unless ``bins`` and ``span`` fit the image's dtype."""
    if image.dtype is u8 and (span is not None or bins < 1 or 256 % bins):
        raise ArgumentError(
            f"histogram: bins must divide 256 and range be None for u8, got bins {bins}, range "
            f"{span} of {image!r}"
        )
    if image.dtype is f32 and (span is None or not -np.inf < span[0] < span[1] < np.inf):
        raise ArgumentError(
            f"histogram: range must be (first, last), rising and finite, for f32, got {span} of "
            f"{image!r}"
        )
    if not 1 <= bins <= _MAX_BINS:
        raise ArgumentError(f"histogram: bins must be from 1 to {_MAX_BINS}, got {bins}")


def _count(
    image: Buffer[Any],
    shape: ImageShape,
    counts: Buffer[u32],
    bins: int,
    span: tuple[float, float] | None,
) -> None:
    """Record that the image's elements are added to ``counts``."""
    device = image.device
    size = shape.height * shape.row
    words = size // elements_per_word(image) + 2
    max_groups = _GROUPS_CPU if device.is_cpu else max(_GROUPS_GPU // shape.images, 1)
    groups = max(1, min(max_groups, words // (16 * _WORKGROUP), MOST_GROUPS))
    slots = shape.channels * bins
    fast = forced_variant("histogram") == "copies" or not device.is_cpu
    spec: dict[str, Value] = {
        "source": image.dtype.name,
        "channels": shape.channels,
        "bins": bins,
        "local": slots <= _MAX_LOCAL,
        "copies": _copies(slots) if fast else 1,
        "loads": 4 if fast else 1,
    }
    sizes: dict[str, float] = {"size": size, "groups": groups, "images": shape.images}
    buffers = [image]
    if span is not None:
        edges = _ceil_f32(np.linspace(span[0], span[1], bins + 1))
        keys = _sort_keys(np.append(edges, -_ceil_f32(np.array([-span[1]]))))
        sizes |= {
            "least": int(keys[0]),
            "most": int(keys[-1]),
            "first": float(edges[0]),
            "scale": min(bins / (span[1] - span[0]), _MAX_SCALE),
        }
        buffers.append(array_table(device, keys[:-1]))
    launch = kernel(device, "image/histogram.wgsl", **spec)
    images = min(shape.images, MOST_GROUPS)
    launch(*buffers, counts, sizes, grid=(groups, images, ceil_div(shape.images, MOST_GROUPS)))


def _copies(slots: int) -> int:
    """Return how many copies of the counts workgroup memory holds: 1, 2, 4 or 8."""
    return max(1, min(8, 1 << (_MAX_LOCAL // slots).bit_length() >> 1))


def _ceil_f32(values: np.ndarray) -> np.ndarray:
    """Return the least f32 numbers that are not below ``values``.

    An f32 number reaches them exactly when it reaches the values.
    """
    near = values.astype(np.float32)
    return np.where(near < values, np.nextafter(near, np.float32(np.inf)), near)


def _sort_keys(values: np.ndarray) -> np.ndarray:
    """Return integers in the order of f32 values, as the shader computes them."""
    sizes = np.abs(values).view(np.int32)
    keys: np.ndarray = np.where(np.signbit(values), -sizes, sizes)
    return keys


def equalise(image: Buffer[u8]) -> Buffer[u8]:
    """Spread the levels of each channel of each image evenly, as Pillow's `ImageOps.equalize`.

    Images are u8, and levels are the same as Pillow's. Raises `ShapeError`, `DTypeError`.

    >>> picture = np.repeat(np.array([[10, 20, 30, 40]], np.uint8), 255, axis=0)
    >>> image.equalise(device.buffer_from_array(picture)).read()[0].tolist()
    [0, 85, 170, 255]
    """
    shape = image_shape("equalise", image)
    if image.dtype is not u8:
        raise DTypeError(
            f"equalise: an image must be u8, got {image!r}; gpustd.image.to_u8 converts f32"
        )
    result = image.device.buffer(u8, shape.buffer_shape)
    if not shape.size:
        return result
    counts = histogram(image)
    levels = image.device.buffer(u32, counts.shape)
    tables = shape.images * shape.channels
    equalise_levels[flat_grid(tables, 1)](counts, levels)
    _map_levels(image, levels, result, shape)
    return result


@plain_kernel(workgroup_size=256)
def equalise_levels(counts: Array[u32], levels: Array[u32]) -> None:
    """Make the new levels of a histogram (tables, 256), counts below 2^31: a workgroup each.

    Level i becomes the count of what is below, in steps of (all - those of the highest level) /
    255, rounded. Counts are added up in workgroup memory, over distances that double.
    """
    sums = shared(u32, 512)
    top = shared(u32, 1)
    level = local_index
    first = (workgroup_id.x + workgroup_id.y * MOST_GROUPS) * 256
    if first >= len(levels):
        return
    own = counts[first + level]
    if level == 0:
        top[0] = 0
    sums[level] = own
    barrier()
    if own > 0:
        atomic_max(top[0], level)
    for k in static_range(8):
        side = 256 * (k % 2)
        total = sums[side + level]
        if level >= 1 << k:
            total += sums[side + level - (1 << k)]
        sums[256 - side + level] = total
        barrier()
    step = (sums[255] - counts[first + top[0]]) // 255
    below = sums[level] - own
    spread = min((step // 2 + below) // max(step, 1), 255)
    levels[first + level] = level if step == 0 else spread


def _map_levels(
    image: Buffer[u8], levels: Buffer[u32], result: Buffer[u8], shape: ImageShape
) -> None:
    """Record that ``result`` is the ``levels`` (images, channels, 256) of ``image``."""
    units = shape.height * shape.row // _UNIT
    variant = forced_variant("equalise") or ("cells" if image.device.is_cpu else "tabled")
    grid = (ceil_div(units, _WORKGROUP * _UNITS), shape.images)
    if variant == "cells" or shape.height * shape.row % _UNIT or max(grid) > MOST_GROUPS:
        launch_words("levels.wgsl", {}, (image, levels, result), shape, {}, light=True)
        return
    spec: dict[str, Value] = {"channels": shape.channels, "units": _UNITS}
    launch = kernel(image.device, "image/tabled.wgsl", **spec)
    launch(image, levels, result, {"size": units}, grid=grid)
