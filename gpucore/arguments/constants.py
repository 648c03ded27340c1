"""Values of overrides: each must be a number that the override's type holds as it is."""

from __future__ import annotations

import math
from collections.abc import Callable
from operator import index
from typing import Final, SupportsFloat, SupportsIndex

import numpy as np

from gpucore.errors import ArgumentError
from gpucore.wgsl import Override

__all__ = ["override_value"]

_INTEGERS: Final = {"i32": (-(2**31), 2**31 - 1), "u32": (0, 2**32 - 1)}
_FLOATS: Final = {"f32": float(np.finfo(np.float32).max), "f16": float(np.finfo(np.float16).max)}


def override_value(override: Override, value: object) -> float:
    """Return a value as engines take it. Raises `ArgumentError` for what the type does not hold.

    An integer takes whole numbers without a fraction, a bool True and False, a float any number
    within its range.
    """
    as_float = _BY_TYPE.get(override.type, _float)(override.type, value)
    if as_float is None:
        raise ArgumentError(
            f"constant {override.name!r} must be {_range_text(override.type)}, as the WGSL "
            f"declares `override {override.name}: {override.type}`, got {value!r}"
        )
    return as_float


def _bool(kind: str, value: object) -> float | None:
    return float(bool(value)) if isinstance(value, bool | np.bool_) else None


def _integer(kind: str, value: object) -> float | None:
    low, high = _INTEGERS[kind]
    if isinstance(value, bool | np.bool_) or not isinstance(value, SupportsIndex):
        return None
    try:
        number = index(value)
    except TypeError:  # an array of several numbers
        return None
    return float(number) if low <= number <= high else None


def _float(kind: str, value: object) -> float | None:
    if isinstance(value, bool | np.bool_ | np.ndarray):
        return None
    if not isinstance(value, SupportsFloat | SupportsIndex):
        return None
    try:
        number = float(value)
    except (OverflowError, TypeError, ValueError):
        return None
    most = _FLOATS.get(kind, math.inf)
    return number if math.isfinite(number) and abs(number) <= most else None


def _range_text(kind: str) -> str:
    """Return what a type takes, for an error."""
    if kind in _INTEGERS:
        return "a whole number from {} to {}".format(*_INTEGERS[kind])
    if kind == "bool":
        return "True or False"
    return f"a finite number that {kind} holds"


_BY_TYPE: Final[dict[str, Callable[[str, object], float | None]]] = {
    "bool": _bool,
    "i32": _integer,
    "u32": _integer,
}
