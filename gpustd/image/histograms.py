"""Counting levels, and spreading them evenly."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpucore import ArgumentError, Buffer, DTypeError, f32, u8, u32
from gpucore.integers import ceil_div
from gpustd.image.picture import Picture, picture_of
from gpustd.image.tables import table
from gpustd.image.words import lanes_of, launch_cells
from gpustd.launch.checks import as_floats, as_int
from gpustd.launch.grid import MOST_GROUPS
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["equalise", "histogram"]

_MOST_LOCAL = 4096
_WORKGROUP = 256
_MOST_BINS = 2**20
# Elements of a unit of `tabled.wgsl`, and units of an invocation.
_UNIT, _UNITS = 16, 4
_GROUPS_CPU, _GROUPS_GPU = 8, 2048
_MOST_SCALE = float(np.finfo(np.float32).max)


def histogram(
    image: Buffer[Any],
    bins: int = 256,
    range: tuple[float, float] | None = None,  # noqa: A002
) -> Buffer[u32]:
    """Counts by channel: (bins,) of (H, W), (C, bins) of (H, W, C), (N, C, bins) of (N, H, W, C).

    u8 has 256 levels, and ``bins`` divides 256; there is no ``range``. f32 has equal bins over
    ``range`` (first, last), as `numpy.histogram` of float64: the last bin holds ``last`` too, what
    lies outside and NaNs are not counted. Counts are exact.
    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = device.buffer_from_array(np.array([[0, 0.1, 0.5], [0.9, 1, 2]], np.float32))
    >>> image.histogram(picture, 2, (0, 1)).read().tolist()
    [2, 3]
    """
    picture = picture_of("histogram", image)
    bins = as_int("histogram", "bins", bins)
    range = _span(range)  # noqa: A001
    _check_bins(image, bins, range)
    shape = {2: (bins,), 3: (picture.channels, bins)}.get(
        picture.rank, (picture.images, picture.channels, bins)
    )
    device = image.device
    counts = device.buffer(u32, shape)
    counts.copy_from(table(device, np.zeros(counts.size, np.uint32)))
    if picture.size:
        _count(image, picture, counts, bins, range)
    return counts


def _span(given: Sequence[float] | None) -> tuple[float, float] | None:
    """First and last as numbers, of which f64 may hold more than f32. Raises `ArgumentError`."""
    if given is None:
        return None
    span = as_floats("histogram", "range", given)
    if span.shape != (2,):
        raise ArgumentError(f"histogram: range {given!r}: wants (first, last)")
    return float(span[0]), float(span[1])


def _check_bins(image: Buffer[Any], bins: int, span: tuple[float, float] | None) -> None:
    if image.dtype is u8 and (span is not None or bins < 1 or 256 % bins):
        raise ArgumentError(
            f"histogram: {bins} bins, range {span} of {image!r}: u8 wants a number of bins that "
            "divides 256, and no range"
        )
    if image.dtype is f32 and (span is None or not -np.inf < span[0] < span[1] < np.inf):
        raise ArgumentError(f"histogram: range {span} of {image!r}: f32 wants (first, last)")
    if not 1 <= bins <= _MOST_BINS:
        raise ArgumentError(f"histogram: {bins} bins: wants 1 to {_MOST_BINS}")


def _count(
    image: Buffer[Any],
    picture: Picture,
    counts: Buffer[u32],
    bins: int,
    span: tuple[float, float] | None,
) -> None:
    device = image.device
    size = picture.height * picture.row
    words = size // lanes_of(image) + 2
    most = _GROUPS_CPU if device.is_cpu else max(_GROUPS_GPU // picture.images, 1)
    groups = max(1, min(most, words // (16 * _WORKGROUP), MOST_GROUPS))
    slots = picture.channels * bins
    fast = forced_variant("histogram") == "copies" or not device.is_cpu
    spec: dict[str, Value] = {
        "source": image.dtype.name,
        "channels": picture.channels,
        "bins": bins,
        "local": slots <= _MOST_LOCAL,
        "copies": _copies(slots) if fast else 1,
        "loads": 4 if fast else 1,
    }
    sizes: dict[str, float] = {"size": size, "groups": groups, "images": picture.images}
    buffers = [image]
    if span is not None:
        edges = _not_below(np.linspace(span[0], span[1], bins + 1))
        keys = _keys(np.append(edges, -_not_below(np.array([-span[1]]))))
        sizes |= {
            "least": int(keys[0]),
            "most": int(keys[-1]),
            "first": float(edges[0]),
            "scale": min(bins / (span[1] - span[0]), _MOST_SCALE),
        }
        buffers.append(table(device, keys[:-1]))
    launch = kernel(device, "image/histogram.wgsl", **spec)
    images = min(picture.images, MOST_GROUPS)
    launch(*buffers, counts, sizes, grid=(groups, images, ceil_div(picture.images, MOST_GROUPS)))


def _copies(slots: int) -> int:
    """Copies of the counts that workgroup memory holds: 1, 2, 4 or 8."""
    return max(1, min(8, 1 << (_MOST_LOCAL // slots).bit_length() >> 1))


def _not_below(values: np.ndarray) -> np.ndarray:
    """The least f32 that are not below: an f32 reaches them when it reaches the values."""
    near = values.astype(np.float32)
    return np.where(near < values, np.nextafter(near, np.float32(np.inf)), near)


def _keys(values: np.ndarray) -> np.ndarray:
    """Integers in the order of f32 values, as the shader makes them."""
    sizes = np.abs(values).view(np.int32)
    keys: np.ndarray = np.where(np.signbit(values), -sizes, sizes)
    return keys


def equalise(image: Buffer[u8]) -> Buffer[u8]:
    """Spread the levels of each channel of each image evenly, as Pillow's `ImageOps.equalize`.

    The same levels as Pillow's. u8 only. Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import image
    >>> device = Device.auto()
    >>> picture = np.repeat(np.array([[10, 20, 30, 40]], np.uint8), 255, axis=0)
    >>> image.equalise(device.buffer_from_array(picture)).read()[0].tolist()
    [0, 85, 170, 255]
    """
    picture = picture_of("equalise", image)
    if image.dtype is not u8:
        raise DTypeError(f"equalise: wants u8, got {image!r}: gpustd.image.to_u8 converts f32")
    result = image.device.buffer(u8, picture.shape)
    if not picture.size:
        return result
    counts = histogram(image)
    levels = image.device.buffer(u32, counts.shape)
    tables = picture.images * picture.channels
    grid = (min(tables, MOST_GROUPS), ceil_div(tables, MOST_GROUPS))
    kernel(image.device, "image/equalise_levels.wgsl")(counts, levels, grid=grid)
    _by_table(image, levels, result, picture)
    return result


def _by_table(image: Buffer[u8], levels: Buffer[u32], result: Buffer[u8], made: Picture) -> None:
    """Record that ``result`` is the ``levels`` (images, channels, 256) of ``image``."""
    units = made.height * made.row // _UNIT
    variant = forced_variant("equalise") or ("cells" if image.device.is_cpu else "tabled")
    grid = (ceil_div(units, _WORKGROUP * _UNITS), made.images)
    if variant == "cells" or made.height * made.row % _UNIT or max(grid) > MOST_GROUPS:
        launch_cells("levels.wgsl", {}, (image, levels, result), made, {}, light=True)
        return
    spec: dict[str, Value] = {"channels": made.channels, "units": _UNITS}
    launch = kernel(image.device, "image/tabled.wgsl", **spec)
    launch(image, levels, result, {"size": units}, grid=grid)
