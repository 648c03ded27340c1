"""Moving pixels by a map of rows and a map of columns; no arithmetic."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, T, u8
from gpustd.grid import MOST_GROUPS, flat_grid
from gpustd.image.cells import launch_cells, rows_each
from gpustd.image.picture import Picture, picture_of
from gpustd.image.tables import table
from gpustd.rungs import wanted_rung
from gpustd.template import Value, kernel

__all__ = ["gather"]

_Map = NDArray[np.int32]


def gather(op: str, image: Buffer[T], rows: _Map, columns: _Map, fill: float = 0) -> Buffer[T]:
    """Pixel (r, c) of the result is pixel (rows[r], columns[c]), or ``fill`` where one is -1."""
    source = picture_of(op, image)
    made = source.resized(len(rows), len(columns))
    result = image.device.buffer(image.dtype, made.shape)
    if not made.size:
        return result
    item = _item_bytes(source, image.dtype.itemsize, columns)
    if item < 4:
        _gather_bytes(image, result, source, made, (rows, columns, fill))
    else:
        _gather_items(image, result, source, made, (rows, columns, fill, item))
    return result


def _item_bytes(source: Picture, itemsize: int, columns: _Map) -> int:
    """Bytes, at most 16, that move together."""
    pixel = source.channels * itemsize
    if not _is_run(columns):
        return math.gcd(16, pixel)
    first = int(columns[0])
    return math.gcd(16, source.width * pixel, len(columns) * pixel, first * pixel)


def _is_run(columns: _Map) -> bool:
    """Whether neighbours stay neighbours, and all come from the image."""
    return bool(columns[0] >= 0 and np.all(np.diff(columns) == 1))


def _spread(columns: _Map, parts: int) -> _Map:
    """A map of pixels as one of their ``parts``."""
    each = columns[:, None] * parts + np.arange(parts, dtype=np.int32)
    return np.where(columns[:, None] < 0, -1, each).astype(np.int32).reshape(-1)


def _gather_bytes(
    image: Buffer[T],
    result: Buffer[T],
    source: Picture,
    made: Picture,
    maps: tuple[_Map, _Map, float],
) -> None:
    rows, columns, fill = maps
    device = image.device
    places = _spread(columns, made.channels)
    buffers = (image, table(device, rows), table(device, places), result)
    sizes = {"x_rows": source.height, "x_row": source.row, "fill": fill}
    launch_cells("bytes.wgsl", {}, buffers, made, sizes, light=True)


def _gather_items(
    image: Buffer[T],
    result: Buffer[T],
    source: Picture,
    made: Picture,
    maps: tuple[_Map, _Map, float, int],
) -> None:
    rows, columns, fill, item = maps
    elements = item // image.dtype.itemsize
    if _is_run(columns):
        first = int(columns[0]) * made.channels // elements
        places = np.arange(first, first + made.row // elements, dtype=np.int32)
    else:
        places = _spread(columns, made.channels // elements)
    across = made.row // elements
    count = made.images * made.height * across
    fits = across <= 32 * MOST_GROUPS and made.height <= 4 * MOST_GROUPS
    whole = fits and made.images <= MOST_GROUPS and wanted_rung("cells") != "flat"
    grid = flat_grid(count, 128)
    steps = rows_each(result) if item < 16 else 1
    if whole:
        grid = (-(-across // 32), -(-made.height // (4 * steps)), made.images)
    spec: dict[str, Value] = {
        "scalar": image.dtype.name,
        "bytes": item,
        "whole": whole,
        "steps": steps,
    }
    uniform: dict[str, Any] = {
        "count": count,
        "rows": made.height,
        "row": across,
        "x_rows": source.height,
        "x_row": source.row // elements,
        "fill": int(fill) * 0x01010101 if image.dtype is u8 else fill,
    }
    device = image.device
    launch = kernel(device, "image/items.wgsl", **spec)
    launch(image, table(device, rows), table(device, places), result, uniform, grid=grid)
