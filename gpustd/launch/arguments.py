"""Numbers and choices beside buffers: what they must be, and what is refused in plain words."""

from __future__ import annotations

import math
import numbers
from collections.abc import Iterable
from decimal import Decimal
from operator import index
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import ArgumentError

__all__ = ["as_float", "as_floats", "as_int", "choice"]

_MOST = 3.4028235677973366e38
"""What rounds to no f32."""


def as_int(op: str, name: str, value: Any) -> int:
    """A whole number, NumPy's too. Raises `ArgumentError`."""
    try:
        return int(index(value))
    except TypeError:
        raise ArgumentError(f"{op}: {name} {value!r}: give one whole number") from None


def as_float(op: str, name: str, value: Any) -> float:
    """A real number, NumPy's too, that f32 holds but for rounding; NaN and infinities are.

    Raises `ArgumentError`.
    """
    given: Any = value[()] if isinstance(value, np.ndarray) and not value.ndim else value
    try:
        number = float(given) if _is_number(given) else None
    except OverflowError:
        number = _MOST
    if number is None:
        raise ArgumentError(f"{op}: {name} {value!r}: give one real number")
    if _MOST <= abs(number) < math.inf:
        raise ArgumentError(f"{op}: {name} {value!r} is beyond the range of f32")
    return number


def _is_number(value: object) -> bool:
    """Whether it is a real one: NumPy's complex ones become floats, with a warning alone."""
    return isinstance(value, (numbers.Real, Decimal, np.bool_))


def choice(op: str, name: str, value: Any, choices: Iterable[Any]) -> Any:
    """The one of ``choices`` that ``value`` equals. Raises `ArgumentError`."""
    listed = list(choices)
    try:
        return listed[listed.index(value)]
    except ValueError:  # also of an array, whose comparison has no one truth
        names = ", ".join(map(repr, listed))
        raise ArgumentError(f"{op}: {name} {value!r}: it is one of {names}") from None


def as_floats(op: str, name: str, values: Any) -> NDArray[np.float64]:
    """An array of real numbers in float64, of any shape. Raises `ArgumentError`."""
    try:
        given = np.asarray(values)
        # Neither text and None, which NumPy takes for numbers, nor complex ones.
        if given.dtype.kind in "biuf" or (
            given.dtype.kind == "O" and all(map(_is_number, given.flat))
        ):
            return given.astype(np.float64)
    except (TypeError, ValueError, OverflowError):
        pass
    raise ArgumentError(f"{op}: {name} {values!r}: wants real numbers")
