"""Small tables made on the host (weights, roots, index maps), kept for each device."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device, DType, PerDevice, T
from gpucore.dtypes import dtype_of

__all__ = ["array_table", "table", "table_copy"]

_MOST_TABLES, _MOST_BYTES = 512, 2**28

_tables: PerDevice[OrderedDict[object, Buffer[Any]]] = PerDevice(lambda device: OrderedDict())


def table(
    device: Device, dtype: type[T], key: object, make: Callable[[], NDArray[Any]]
) -> Buffer[T]:
    """Return a buffer of ``make()``, made once for its key. The caller must not write to it.

    The 512 tables used last are kept, or as many of them as take 256 MiB.

    Raises `CaptureError` where the table must be made inside ``device.capture()``; call the
    function once before.
    """
    with device.lock:
        kept = _tables.of(device)
        found = kept.get((dtype, key))
        if found is None:
            found = kept[dtype, key] = device.buffer_from_array(make(), dtype)
            while len(kept) > _MOST_TABLES or (len(kept) > 1 and _nbytes(kept) > _MOST_BYTES):
                kept.popitem(last=False)
        kept.move_to_end((dtype, key))
        return found


def _nbytes(kept: OrderedDict[object, Buffer[Any]]) -> int:
    return sum(buffer.nbytes for buffer in kept.values())


def table_copy(
    device: Device, dtype: type[T], key: object, make: Callable[[], NDArray[Any]]
) -> Buffer[T]:
    """Return a new buffer with the values of `table`, which the caller may write to."""
    source = table(device, dtype, key, make)
    y = device.buffer(dtype, source.shape)
    y.copy_from(source)
    return y


def array_table(
    device: Device, array: NDArray[Any], dtype: type[DType] | None = None
) -> Buffer[Any]:
    """Return the buffer of a host array, uploaded once for its contents; only to be read.

    ``dtype`` is that of the array by default. Raises `CaptureError` as `table`.
    """
    key = (array.shape, array.dtype.str, array.tobytes())
    return table(device, dtype or dtype_of(array.dtype), key, lambda: np.ascontiguousarray(array))
