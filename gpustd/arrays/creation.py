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
from gpustd.arrays.elementwise.operands import INTEGERS, Number, number_as
from gpustd.launch.checks import as_float, as_int, require_buffer_fits
from gpustd.launch.elements import launch_each, require_f16_support, words_of

__all__ = ["arange", "full", "linspace", "ones", "zeros"]

Shape = int | tuple[int, ...]
# More elements than any buffer holds, in place of an infinite quotient.
_MOST_STEPS = 2.0**63


def full(device: Device, shape: Shape, fill_value: Number, dtype: type[T]) -> Buffer[T]:
    """Return an array of ``fill_value``, which ``dtype`` must hold.

    Raises `ArgumentError`, `DTypeError`, `ShapeError`.

    >>> arrays.full(device, (2, 2), 7, i32).read()
    array([[7, 7],
           [7, 7]], dtype=int32)
    """
    return _constant("full", device, shape, fill_value, dtype)


def zeros(device: Device, shape: Shape, dtype: type[T]) -> Buffer[T]:
    """Return an array of zeros. Raises as `full`.

    >>> print(arrays.zeros(device, (2, 2), f32).read())
    [[0. 0.]
     [0. 0.]]
    """
    return _constant("zeros", device, shape, 0, dtype)


def ones(device: Device, shape: Shape, dtype: type[T]) -> Buffer[T]:
    """Return an array of ones. Raises as `full`.

    >>> print(arrays.ones(device, 3, i32).read())
    [1 1 1]
    """
    return _constant("ones", device, shape, 1, dtype)


def arange(
    device: Device, start: float, stop: float | None = None, step: float = 1, *, dtype: type[T]
) -> Buffer[T]:
    """Return ``start``, ``start + step`` and so on, below ``stop``; with one number, 0 up to it.

    Floats are ``start + i step`` in f32, rounded twice. Raises `ArgumentError` for a step of 0 and
    for numbers that are infinite, NaN or beyond the dtype, `DTypeError` for a start or step with a
    fraction in an integer dtype, `LimitError`.

    >>> print(arrays.arange(device, 2, 10, 3, dtype=i32).read())
    [2 5 8]
    """
    _check_target("arange", device, dtype)
    if dtype is c64:
        raise ArgumentError("arange: dtype must be real, got c64, which has no order")
    begin, end = (0, start) if stop is None else (start, stop)
    begin = _finite("arange", "start", begin)
    end = _finite("arange", "start" if stop is None else "stop", end)
    step = _finite("arange", "step", step)
    if step == 0:
        raise ArgumentError("arange: step must not be 0, got 0; use full for equal numbers")
    for name, value in (("start", begin), ("step", step)):
        if dtype.name in INTEGERS and isinstance(value, float):
            raise DTypeError(
                f"arange: {name} must be a whole number for {dtype.name}, got {value!r}; "
                "give f32 for fractions"
            )
    count = _steps(begin, end, step)
    require_buffer_fits("arange", device, dtype, (count,))
    first = number_as("arange", begin, dtype)
    if count:
        number_as("arange", begin + (count - 1) * step, dtype)
    y = device.buffer(dtype, count)
    _fill("arange", y, first, _uniform_step(step, dtype), first, closed=False)
    return y


def _finite(op: str, name: str, value: Any) -> int | float:
    """Return a finite Python number; integers stay integers. Raises `ArgumentError`."""
    number = as_float(op, name, value)
    if not math.isfinite(number):
        raise ArgumentError(f"{op}: {name} must be finite, got {value!r}")
    scalar = value[()] if isinstance(value, np.ndarray) else value
    return int(scalar) if isinstance(scalar, (int, np.integer, np.bool_)) else number


def _steps(begin: float, end: float, step: float) -> int:
    """Return how many numbers there are from ``begin`` to before ``end``; exact for integers."""
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
    """Return ``num`` numbers at equal steps from ``start`` to ``stop``, included if ``endpoint``.

    f16 or f32, ``start + i step`` in f32; the last is ``stop`` itself. Raises `ArgumentError`.

    >>> print(arrays.linspace(device, 0, 1, 5, dtype=f32).read())
    [0.   0.25 0.5  0.75 1.  ]
    """
    _check_target("linspace", device, dtype)
    num = as_int("linspace", "num", num)
    if num < 0:
        raise ArgumentError(f"linspace: num must not be negative, got {num}")
    if dtype.name not in ("f16", "f32"):
        raise ArgumentError(f"linspace: dtype must be f16 or f32, got {dtype.name}")
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


def _check_target(op: str, device: Device, dtype: type[DType]) -> None:
    """Check the device and the dtype of a new array. Raises `ArgumentError`, `DTypeError`."""
    if not isinstance(device, Device):
        raise ArgumentError(
            f"{op}: the first argument must be a Device such as Device.auto(), got "
            f"{type(device).__name__}"
        )
    if not is_marker(dtype):
        names = ", ".join(DTYPES)
        raise DTypeError(f"{op}: dtype must be one of gpucore's {names}, got {dtype!r}")


def _uniform_step(step: float, dtype: type[DType]) -> Any:
    """Return a step for the uniform: f32 for f16, and wrapped for unsigned integers.

    A wrapped step can be negative.
    """
    if not isinstance(step, int) or dtype.name in ("f16", "f32"):
        return number_as("arange", step, f32 if dtype.name == "f16" else dtype)
    return step % 2**32 if dtype.name[0] == "u" else step


def _constant(op: str, device: Device, shape: Shape, value: Number, dtype: type[T]) -> Buffer[T]:
    """Return an array of one number."""
    _check_target(op, device, dtype)
    y = device.buffer(dtype, shape)
    number = number_as(op, value, dtype)
    _fill(op, y, number, [0.0, 0.0] if dtype is c64 else 0, number, closed=False)
    return y


def _fill(op: str, y: Buffer[Any], start: Any, step: Any, stop: Any, *, closed: bool) -> None:
    """Record ``start + i step`` into ``y``; ``closed``: the last element is ``stop``."""
    require_f16_support(op, y.dtype.name, [y])
    if not y.size:
        return
    sizes = {"last": y.size - 1, "start": start, "step": step, "stop": stop}
    spec: dict[str, Any] = {"kind": y.dtype.name, "closed": closed}
    launch_each("arrays/ramp.wgsl", spec, (y,), words_of(y.size), sizes)
