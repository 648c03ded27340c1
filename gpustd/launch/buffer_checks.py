"""What is no buffer, and what no buffer holds, refused in plain words."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gpucore import ArgumentError, Buffer, Device, DType, LimitError

__all__ = ["require_buffer_fits", "require_buffers"]

_LIMITS = ("max_buffer_size", "max_storage_buffer_binding_size")


def require_buffers(op: str, *operands: Any) -> None:
    """Raise `ArgumentError` for an operand that is no `Buffer`."""
    for each in operands:
        if not isinstance(each, Buffer):
            raise ArgumentError(
                f"{op}: got {type(each).__name__}, wants a Buffer: upload an array with "
                "device.buffer_from_array(array)"
            )


def require_buffer_fits(op: str, device: Device, dtype: type[DType], shape: Sequence[int]) -> None:
    """Raise `LimitError` for a shape that no buffer of ``device`` holds.

    For what makes tables on the host before the result: those would take the host's memory first.
    """
    nbytes = math.prod(shape) * dtype.itemsize
    most = min(device.limits.get(name, nbytes) for name in _LIMITS)
    if nbytes > most:
        raise LimitError(
            f"{op}: a result of shape {tuple(shape)} takes {nbytes} bytes, a buffer of {device!r} "
            f"holds {most}: make it smaller"
        )
