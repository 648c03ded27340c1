"""Words of the language that the library's functions use; only the compiler reads them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, TypeVar

__all__ = ["T", "Unsigned", "bitcast", "floor_divide", "fma", "mod"]

F = TypeVar("F", bound=Callable[..., object])
T = TypeVar("T", int, float)
"""A number: float, int or Unsigned."""


class Unsigned(int):
    """An integer without a sign, of 32 bits."""

    wgsl: ClassVar = "u32"


def _word(function: F) -> F:
    """Give a function the name by which the compiler knows it."""
    function.gpu_name = function.__name__  # type: ignore[attr-defined]
    return function


@_word
def bitcast(kind: type, value: Any) -> Any:
    """Return the number of a type that has the same bits."""


@_word
def fma(x: float, y: float, added: float) -> Any:
    """Return ``x * y + added``, rounded once where the GPU can."""


@_word
def mod(number: T, divisor: T) -> Any:
    """Return the remainder that has the sign of the divisor."""


@_word
def floor_divide(number: T, divisor: T) -> Any:
    """Return the quotient, rounded down."""
