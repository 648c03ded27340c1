"""Small tables made on the host (weights, roots, index maps), kept for each device."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from numpy.typing import NDArray

from gpucore import Buffer, Device, PerDevice, T

__all__ = ["table", "table_copy"]

_MOST_TABLES = 512

_tables: PerDevice[OrderedDict[object, Buffer[Any]]] = PerDevice(lambda device: OrderedDict())


def table(
    device: Device, dtype: type[T], key: object, make: Callable[[], NDArray[Any]]
) -> Buffer[T]:
    """The buffer of ``make()``, made once for its key; the 512 used last are kept. Only to be read.

    Raises `CaptureError` where it must be made inside ``device.capture()``: call the function once
    before.
    """
    kept = _tables.of(device)
    found = kept.get((dtype, key))
    if found is None:
        found = kept[dtype, key] = device.buffer_from_array(make(), dtype)
        if len(kept) > _MOST_TABLES:
            kept.popitem(last=False)
    kept.move_to_end((dtype, key))
    return found


def table_copy(
    device: Device, dtype: type[T], key: object, make: Callable[[], NDArray[Any]]
) -> Buffer[T]:
    """As `table`, a new buffer of it."""
    source = table(device, dtype, key, make)
    y = device.buffer(dtype, source.shape)
    y.copy_from(source)
    return y
