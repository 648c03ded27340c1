"""Small tables made on the host (weights, index maps), kept on the device."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device

__all__ = ["table"]

_MOST_TABLES = 256

_Key = tuple[str, bytes]
_tables: weakref.WeakKeyDictionary[Device, dict[_Key, Buffer[Any]]] = weakref.WeakKeyDictionary()


def table(device: Device, array: NDArray[Any]) -> Buffer[Any]:
    """Buffer of ``array``, flat, uploaded once for each contents; the oldest of 256 goes.

    A table that is new cannot be uploaded while a graph is captured: call the operation once
    before (`gpucore.CaptureError`).
    """
    cache = _tables.setdefault(device, {})
    flat = np.ascontiguousarray(array).reshape(-1)
    key = (flat.dtype.str, flat.tobytes())
    found = cache.pop(key, None)
    if found is None:
        found = device.buffer_from_array(flat)
    if len(cache) >= _MOST_TABLES:
        del cache[next(iter(cache))]
    cache[key] = found
    return found
