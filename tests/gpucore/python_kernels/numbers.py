"""Python numbers that compute as WGSL's do: the reference of programs that are drawn.

A drawn program is Python. Run with these numbers, it gives what its kernel must give.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

import numpy as np

__all__ = ["F32", "I32", "U32"]


class Integer:
    """An integer of 32 bits that wraps."""

    LOW: ClassVar[int]

    def __init__(self, value: Any) -> None:
        if isinstance(value, F32):
            self.value = int(np.clip(np.trunc(float(value.value)), self.LOW, self.LOW + 2**32 - 1))
        else:
            self.value = (int(value) - self.LOW) % 2**32 + self.LOW

    def _other(self, other: Any) -> int:
        if isinstance(other, int) and not isinstance(other, bool):
            assert self.LOW <= other < self.LOW + 2**32, "the literal does not fit"
            return other
        assert type(other) is type(self), f"{type(self)} with {type(other)}"
        return int(other.value)

    def _binary(self, other: Any, operation: Callable[[int, int], int]) -> Any:
        return type(self)(operation(self.value, self._other(other)))

    def _reversed(self, other: Any, operation: Callable[[int, int], int]) -> Any:
        return type(self)(operation(self._other(other), self.value))

    def __add__(self, other: Any) -> Any:
        return self._binary(other, lambda a, b: a + b)

    def __radd__(self, other: Any) -> Any:
        return self._reversed(other, lambda a, b: a + b)

    def __sub__(self, other: Any) -> Any:
        return self._binary(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> Any:
        return self._reversed(other, lambda a, b: a - b)

    def __mul__(self, other: Any) -> Any:
        return self._binary(other, lambda a, b: a * b)

    def __rmul__(self, other: Any) -> Any:
        return self._reversed(other, lambda a, b: a * b)

    def __floordiv__(self, other: Any) -> Any:
        return self._binary(other, quotient)

    def __mod__(self, other: Any) -> Any:
        return self._binary(other, lambda a, b: a - b * quotient(a, b) if b else 0)

    def __and__(self, other: Any) -> Any:
        return self._binary(other, lambda a, b: a & b)

    def __or__(self, other: Any) -> Any:
        return self._binary(other, lambda a, b: a | b)

    def __xor__(self, other: Any) -> Any:
        return self._binary(other, lambda a, b: a ^ b)

    def __lshift__(self, other: Any) -> Any:
        return type(self)(self.value << (int(other) & 31))

    def __rshift__(self, other: Any) -> Any:
        return type(self)(self.value >> (int(other) & 31))

    def __neg__(self) -> Any:
        return type(self)(-self.value)

    def __invert__(self) -> Any:
        return type(self)(~self.value)

    def __abs__(self) -> Any:
        return type(self)(abs(self.value))

    def __index__(self) -> int:
        return self.value

    def __int__(self) -> int:
        return self.value

    def __float__(self) -> float:
        return float(self.value)

    def __eq__(self, other: object) -> bool:
        return self.value == self._other(other)

    def __lt__(self, other: Any) -> bool:
        return self.value < self._other(other)

    def __le__(self, other: Any) -> bool:
        return self.value <= self._other(other)

    def __gt__(self, other: Any) -> bool:
        return self.value > self._other(other)

    def __ge__(self, other: Any) -> bool:
        return self.value >= self._other(other)

    __hash__ = None  # type: ignore[assignment]


def quotient(a: int, b: int) -> int:
    """Divide toward zero; by zero gives ``a``."""
    if b == 0:
        return a
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


class I32(Integer):
    LOW = -(2**31)


class U32(Integer):
    LOW = 0


class F32:
    """A float of 32 bits."""

    def __init__(self, value: Any) -> None:
        self.value = np.float32(float(value))

    def _make(self, other: Any, operation: Callable[[Any, Any], Any]) -> F32:
        right = other.value if isinstance(other, F32) else np.float32(other)
        return F32(operation(self.value, right))

    def __add__(self, other: Any) -> F32:
        return self._make(other, lambda a, b: a + b)

    def __radd__(self, other: Any) -> F32:
        return self._make(other, lambda a, b: b + a)

    def __sub__(self, other: Any) -> F32:
        return self._make(other, lambda a, b: a - b)

    def __rsub__(self, other: Any) -> F32:
        return self._make(other, lambda a, b: b - a)

    def __mul__(self, other: Any) -> F32:
        return self._make(other, lambda a, b: a * b)

    __rmul__ = __mul__

    def __neg__(self) -> F32:
        return F32(-self.value)

    def __abs__(self) -> F32:
        return F32(abs(self.value))

    def __float__(self) -> float:
        return float(self.value)

    def __eq__(self, other: object) -> bool:
        return float(self) == float(other)  # type: ignore[arg-type]

    def __lt__(self, other: Any) -> bool:
        return float(self) < float(other)

    def __le__(self, other: Any) -> bool:
        return float(self) <= float(other)

    def __gt__(self, other: Any) -> bool:
        return float(self) > float(other)

    def __ge__(self, other: Any) -> bool:
        return float(self) >= float(other)

    __hash__ = None  # type: ignore[assignment]
