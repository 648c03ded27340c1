"""Companions of transforms: frequencies, shifts of the zero frequency, fast lengths."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from gpucore import ArgumentError, Buffer, Device, ShapeError, T, c64, f32
from gpustd.arrays.axes import axis_of
from gpustd.launch.checks import as_float, as_int, require_buffer_fits, require_buffers
from gpustd.launch.elements import common_scalar, launch_each
from gpustd.launch.tables import table_copy
from gpustd.launch.template import Value
from gpustd.signal.arguments import require_few_axes
from gpustd.signal.fourier.factors import next_smooth

__all__ = ["fftfreq", "fftshift", "ifftshift", "next_fast_len", "rfftfreq"]

# The longest signal that a 64-bit index reaches.
_MAX_TARGET = 2**62


def fftfreq(n: int, d: float = 1.0, *, device: Device) -> Buffer[f32]:
    """Return the frequencies of `fft`'s ``n`` numbers, in cycles per unit of ``d``.

    Samples are ``d`` apart. Raises `ShapeError` for n < 1.

    >>> signal.fftfreq(4, device=device).read().tolist()
    [0.0, 0.25, -0.5, -0.25]
    """
    n, d = _check_points("fftfreq", n, d)
    require_buffer_fits("fftfreq", device, f32, (n,))
    return table_copy(device, f32, ("fftfreq", n, d), lambda: np.fft.fftfreq(n, d))


def rfftfreq(n: int, d: float = 1.0, *, device: Device) -> Buffer[f32]:
    """Return the frequencies of `rfft`'s ``n // 2 + 1`` numbers.

    Arguments and errors are those of `fftfreq`.

    >>> print(signal.rfftfreq(4, device=device).read())
    [0.   0.25 0.5 ]
    """
    n, d = _check_points("rfftfreq", n, d)
    require_buffer_fits("rfftfreq", device, f32, (n // 2 + 1,))
    return table_copy(device, f32, ("rfftfreq", n, d), lambda: np.fft.rfftfreq(n, d))


def _check_points(op: str, n: int, d: float) -> tuple[int, float]:
    """Return ``n`` and ``d`` as numbers. Raises `ArgumentError`, `ShapeError`."""
    n, d = as_int(op, "n", n), as_float(op, "d", d)
    if n < 1:
        raise ShapeError(f"{op}: the number of points n must be >= 1, got {n}")
    if not d:
        raise ArgumentError(f"{op}: the distance d of samples must not be 0, got {d}")
    return n, d


def fftshift(x: Buffer[T], axes: int | Sequence[int] | None = None) -> Buffer[T]:
    """Move the zero frequency to the middle of ``axes`` (all by default), as NumPy does.

    ``x`` has c64 or a dtype of WGSL, and up to 6 axes. Raises `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array([0, 1, -2, -1], f32)
    >>> print(signal.fftshift(x).read())
    [-2. -1.  0.  1.]
    """
    return _shift("fftshift", x, axes, back=False)


def ifftshift(x: Buffer[T], axes: int | Sequence[int] | None = None) -> Buffer[T]:
    """Move the zero frequency back: the inverse of `fftshift`, also for odd extents.

    >>> x = device.buffer_from_array([-2, -1, 0, 1], f32)
    >>> print(signal.ifftshift(x).read())
    [ 0.  1. -2. -1.]
    """
    return _shift("ifftshift", x, axes, back=True)


def _shift(op: str, x: Buffer[T], axes: int | Sequence[int] | None, *, back: bool) -> Buffer[T]:
    """Roll each of ``axes`` by half its extent, ``back`` for the inverse."""
    require_buffers(op, x)
    require_few_axes(op, x)
    ndim = len(x.shape)
    named = range(ndim) if axes is None else axes
    starts = [0] * ndim
    for name in named if isinstance(named, Sequence) else (named,):
        axis = axis_of(op, name, x)
        extent = x.shape[axis]
        starts[axis] += extent // 2 if back else extent - extent // 2
    return roll_from(op, x, starts)


def roll_from(op: str, x: Buffer[T], starts: Sequence[int]) -> Buffer[T]:
    """Return ``x`` from ``starts`` of each axis on, wrapped round at the ends."""
    y = x.device.buffer(x.dtype, x.shape)
    sizes: dict[str, int | float] = {}
    for axis, extent in enumerate(x.shape):
        sizes[f"extent{axis}"] = extent
        sizes[f"start{axis}"] = starts[axis] % max(extent, 1)
    scalar = "c64x1" if x.dtype is c64 else common_scalar(op, x)
    spec: dict[str, Value] = {"scalar": scalar, "rank": len(x.shape)}
    launch_each("signal/roll.wgsl", spec, (x, y), y.size, sizes)
    return y


def next_fast_len(target: int, real: bool = False) -> int:
    """Return the least length from ``target`` on whose prime factors are small.

    They are at most 11 (5 if ``real``), as `scipy.fft.next_fast_len` chooses it. Raises
    `ArgumentError` for a negative target.

    >>> signal.next_fast_len(1021)
    1024
    """
    target = as_int("next_fast_len", "target", target)
    if target < 0:
        raise ArgumentError(f"next_fast_len: target must be >= 0, got {target}")
    if target > _MAX_TARGET:
        raise ArgumentError(f"next_fast_len: target must be at most {_MAX_TARGET}, got {target}")
    if not target:
        return 0
    return next_smooth(target, (2, 3, 5) if real else (2, 3, 5, 7, 11))
