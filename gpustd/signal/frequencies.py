"""What stands beside transforms: frequencies, shifts of the zero frequency, quick lengths."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from gpucore import ArgumentError, Buffer, Device, ShapeError, T, c64, f32
from gpustd.arrays.axes import axis_of
from gpustd.launch.checks import as_float, as_int, require_buffer_fits, require_buffers
from gpustd.launch.elements import common_scalar, launch_each
from gpustd.launch.tables import table_copy
from gpustd.launch.template import Value
from gpustd.signal.plan import smooth_above

__all__ = ["fftfreq", "fftshift", "ifftshift", "next_fast_len", "rfftfreq"]

_MOST_AXES = 6
# The longest signal that a 64-bit index tells.
_MOST_TARGET = 2**62


def fftfreq(n: int, d: float = 1.0, *, device: Device) -> Buffer[f32]:
    """Frequencies of `fft`'s ``n`` numbers for samples ``d`` apart, in cycles a unit of ``d``.

    Raises `ShapeError` for n < 1.

    >>> from gpucore import Device
    >>> from gpustd import signal
    >>> signal.fftfreq(4, device=Device.auto()).read().tolist()
    [0.0, 0.25, -0.5, -0.25]
    """
    n, d = _points("fftfreq", n, d)
    require_buffer_fits("fftfreq", device, f32, (n,))
    return table_copy(device, f32, ("fftfreq", n, d), lambda: np.fft.fftfreq(n, d))


def rfftfreq(n: int, d: float = 1.0, *, device: Device) -> Buffer[f32]:
    """Frequencies of `rfft`'s ``n // 2 + 1`` numbers; arguments and errors as of `fftfreq`.

    >>> from gpucore import Device; from gpustd import signal
    >>> print(signal.rfftfreq(4, device=Device.auto()).read())
    [0.   0.25 0.5 ]
    """
    n, d = _points("rfftfreq", n, d)
    require_buffer_fits("rfftfreq", device, f32, (n // 2 + 1,))
    return table_copy(device, f32, ("rfftfreq", n, d), lambda: np.fft.rfftfreq(n, d))


def _points(op: str, n: int, d: float) -> tuple[int, float]:
    n, d = as_int(op, "n", n), as_float(op, "d", d)
    if n < 1:
        raise ShapeError(f"{op}: {n} points: wants n >= 1")
    if not d:
        raise ArgumentError(f"{op}: samples {d} apart: give another distance")
    return n, d


def fftshift(x: Buffer[T], axes: int | Sequence[int] | None = None) -> Buffer[T]:
    """``x`` with the zero frequency in the middle of ``axes`` (all by default), as NumPy has it.

    Any dtype that WGSL has, or c64; up to 6 axes. Raises `ShapeError`, `DTypeError`.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([0, 1, -2, -1], f32)
    >>> print(signal.fftshift(x).read())
    [-2. -1.  0.  1.]
    """
    return _shifted("fftshift", x, axes, back=False)


def ifftshift(x: Buffer[T], axes: int | Sequence[int] | None = None) -> Buffer[T]:
    """Undoes `fftshift`, also for odd extents.

    >>> from gpucore import Device, f32; from gpustd import signal
    >>> x = Device.auto().buffer_from_array([-2, -1, 0, 1], f32)
    >>> print(signal.ifftshift(x).read())
    [ 0.  1. -2. -1.]
    """
    return _shifted("ifftshift", x, axes, back=True)


def _shifted(op: str, x: Buffer[T], axes: int | Sequence[int] | None, *, back: bool) -> Buffer[T]:
    require_buffers(op, x)
    rank = len(x.shape)
    if rank > _MOST_AXES:
        raise ShapeError(f"{op}: {x.shape}: takes at most {_MOST_AXES} axes")
    given = range(rank) if axes is None else axes
    chosen = given if isinstance(given, Sequence) else (given,)
    starts = [0] * rank
    for axis in chosen:
        place = axis_of(op, axis, x)
        extent = x.shape[place]
        starts[place] += extent // 2 if back else extent - extent // 2
    return rolled(op, x, starts)


def rolled(op: str, x: Buffer[T], starts: Sequence[int]) -> Buffer[T]:
    """``x`` begun at ``starts`` on each axis, going round at the ends."""
    y = x.device.buffer(x.dtype, x.shape)
    sizes: dict[str, int | float] = {}
    for axis, extent in enumerate(x.shape):
        sizes[f"extent{axis}"] = extent
        sizes[f"start{axis}"] = starts[axis] % max(extent, 1)
    spec: dict[str, Value] = {"scalar": _scalar(op, x), "rank": len(x.shape)}
    launch_each("signal/roll.wgsl", spec, (x, y), y.size, sizes)
    return y


def _scalar(op: str, x: Buffer[Any]) -> str:
    return "c64x1" if x.dtype is c64 else common_scalar(op, x)


def next_fast_len(target: int, real: bool = False) -> int:
    """Least length from ``target`` on whose prime factors are at most 11 (5 if ``real``).

    As `scipy.fft.next_fast_len` chooses it. Raises `ArgumentError` for a negative target.

    >>> from gpustd import signal
    >>> signal.next_fast_len(1021)
    1024
    """
    target = as_int("next_fast_len", "target", target)
    if target < 0:
        raise ArgumentError(f"next_fast_len: target {target} is negative")
    if target > _MOST_TARGET:
        raise ArgumentError(f"next_fast_len: target {target}: wants at most {_MOST_TARGET}")
    if not target:
        return 0
    return smooth_above(target, (2, 3, 5) if real else (2, 3, 5, 7, 11))
