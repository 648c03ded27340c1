"""Tokens to vectors: embedding (rows of a table by number) and one_hot."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, T, f32, i32
from gpustd.launch.checks import as_int, require_buffers
from gpustd.launch.elements import float_scalar, launch_each, launch_flat, width_of
from gpustd.launch.template import Value

__all__ = ["embedding", "one_hot"]


def embedding(ids: Buffer[i32], weight: Buffer[T] | list[Buffer[T]]) -> Buffer[T]:
    """Return the rows of ``weight`` (V, C), f16 or f32, for ``ids`` (...,), as (..., C).

    A list of buffers is one table in parts, by rows: for tables larger than one buffer may be. An
    id outside of 0 .. V - 1 gives a row of NaN: ids live on the device, where nothing can be
    raised, and NaN shows in every result that uses it. Raises `ShapeError`, `DTypeError`.

        >>> up = device.buffer_from_array
        >>> table = up(np.array([[1, 2], [3, 4], [5, 6]], np.float32))
        >>> nn.embedding(up(np.array([2, 0], np.int32)), table).read().tolist()
        [[5.0, 6.0], [1.0, 2.0]]
    """
    parts = list(weight) if isinstance(weight, list) else [weight]
    require_buffers("embedding", ids, *parts)
    channels = _require_table(parts)
    _require_i32("embedding", ids)
    y = parts[0].device.buffer(parts[0].dtype, (*ids.shape, channels))
    width = width_of(channels)
    spec: dict[str, Value] = {"scalar": float_scalar("embedding", *parts), "width": width}
    sizes = {"channels": channels // width, "invalid": math.nan}
    first = 0
    for part in parts:
        rows = {"first": first, "rows": part.shape[0]}
        launch_flat("nn/embedding/naive.wgsl", spec, (part, ids, y), y.size // width, rows | sizes)
        first += part.shape[0]
    return y


def _require_table(parts: Sequence[Buffer[Any]]) -> int:
    """Return the channels of a table's parts. Raises `ShapeError` unless they fit each other."""
    shapes = [part.shape for part in parts]
    if not parts or any(len(shape) != 2 or shape[1] != shapes[0][1] for shape in shapes):
        found = shapes[0] if len(shapes) == 1 else shapes
        raise ShapeError(f"embedding: weight must be (rows, channels), got {found}")
    if any(not shape[0] for shape in shapes[:-1]):
        raise ShapeError(f"embedding: parts of weight must have rows, got {shapes}")
    return shapes[0][1]


def one_hot(ids: Buffer[i32], num_classes: int) -> Buffer[f32]:
    """Return 1 at the place of each id and 0 elsewhere: (...,) to (..., num_classes) of f32.

    An id outside of 0 .. num_classes - 1 gives a row of zeros. Raises `ArgumentError`,
    `DTypeError`.

        >>> ids = device.buffer_from_array(np.array([1, 0], np.int32))
        >>> nn.one_hot(ids, 3).read().tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    require_buffers("one_hot", ids)
    _require_i32("one_hot", ids)
    num_classes = as_int("one_hot", "num_classes", num_classes)
    if num_classes < 1:
        raise ArgumentError(f"one_hot: num_classes must be at least 1, got {num_classes}")
    y = ids.device.buffer(f32, (*ids.shape, num_classes))
    spec: dict[str, Value] = {"scalar": "f32", "width": 1}
    launch_each("nn/one_hot.wgsl", spec, (ids, y), y.size, {"classes": num_classes})
    return y


def _require_i32(op: str, ids: Buffer[i32]) -> None:
    """Raise `DTypeError` unless ``ids`` are i32."""
    if ids.dtype is not i32:
        raise DTypeError(f"{op}: ids must be i32, got {ids!r}; cast them to i32")
