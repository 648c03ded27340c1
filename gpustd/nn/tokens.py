"""Tokens to vectors: embedding (rows of a table by number) and one_hot."""

from __future__ import annotations

from gpucore import ArgumentError, Buffer, DTypeError, T, f32, i32
from gpustd.launch.checks import as_int, require_buffers
from gpustd.launch.elements import launch_each
from gpustd.launch.template import Value
from gpustd.nn.table_rows import embedding as rows_of

__all__ = ["embedding", "one_hot"]


def embedding(ids: Buffer[i32], weight: Buffer[T]) -> Buffer[T]:
    """Rows of ``weight`` (V, C), f16 or f32, for ``ids`` (...,), as (..., C).

    `gpustd.embedding`: an id outside of 0 .. V - 1 gives a row of NaN. Raises `ShapeError`,
    `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> up = Device.auto().buffer_from_array
        >>> table = up(np.array([[1, 2], [3, 4], [5, 6]], np.float32))
        >>> nn.embedding(up(np.array([2, 0], np.int32)), table).read().tolist()
        [[5.0, 6.0], [1.0, 2.0]]
    """
    return rows_of(weight, ids)


def one_hot(ids: Buffer[i32], num_classes: int) -> Buffer[f32]:
    """1 at the place of each id and 0 elsewhere: (...,) to (..., num_classes) of f32.

    An id outside of 0 .. num_classes - 1 gives a row of zeros. Raises `ArgumentError`,
    `DTypeError`.

        >>> import numpy as np
        >>> from gpucore import Device
        >>> from gpustd import nn
        >>> ids = Device.auto().buffer_from_array(np.array([1, 0], np.int32))
        >>> nn.one_hot(ids, 3).read().tolist()
        [[0.0, 1.0, 0.0], [1.0, 0.0, 0.0]]
    """
    require_buffers("one_hot", ids)
    if ids.dtype is not i32:
        raise DTypeError(f"one_hot: ids must be i32, got {ids!r}: cast them")
    num_classes = as_int("one_hot", "num_classes", num_classes)
    if num_classes < 1:
        raise ArgumentError(f"one_hot: {num_classes} classes: wants at least one")
    y = ids.device.buffer(f32, (*ids.shape, num_classes))
    spec: dict[str, Value] = {"scalar": "f32", "width": 1}
    launch_each("nn/one_hot.wgsl", spec, (ids, y), y.size, {"classes": num_classes})
    return y
