"""Moving pixels by a map of rows and a map of columns; no arithmetic."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, T, u8
from gpucore.integers import ceil_div
from gpustd.image.picture import Picture, picture_of
from gpustd.image.tables import table
from gpustd.image.words import launch_cells, rows_each
from gpustd.launch.grid import MOST_GROUPS, flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["gather"]

_Map = NDArray[np.int32]
# Words of an item in reverse order of its pixels, by their bytes.
_TURNED = {4: "wzyx", 8: "zwxy", 16: "xyzw"}


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
    """Bytes, at most 16, that move together; whole pixels where their order turns round."""
    pixel = source.channels * itemsize
    step = _step(columns)
    if step not in _runs(pixel):
        return math.gcd(16, pixel)
    first = int(columns[0]) + (step < 0)
    return math.gcd(16, source.width * pixel, len(columns) * pixel, first * pixel)


def _runs(pixel: int) -> tuple[int, ...]:
    """Steps of columns that move items of several pixels of ``pixel`` bytes."""
    return (1, -1) if pixel in _TURNED else (1,)


def _step(places: _Map) -> int:
    """What each place, all of them inside, is more than the one before; 0 where that varies."""
    steps = np.diff(places)
    if places.min() < 0 or (steps != steps[:1]).any():
        return 0
    return int(steps[0]) if len(steps) else 1


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
    """Items of several pixels, or parts of one; by steps where rows and columns have them."""
    rows, columns, fill, item = maps
    device = image.device
    pixel = source.channels * image.dtype.itemsize
    step = _step(columns) if _step(columns) in _runs(pixel) else 0
    first = int(columns[0]) * pixel // item
    order = _TURNED[pixel][-item // 4 :] if step < 0 else "xyzw"[: item // 4]
    stepped = bool(step and _step(rows))
    sizes: dict[str, float]
    if stepped:
        tables: list[Buffer[Any]] = []
        sizes = {"r0": int(rows[0]), "dr": _step(rows), "c0": first, "dc": step}
    else:
        run = first + step * np.arange(made.width * pixel // item, dtype=np.int32)
        places = run if step else _spread(columns, pixel // item)
        tables = [table(device, rows), table(device, places)]
        sizes = {"fill": int(fill) * 0x01010101 if image.dtype is u8 else fill}
    spec: dict[str, Value] = {"stepped": stepped, "order": order}
    _launch_items(spec, (image, *tables, result), source, made, item, sizes)


def _launch_items(
    spec: dict[str, Value],
    buffers: tuple[Buffer[Any], ...],
    source: Picture,
    made: Picture,
    item: int,
    sizes: Mapping[str, float],
) -> None:
    result = buffers[-1]
    elements = item // result.dtype.itemsize
    across = made.row // elements
    count = made.images * made.height * across
    fits = across <= 32 * MOST_GROUPS and made.height <= 4 * MOST_GROUPS
    whole = fits and made.images <= MOST_GROUPS and forced_variant("cells") != "flat"
    steps = rows_each(result) if item < 16 else 1
    grid = flat_grid(count, 128)
    if whole:
        grid = (ceil_div(across, 32), ceil_div(made.height, 4 * steps), made.images)
    full: dict[str, Value] = {
        "scalar": result.dtype.name,
        "bytes": item,
        "whole": whole,
        "steps": steps,
        **spec,
    }
    uniform: Any = {
        "count": count,
        "rows": made.height,
        "row": across,
        "x_rows": source.height,
        "x_row": source.row // elements,
        **sizes,
    }
    kernel(result.device, "image/items.wgsl", **full)(*buffers, uniform, grid=grid)
