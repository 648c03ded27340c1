"""Conversion of numbers between dtypes."""

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
    """Convert ``x`` to another dtype; return ``x`` itself where it has that dtype already.

    Casts are between all real dtypes, and from them to c64 (whose parts are `gpustd.arrays.real`
    and `imag`). f16 works on every device here. Floats are rounded towards zero to integers and
    limited to their range (a NaN gives some integer). Integers keep their lowest bits, as in NumPy.
    f32 beyond the range of f16 (65504) becomes what the device makes of it, mostly an infinity.
    Raises `DTypeError`.

    >>> x = device.buffer_from_array(np.array([1.7, -1.7], np.float32))
    >>> gpustd.cast(x, i32).read().tolist()
    [1, -1]
    """
    require_buffers("cast", x)
    if not is_marker(dtype):
        names = ", ".join((*_CASTS, "c64"))
        raise DTypeError(f"cast: dtype must be one of gpucore's {names}, got {dtype!r} for {x!r}")
    if x.dtype is dtype:
        return x
    source, target = x.dtype.name, dtype.name
    if source not in _CASTS or target not in (*_CASTS, "c64"):
        listed = ", ".join(_CASTS)
        raise DTypeError(
            f"cast: dtypes must be among {listed}, or the target c64, got {x!r} to {target}"
        )
    y = x.device.buffer(dtype, x.shape)
    spec: dict[str, Value] = {"source": source, "target": target}
    launch_each("arrays/cast/naive.wgsl", spec, (x, y), words_of(x.size))
    return y
