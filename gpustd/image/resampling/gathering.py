"""Moves of pixels by a map of rows and a map of columns, without arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, T, u8
from gpucore.integers import ceil_div
from gpustd.image.shapes import ImageShape, image_shape
from gpustd.image.word_kernels import launch_words, rows_per_invocation
from gpustd.launch.grid import MOST_GROUPS, flat_grid
from gpustd.launch.tables import array_table
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["gather"]

_Indices = NDArray[np.int32]
# The words of an item in reverse order of its pixels, by the bytes of a pixel.
_REVERSED_WORDS = {4: "wzyx", 8: "zwxy", 16: "xyzw"}


class _PixelMap(NamedTuple):
    """The row and column of the source for each row and column of the result.

    Pixels are ``fill`` where an index is -1.
    """

    rows: _Indices
    columns: _Indices
    fill: float


def gather(
    op: str, image: Buffer[T], rows: _Indices, columns: _Indices, fill: float = 0
) -> Buffer[T]:
    """Return the image whose pixel (r, c) is pixel (rows[r], columns[c]) of ``image``.

    It is ``fill`` where an index is -1. Raises `ShapeError`, `DTypeError`, which name ``op``.
    """
    source = image_shape(op, image)
    target = source.with_size(len(rows), len(columns))
    result = image.device.buffer(image.dtype, target.buffer_shape)
    if not target.size:
        return result
    pixel_map = _PixelMap(rows, columns, fill)
    item = _item_bytes(source, image.dtype.itemsize, columns)
    if item < 4:
        _gather_bytes(image, result, source, target, pixel_map)
    else:
        _gather_items(image, result, source, target, pixel_map, item)
    return result


def _item_bytes(source: ImageShape, itemsize: int, columns: _Indices) -> int:
    """Return the bytes that move together, at most 16; whole pixels where columns run backwards."""
    pixel = source.channels * itemsize
    step = _step(columns)
    if step not in _run_steps(pixel):
        return math.gcd(16, pixel)
    first = int(columns[0]) + (step < 0)
    return math.gcd(16, source.width * pixel, len(columns) * pixel, first * pixel)


def _run_steps(pixel: int) -> tuple[int, ...]:
    """Return the steps of columns that move items of several pixels of ``pixel`` bytes."""
    return (1, -1) if pixel in _REVERSED_WORDS else (1,)


def _step(indices: _Indices) -> int:
    """Return the difference of neighbours, or 0 where it varies or an index is -1."""
    steps = np.diff(indices)
    if indices.min() < 0 or (steps != steps[:1]).any():
        return 0
    return int(steps[0]) if len(steps) else 1


def _split_columns(columns: _Indices, parts: int) -> _Indices:
    """Return the map of a pixel's ``parts`` from a map of pixels."""
    indices = columns[:, None] * parts + np.arange(parts, dtype=np.int32)
    return np.where(columns[:, None] < 0, -1, indices).astype(np.int32).reshape(-1)


def _gather_bytes(
    image: Buffer[T],
    result: Buffer[T],
    source: ImageShape,
    target: ImageShape,
    pixel_map: _PixelMap,
) -> None:
    """Record the move of single elements."""
    device = image.device
    rows = array_table(device, pixel_map.rows)
    columns = array_table(device, _split_columns(pixel_map.columns, target.channels))
    sizes = {"x_rows": source.height, "x_row": source.row, "fill": pixel_map.fill}
    launch_words("bytes.wgsl", {}, (image, rows, columns, result), target, sizes, light=True)


def _gather_items(
    image: Buffer[T],
    result: Buffer[T],
    source: ImageShape,
    target: ImageShape,
    pixel_map: _PixelMap,
    item: int,
) -> None:
    """Record the move of items of several pixels, or of parts of one.

    Where rows and columns have constant steps, the kernel needs no tables.
    """
    rows, columns, fill = pixel_map
    device = image.device
    pixel = source.channels * image.dtype.itemsize
    step = _step(columns) if _step(columns) in _run_steps(pixel) else 0
    first = int(columns[0]) * pixel // item
    order = _REVERSED_WORDS[pixel][-item // 4 :] if step < 0 else "xyzw"[: item // 4]
    stepped = bool(step and _step(rows))
    sizes: dict[str, float]
    if stepped:
        tables: list[Buffer[Any]] = []
        sizes = {"r0": int(rows[0]), "dr": _step(rows), "c0": first, "dc": step}
    else:
        run = first + step * np.arange(target.width * pixel // item, dtype=np.int32)
        places = run if step else _split_columns(columns, pixel // item)
        tables = [array_table(device, rows), array_table(device, places)]
        sizes = {"fill": int(fill) * 0x01010101 if image.dtype is u8 else fill}
    spec: dict[str, Value] = {"stepped": stepped, "order": order}
    _launch_items(spec, (image, *tables, result), source, target, item, sizes)


def _launch_items(
    spec: dict[str, Value],
    buffers: tuple[Buffer[Any], ...],
    source: ImageShape,
    target: ImageShape,
    item: int,
    sizes: Mapping[str, float],
) -> None:
    """Record ``image/items.wgsl`` over items of ``item`` bytes."""
    result = buffers[-1]
    elements = item // result.dtype.itemsize
    across = target.row // elements
    count = target.images * target.height * across
    fits = across <= 32 * MOST_GROUPS and target.height <= 4 * MOST_GROUPS
    three_dimensions = fits and target.images <= MOST_GROUPS and forced_variant("cells") != "flat"
    steps = rows_per_invocation(result) if item < 16 else 1
    grid = flat_grid(count, 128)
    if three_dimensions:
        grid = (ceil_div(across, 32), ceil_div(target.height, 4 * steps), target.images)
    full: dict[str, Value] = {
        "scalar": result.dtype.name,
        "bytes": item,
        "whole": three_dimensions,
        "steps": steps,
        **spec,
    }
    uniform: Any = {
        "count": count,
        "rows": target.height,
        "row": across,
        "x_rows": source.height,
        "x_row": source.row // elements,
        **sizes,
    }
    kernel(result.device, "image/items.wgsl", **full)(*buffers, uniform, grid=grid)
