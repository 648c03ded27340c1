"""Conversion between dtypes."""

from __future__ import annotations

from typing import Any

from gpucore import Buffer, DTypeError, T
from gpustd.flat import launch_each, words_of
from gpustd.template import Value

__all__ = ["cast"]

_CASTS = ("f16", "f32", "i32", "u32")


def cast(x: Buffer[Any], dtype: type[T]) -> Buffer[T]:
    """``x`` as another dtype; ``x`` itself where it has that dtype already.

    Between f16, f32, i32 and u32, on every device: f16 needs no f16 arithmetic here. Floats go to
    integers towards zero and are clamped to their range; f32 beyond the range of f16 (65504) gives
    the device's own overflow, mostly an infinity. Raises `DTypeError`.
    """
    if x.dtype is dtype:
        return x
    source, target = x.dtype.name, dtype.name
    if source not in _CASTS or target not in _CASTS:
        raise DTypeError(f"cast: {x!r} to {target}: casts are between {', '.join(_CASTS)}")
    y = x.device.buffer(dtype, x.shape)
    spec: dict[str, Value] = {"source": source, "target": target}
    launch_each("cast/naive.wgsl", spec, (x, y), words_of(x.size))
    return y
