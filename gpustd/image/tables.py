"""Weights and index maps of images, kept on the device."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device
from gpucore.dtypes import dtype_of
from gpustd.launch import tables

__all__ = ["table"]


def table(device: Device, array: NDArray[Any]) -> Buffer[Any]:
    """Buffer of ``array``, flat, uploaded once for each contents (`gpustd.tables.table`).

    A table that is new cannot be uploaded while a graph is captured: call the operation once
    before (`gpucore.CaptureError`).
    """
    flat = np.ascontiguousarray(array).reshape(-1)
    return tables.table(device, dtype_of(flat.dtype), flat.tobytes(), lambda: flat)
