"""Words of the language that the library's functions use; only the compiler reads them."""

from __future__ import annotations

from typing import Any, ClassVar, TypeVar

__all__ = ["T", "Unsigned", "bitcast", "floor_divide", "fma", "mod"]

T = TypeVar("T", int, float)
"""A number: float, int or Unsigned."""


class Unsigned(int):
    """An integer without a sign, of 32 bits."""

    wgsl: ClassVar = "u32"


def bitcast(kind: type, value: Any) -> Any:
    """Return the number of a type that has the same bits."""


def fma(x: float, y: float, added: float) -> Any:
    """Return ``x * y + added``, rounded once where the GPU can."""


def mod(number: T, divisor: T) -> Any:
    """Return the remainder that has the sign of the divisor."""


def floor_divide(number: T, divisor: T) -> Any:
    """Return the quotient, rounded down."""


for _function in (bitcast, fma, mod, floor_divide):
    _function.gpu_name = _function.__name__  # type: ignore[attr-defined]
