"""The count of numbers that are infinite or NaN, to detect overflow."""

from __future__ import annotations

from typing import Any

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, f16, f32, u32
from gpucore.integers import ceil_div
from gpustd.launch.checks import as_int, require_buffers
from gpustd.launch.elements import WORKGROUP, launch_flat

__all__ = ["count_nonfinite"]


def count_nonfinite(x: Buffer[Any], counts: Buffer[u32], slot: int = 0) -> None:
    """Add the number of infinities and NaN in ``x`` to ``counts[slot]``.

    ``x`` is f16 or f32 of any shape, on every device: it is read as bits. ``counts`` (n,) is
    not reset first; counts wrap at 2^32. Raises `ShapeError`, `DTypeError`, and
    `ArgumentError` where there is no such slot.

    >>> x = device.buffer_from_array(np.array([1, np.inf, np.nan], np.float32))
    >>> counts = device.buffer_from_array(np.zeros(1), u32)
    >>> gpustd.count_nonfinite(x, counts)
    >>> counts.read().tolist()
    [2]
    """
    require_buffers("count_nonfinite", x, counts)
    if x.dtype not in (f16, f32):
        raise DTypeError(f"count_nonfinite: x must be f16 or f32, got {x!r}")
    if len(counts.shape) != 1:
        raise ShapeError(f"count_nonfinite: counts must be (n,), got {counts.shape}")
    slot = as_int("count_nonfinite", "slot", slot)
    if not 0 <= slot < counts.size:
        raise ArgumentError(
            f"count_nonfinite: slot must be from 0 to {counts.size - 1}, got {slot}"
        )
    words = ceil_div(x.nbytes, 16)
    spec = {"scalar": x.dtype.name, "workgroup": WORKGROUP}
    launch_flat(
        "arrays/finite/naive.wgsl", spec, (x, counts), words, {"size": x.size, "slot": slot}
    )
