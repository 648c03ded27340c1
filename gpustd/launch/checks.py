"""Checks of arguments: buffers, numbers and choices, and the errors for wrong ones."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable, Sequence
from decimal import Decimal
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import ArgumentError, Buffer, Device, DType, LimitError

__all__ = ["as_float", "as_floats", "as_int", "choice", "require_buffer_fits", "require_buffers"]

_LEAST_BEYOND_F32 = 3.4028235677973366e38
"""The least number that f32 rounds to infinity: half a step beyond its largest."""
_BUFFER_LIMITS = ("max_buffer_size", "max_storage_buffer_binding_size")


def as_int(op: str, name: str, value: Any) -> int:
    """Return a whole number, also one of NumPy's, as an int. Raises `ArgumentError`."""
    try:
        return int(index(value))
    except TypeError:
        raise ArgumentError(f"{op}: {name} must be one whole number, got {value!r}") from None


def as_float(op: str, name: str, value: Any) -> float:
    """Return a real number, also one of NumPy's, as a float.

    Raises `ArgumentError` for anything else, and for a number beyond the range of f32. NaN and
    infinities pass.
    """
    scalar: Any = value[()] if isinstance(value, np.ndarray) and not value.ndim else value
    try:
        number = float(scalar) if _is_real(scalar) else None
    except OverflowError:
        number = _LEAST_BEYOND_F32
    if number is None:
        raise ArgumentError(f"{op}: {name} must be one real number, got {value!r}")
    if _LEAST_BEYOND_F32 <= abs(number) < math.inf:
        raise ArgumentError(f"{op}: {name} must be within the range of f32, got {value!r}")
    return number


def _is_real(value: object) -> bool:
    """Tell whether ``value`` is a real number; float() would accept NumPy's complex ones, too."""
    return isinstance(value, (numbers.Real, Decimal, np.bool_))


def as_floats(op: str, name: str, values: Any) -> NDArray[np.float64]:
    """Return real numbers, in an array or nested lists, in float64. Raises `ArgumentError`."""
    try:
        array = np.asarray(values)
        # NumPy would convert text and None, and cut complex numbers down to their real parts.
        if array.dtype.kind in "biuf" or (
            array.dtype.kind == "O" and all(map(_is_real, array.flat))
        ):
            return array.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ArgumentError(f"{op}: {name} must hold real numbers, got {values!r}")


def choice(op: str, name: str, value: Any, choices: Iterable[Any]) -> Any:
    """Return the one of ``choices`` that ``value`` equals. Raises `ArgumentError`."""
    listed = list(choices)
    try:
        return listed[listed.index(value)]
    except ValueError:  # also of an array, whose comparison has no one truth
        names = ", ".join(map(repr, listed))
        raise ArgumentError(f"{op}: {name} must be one of {names}, got {value!r}") from None


def require_buffers(op: str, *operands: Any) -> None:
    """Raise `ArgumentError` for an operand that is no `Buffer`."""
    for operand in operands:
        if not isinstance(operand, Buffer):
            raise ArgumentError(
                f"{op}: operand must be a Buffer, got {type(operand).__name__}; upload an array "
                "with device.buffer_from_array(array)"
            )


def require_buffer_fits(op: str, device: Device, dtype: type[DType], shape: Sequence[int]) -> None:
    """Raise `LimitError` for a shape that no buffer of ``device`` holds.

    For operations that first make tables on the host, which would take the host's memory.
    """
    nbytes = math.prod(shape) * dtype.itemsize
    most = min(device.limits.get(name, nbytes) for name in _BUFFER_LIMITS)
    if nbytes > most:
        raise LimitError(
            f"{op}: a result of shape {tuple(shape)} must take at most {most} bytes on {device!r}, "
            f"got {nbytes}; make it smaller"
        )
