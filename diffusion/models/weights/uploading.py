"""Uploading large arrays in parts, so that the host holds no second copy of another type."""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device, DType

__all__ = ["upload"]

_PART: Final = 32 << 20
"""Bytes that are converted at once."""
_ROWS: Final = 4
"""Parts are whole numbers of so many rows, since devices write words of 4 bytes."""


def upload(device: Device, array: NDArray[Any], dtype: type[DType]) -> Buffer[Any]:
    """Return a buffer with an array's numbers, rounded to ``dtype``."""
    if array.ndim < 2 or array.nbytes <= _PART or array.dtype == dtype.numpy:
        return device.buffer_from_array(np.ascontiguousarray(array), dtype)
    buffer: Buffer[Any] = device.buffer(dtype, array.shape)
    row = max(1, array.nbytes // max(1, array.shape[0]))
    rows = max(1, _PART // row // _ROWS) * _ROWS
    for first in range(0, array.shape[0], rows):
        buffer.write_slice(first, array[first : first + rows].astype(dtype.numpy))
    return buffer
