"""New arrays on a device: one number, or numbers at equal steps.

``shape`` is a whole number or a tuple of them, ``dtype`` one of gpucore's markers. All raise
`ShapeError` for another shape, `DTypeError` for another dtype.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from gpucore import ArgumentError, Buffer, Device, DType, DTypeError, T, c64, f32
from gpucore.dtypes import DTYPES, is_marker
from gpustd.arrays.operands import INTEGERS, Number, number_as
from gpustd.launch.checks import as_float, as_int, require_buffer_fits
from gpustd.launch.elements import launch_each, require_f16_support, words_of

__all__ = ["arange", "full", "linspace", "ones", "zeros"]

Shape = int | tuple[int, ...]
# More than any buffer holds, for quotients that are infinite.
_MOST_STEPS = 2.0**63


def full(device: Device, shape: Shape, fill_value: Number, dtype: type[T]) -> Buffer[T]:
    """``fill_value`` everywhere. Raises `ArgumentError`, `DTypeError` where ``dtype`` has it not.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> arrays.full(Device.auto(), (2, 2), 7, i32).read()
    array([[7, 7],
           [7, 7]], dtype=int32)
    """
    return _filled("full", device, shape, fill_value, dtype)


def zeros(device: Device, shape: Shape, dtype: type[T]) -> Buffer[T]:
    """0 everywhere. Raises as `full`.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> print(arrays.zeros(Device.auto(), (2, 2), f32).read())
    [[0. 0.]
     [0. 0.]]
    """
    return _filled("zeros", device, shape, 0, dtype)


def ones(device: Device, shape: Shape, dtype: type[T]) -> Buffer[T]:
    """1 everywhere. Raises as `full`.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> print(arrays.ones(Device.auto(), 3, i32).read())
    [1 1 1]
    """
    return _filled("ones", device, shape, 1, dtype)


def arange(
    device: Device, start: float, stop: float | None = None, step: float = 1, *, dtype: type[T]
) -> Buffer[T]:
    """``start``, ``start + step`` and so on, below ``stop``; with one number, 0 up to it.

    Floats are ``start + i step`` in f32, rounded twice. Raises `ArgumentError` for a step of 0, for
    numbers that are not finite or that the dtype does not hold, `DTypeError` for a start or step
    that is no whole number with an integer dtype, `LimitError`.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> print(arrays.arange(Device.auto(), 2, 10, 3, dtype=i32).read())
    [2 5 8]
    """
    _check("arange", device, dtype)
    if dtype is c64:
        raise ArgumentError("arange: c64 has no order: give a real dtype")
    begin, end = (0, start) if stop is None else (start, stop)
    begin = _finite("arange", "start", begin)
    end = _finite("arange", "start" if stop is None else "stop", end)
    step = _finite("arange", "step", step)
    if step == 0:
        raise ArgumentError("arange: a step of 0 leads nowhere: give another, or use full")
    for name, value in (("start", begin), ("step", step)):
        if dtype.name in INTEGERS and isinstance(value, float):
            raise DTypeError(
                f"arange: {name} {value!r} with {dtype.name}: give a whole number, or f32"
            )
    count = _steps(begin, end, step)
    require_buffer_fits("arange", device, dtype, (count,))
    first = number_as("arange", begin, dtype)
    if count:
        number_as("arange", begin + (count - 1) * step, dtype)
    y = device.buffer(dtype, count)
    _fill("arange", y, first, _pace(step, dtype), first, closed=False)
    return y


def _finite(op: str, name: str, value: Any) -> int | float:
    """A Python number, NumPy's too; integers as they are. Raises `ArgumentError`."""
    number = as_float(op, name, value)
    if not math.isfinite(number):
        raise ArgumentError(f"{op}: {name} {value!r}: wants a finite number")
    given = value[()] if isinstance(value, np.ndarray) else value
    return int(given) if isinstance(given, (int, np.integer, np.bool_)) else number


def _steps(begin: float, end: float, step: float) -> int:
    """How many numbers come from ``begin`` on before ``end``; of integers exactly."""
    if all(isinstance(each, int) for each in (begin, end, step)):
        return max(0, int(-((begin - end) // step)))
    return math.ceil(min(max((end - begin) / step, 0), _MOST_STEPS))


def linspace(
    device: Device,
    start: float,
    stop: float,
    num: int = 50,
    *,
    endpoint: bool = True,
    dtype: type[T],
) -> Buffer[T]:
    """``num`` numbers at equal steps from ``start`` to ``stop``, included if ``endpoint``.

    f16 or f32, ``start + i step`` in f32; the last is ``stop`` itself. Raises `ArgumentError`.

    >>> from gpucore import Device, f32; from gpustd import arrays
    >>> print(arrays.linspace(Device.auto(), 0, 1, 5, dtype=f32).read())
    [0.   0.25 0.5  0.75 1.  ]
    """
    _check("linspace", device, dtype)
    num = as_int("linspace", "num", num)
    if num < 0 or dtype.name not in ("f16", "f32"):
        raise ArgumentError(f"linspace: {num} of {dtype.name}: wants num >= 0, of f16 or f32")
    for each in (start, stop):
        number_as("linspace", each, dtype)
    span = float(stop) - float(start)
    number_as("linspace", span, f32)
    y = device.buffer(dtype, num)
    parts = num - 1 if endpoint else num
    step = span / parts if parts > 0 else 0.0
    closed = endpoint and num > 1
    _fill("linspace", y, float(start), step, float(stop), closed=closed)
    return y


def _check(op: str, device: Device, dtype: type[DType]) -> None:
    """Raise `ArgumentError` for what is no device, `DTypeError` for what is no marker."""
    if not isinstance(device, Device):
        raise ArgumentError(
            f"{op}: got {type(device).__name__}, wants a Device first, such as Device.auto()"
        )
    if not is_marker(dtype):
        names = ", ".join(DTYPES)
        raise DTypeError(f"{op}: dtype {dtype!r}: give a marker of gpucore's, one of {names}")


def _pace(step: float, dtype: type[DType]) -> Any:
    """A step as kernels take it: f32 for f16; of unsigned integers wrapped, so that it can fall."""
    if not isinstance(step, int) or dtype.name in ("f16", "f32"):
        return number_as("arange", step, f32 if dtype.name == "f16" else dtype)
    return step % 2**32 if dtype.name[0] == "u" else step


def _filled(op: str, device: Device, shape: Shape, value: Number, dtype: type[T]) -> Buffer[T]:
    _check(op, device, dtype)
    y = device.buffer(dtype, shape)
    number = number_as(op, value, dtype)
    _fill(op, y, number, [0.0, 0.0] if dtype is c64 else 0, number, closed=False)
    return y


def _fill(op: str, y: Buffer[Any], start: Any, step: Any, stop: Any, *, closed: bool) -> None:
    require_f16_support(op, y.dtype.name, [y])
    if not y.size:
        return
    sizes = {"last": y.size - 1, "start": start, "step": step, "stop": stop}
    spec: dict[str, Any] = {"kind": y.dtype.name, "closed": closed}
    launch_each("arrays/ramp.wgsl", spec, (y,), words_of(y.size), sizes)
