"""Conversion between dtypes."""

from __future__ import annotations

from typing import Any

from gpucore import Buffer, DTypeError, T
from gpucore.dtypes import is_marker
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import launch_each, words_of
from gpustd.launch.template import Value

__all__ = ["cast"]

_CASTS = ("f16", "f32", "i8", "i32", "u8", "u32")


def cast(x: Buffer[Any], dtype: type[T]) -> Buffer[T]:
    """``x`` as another dtype; ``x`` itself where it has that dtype already.

    Between all real dtypes, and from them to c64 (whose parts are `gpustd.arrays.real` and `imag`),
    on every device: f16 needs no f16 arithmetic here. Floats go to integers towards zero and are
    clamped to their range (a NaN gives some integer); integers go to narrower ones and to other
    signs by their lowest bits, as in NumPy. f32 beyond the range of f16 (65504) gives the device's
    own overflow, mostly an infinity. Raises `DTypeError`.

    >>> import numpy as np
    >>> import gpustd
    >>> from gpucore import Device, i32
    >>> device = Device.auto()
    >>> x = device.buffer_from_array(np.array([1.7, -1.7], np.float32))
    >>> gpustd.cast(x, i32).read().tolist()
    [1, -1]
    """
    require_buffers("cast", x)
    if not is_marker(dtype):
        names = ", ".join((*_CASTS, "c64"))
        raise DTypeError(f"cast of {x!r} to {dtype!r}: give a marker of gpucore's, one of {names}")
    if x.dtype is dtype:
        return x
    source, target = x.dtype.name, dtype.name
    if source not in _CASTS or target not in (*_CASTS, "c64"):
        listed = ", ".join(_CASTS)
        raise DTypeError(f"cast: {x!r} to {target}: casts are between {listed}, and to c64")
    y = x.device.buffer(dtype, x.shape)
    spec: dict[str, Value] = {"source": source, "target": target}
    launch_each("arrays/cast/naive.wgsl", spec, (x, y), words_of(x.size))
    return y
