"""Rows of a table by number."""

from __future__ import annotations

import math

from gpucore import Buffer, DTypeError, ShapeError, T, i32
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import float_scalar, launch_flat, width_of
from gpustd.launch.template import Value

__all__ = ["embedding"]


def embedding(table: Buffer[T], ids: Buffer[i32]) -> Buffer[T]:
    """Rows of ``table`` (V, C), f16 or f32, for ``ids`` (...,), as (..., C).

    An id outside of 0 .. V - 1 gives a row of NaN: ids live on the device, where nothing can be
    raised, and NaN shows in whatever is computed from it. Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device, i32
    >>> device = Device.auto()
    >>> table = device.buffer_from_array(np.arange(6, dtype=np.float32).reshape(3, 2))
    >>> gpustd.embedding(table, device.buffer_from_array(np.array([2, 0]), i32)).read().tolist()
    [[4.0, 5.0], [0.0, 1.0]]
    """
    require_buffers("embedding", table, ids)
    if len(table.shape) != 2:
        raise ShapeError(f"embedding: table {table.shape}: wants (rows, channels)")
    if ids.dtype is not i32:
        raise DTypeError(f"embedding: ids must be i32, got {ids!r}: cast them")
    rows, channels = table.shape
    y = table.device.buffer(table.dtype, (*ids.shape, channels))
    width = width_of(channels)
    spec: dict[str, Value] = {"scalar": float_scalar("embedding", table), "width": width}
    sizes = {"rows": rows, "channels": channels // width, "invalid": math.nan}
    launch_flat("nn/embedding/naive.wgsl", spec, (table, ids, y), y.size // width, sizes)
    return y
