"""The operators of buffers, as NumPy's arrays have them.

An operand is a buffer of the same device, a number, or an array of NumPy, which is uploaded. Shapes
broadcast and dtypes promote as in NumPy 2. Where NumPy would give 64 bits, floats and complex
numbers take f32 and c64. Results are new buffers; ``x += y`` writes into ``x``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic, TypeAlias, overload

import numpy as np
from numpy.typing import NDArray

from gpucore.algebra.provider import operation
from gpucore.dtypes import T, c64, f16, f32, u8

if TYPE_CHECKING:
    from gpucore.buffer import Buffer

__all__ = ["BufferOperators", "Operand"]

Operand: TypeAlias = "Buffer[Any] | complex | np.number[Any] | np.bool_ | NDArray[Any]"
"""What stands on the other side of an operator."""


class BufferOperators(Generic[T]):
    """The operators of a `Buffer`: each asks for its operation by name.

    Raises `OperationsNotFoundError`, `ShapeError` where shapes do not broadcast, `DTypeError` where
    dtypes have no common one, and `ArgumentError`.
    """

    __slots__ = ()

    # mypy has no rule for operators in place beside overloads, hence the ignored codes.

    # Let NumPy's arrays and numbers on the left leave the operator to the buffer.
    __array_priority__ = 1000.0

    @overload
    def __add__(self, other: Buffer[T] | int) -> Buffer[T]: ...
    @overload
    def __add__(self, other: Operand) -> Buffer[Any]: ...
    def __add__(self, other: Operand) -> Buffer[Any]:
        return self._apply("add", self, other)

    @overload
    def __radd__(self, other: int) -> Buffer[T]: ...
    @overload
    def __radd__(self, other: Operand) -> Buffer[Any]: ...
    def __radd__(self, other: Operand) -> Buffer[Any]:
        return self._apply("add", other, self)

    def __iadd__(self, other: Operand) -> Buffer[T]:  # type: ignore[misc]
        return self._write("add", other)

    @overload
    def __sub__(self, other: Buffer[T] | int) -> Buffer[T]: ...
    @overload
    def __sub__(self, other: Operand) -> Buffer[Any]: ...
    def __sub__(self, other: Operand) -> Buffer[Any]:
        return self._apply("subtract", self, other)

    @overload
    def __rsub__(self, other: int) -> Buffer[T]: ...
    @overload
    def __rsub__(self, other: Operand) -> Buffer[Any]: ...
    def __rsub__(self, other: Operand) -> Buffer[Any]:
        return self._apply("subtract", other, self)

    def __isub__(self, other: Operand) -> Buffer[T]:  # type: ignore[misc]
        return self._write("subtract", other)

    @overload
    def __mul__(self, other: Buffer[T] | int) -> Buffer[T]: ...
    @overload
    def __mul__(self, other: Operand) -> Buffer[Any]: ...
    def __mul__(self, other: Operand) -> Buffer[Any]:
        return self._apply("multiply", self, other)

    @overload
    def __rmul__(self, other: int) -> Buffer[T]: ...
    @overload
    def __rmul__(self, other: Operand) -> Buffer[Any]: ...
    def __rmul__(self, other: Operand) -> Buffer[Any]:
        return self._apply("multiply", other, self)

    def __imul__(self, other: Operand) -> Buffer[T]:  # type: ignore[misc]
        return self._write("multiply", other)

    @overload
    def __floordiv__(self, other: Buffer[T] | int) -> Buffer[T]: ...
    @overload
    def __floordiv__(self, other: Operand) -> Buffer[Any]: ...
    def __floordiv__(self, other: Operand) -> Buffer[Any]:
        return self._apply("floor_divide", self, other)

    @overload
    def __rfloordiv__(self, other: int) -> Buffer[T]: ...
    @overload
    def __rfloordiv__(self, other: Operand) -> Buffer[Any]: ...
    def __rfloordiv__(self, other: Operand) -> Buffer[Any]:
        return self._apply("floor_divide", other, self)

    def __ifloordiv__(self, other: Operand) -> Buffer[T]:  # type: ignore[misc]
        return self._write("floor_divide", other)

    @overload
    def __mod__(self, other: Buffer[T] | int) -> Buffer[T]: ...
    @overload
    def __mod__(self, other: Operand) -> Buffer[Any]: ...
    def __mod__(self, other: Operand) -> Buffer[Any]:
        return self._apply("remainder", self, other)

    @overload
    def __rmod__(self, other: int) -> Buffer[T]: ...
    @overload
    def __rmod__(self, other: Operand) -> Buffer[Any]: ...
    def __rmod__(self, other: Operand) -> Buffer[Any]:
        return self._apply("remainder", other, self)

    def __imod__(self, other: Operand) -> Buffer[T]:  # type: ignore[misc]
        return self._write("remainder", other)

    @overload
    def __pow__(self, other: Buffer[T] | int) -> Buffer[T]: ...
    @overload
    def __pow__(self, other: Operand) -> Buffer[Any]: ...
    def __pow__(self, other: Operand) -> Buffer[Any]:
        return self._apply("power", self, other)

    @overload
    def __rpow__(self, other: int) -> Buffer[T]: ...
    @overload
    def __rpow__(self, other: Operand) -> Buffer[Any]: ...
    def __rpow__(self, other: Operand) -> Buffer[Any]:
        return self._apply("power", other, self)

    def __ipow__(self, other: Operand) -> Buffer[T]:  # type: ignore[misc]
        return self._write("power", other)

    @overload
    def __truediv__(self: BufferOperators[f16], other: Buffer[f16] | float) -> Buffer[f16]: ...
    @overload
    def __truediv__(self: BufferOperators[f32], other: Buffer[f32] | float) -> Buffer[f32]: ...
    @overload
    def __truediv__(self: BufferOperators[c64], other: Buffer[c64] | complex) -> Buffer[c64]: ...
    @overload
    def __truediv__(self, other: Operand) -> Buffer[Any]: ...
    def __truediv__(self, other: Operand) -> Buffer[Any]:
        return self._apply("divide", self, other)

    @overload
    def __rtruediv__(self: BufferOperators[f16], other: float) -> Buffer[f16]: ...
    @overload
    def __rtruediv__(self: BufferOperators[f32], other: float) -> Buffer[f32]: ...
    @overload
    def __rtruediv__(self: BufferOperators[c64], other: complex) -> Buffer[c64]: ...
    @overload
    def __rtruediv__(self, other: Operand) -> Buffer[Any]: ...
    def __rtruediv__(self, other: Operand) -> Buffer[Any]:
        return self._apply("divide", other, self)

    def __itruediv__(self, other: Operand) -> Buffer[T]:
        return self._write("divide", other)

    @overload
    def __matmul__(self, other: Buffer[T]) -> Buffer[T]: ...
    @overload
    def __matmul__(self, other: Operand) -> Buffer[Any]: ...
    def __matmul__(self, other: Operand) -> Buffer[Any]:
        return self._apply("matmul", self, other)

    def __rmatmul__(self, other: Operand) -> Buffer[Any]:
        return self._apply("matmul", other, self)

    def __imatmul__(self, other: Operand) -> Buffer[T]:  # type: ignore[misc]
        return self._write("matmul", other)

    def __divmod__(self, other: Operand) -> tuple[Buffer[Any], Buffer[Any]]:
        return self // other, self % other

    def __rdivmod__(self, other: Operand) -> tuple[Buffer[Any], Buffer[Any]]:
        return other // self, other % self

    @overload
    def __and__(self, other: Buffer[T] | int) -> Buffer[T]: ...
    @overload
    def __and__(self, other: Operand) -> Buffer[Any]: ...
    def __and__(self, other: Operand) -> Buffer[Any]:
        return self._apply("bitwise_and", self, other)

    @overload
    def __rand__(self, other: int) -> Buffer[T]: ...
    @overload
    def __rand__(self, other: Operand) -> Buffer[Any]: ...
    def __rand__(self, other: Operand) -> Buffer[Any]:
        return self._apply("bitwise_and", other, self)

    def __iand__(self, other: Operand) -> Buffer[T]:  # type: ignore[misc]
        return self._write("bitwise_and", other)

    @overload
    def __or__(self, other: Buffer[T] | int) -> Buffer[T]: ...
    @overload
    def __or__(self, other: Operand) -> Buffer[Any]: ...
    def __or__(self, other: Operand) -> Buffer[Any]:
        return self._apply("bitwise_or", self, other)

    @overload
    def __ror__(self, other: int) -> Buffer[T]: ...
    @overload
    def __ror__(self, other: Operand) -> Buffer[Any]: ...
    def __ror__(self, other: Operand) -> Buffer[Any]:
        return self._apply("bitwise_or", other, self)

    def __ior__(self, other: Operand) -> Buffer[T]:  # type: ignore[misc]
        return self._write("bitwise_or", other)

    @overload
    def __xor__(self, other: Buffer[T] | int) -> Buffer[T]: ...
    @overload
    def __xor__(self, other: Operand) -> Buffer[Any]: ...
    def __xor__(self, other: Operand) -> Buffer[Any]:
        return self._apply("bitwise_xor", self, other)

    @overload
    def __rxor__(self, other: int) -> Buffer[T]: ...
    @overload
    def __rxor__(self, other: Operand) -> Buffer[Any]: ...
    def __rxor__(self, other: Operand) -> Buffer[Any]:
        return self._apply("bitwise_xor", other, self)

    def __ixor__(self, other: Operand) -> Buffer[T]:  # type: ignore[misc]
        return self._write("bitwise_xor", other)

    @overload
    def __lshift__(self, other: Buffer[T] | int) -> Buffer[T]: ...
    @overload
    def __lshift__(self, other: Operand) -> Buffer[Any]: ...
    def __lshift__(self, other: Operand) -> Buffer[Any]:
        return self._apply("left_shift", self, other)

    @overload
    def __rlshift__(self, other: int) -> Buffer[T]: ...
    @overload
    def __rlshift__(self, other: Operand) -> Buffer[Any]: ...
    def __rlshift__(self, other: Operand) -> Buffer[Any]:
        return self._apply("left_shift", other, self)

    def __ilshift__(self, other: Operand) -> Buffer[T]:  # type: ignore[misc]
        return self._write("left_shift", other)

    @overload
    def __rshift__(self, other: Buffer[T] | int) -> Buffer[T]: ...
    @overload
    def __rshift__(self, other: Operand) -> Buffer[Any]: ...
    def __rshift__(self, other: Operand) -> Buffer[Any]:
        return self._apply("right_shift", self, other)

    @overload
    def __rrshift__(self, other: int) -> Buffer[T]: ...
    @overload
    def __rrshift__(self, other: Operand) -> Buffer[Any]: ...
    def __rrshift__(self, other: Operand) -> Buffer[Any]:
        return self._apply("right_shift", other, self)

    def __irshift__(self, other: Operand) -> Buffer[T]:  # type: ignore[misc]
        return self._write("right_shift", other)

    def __lt__(self, other: Operand) -> Buffer[u8]:
        return self._apply("less", self, other)

    def __le__(self, other: Operand) -> Buffer[u8]:
        return self._apply("less_equal", self, other)

    def __gt__(self, other: Operand) -> Buffer[u8]:
        return self._apply("greater", self, other)

    def __ge__(self, other: Operand) -> Buffer[u8]:
        return self._apply("greater_equal", self, other)

    def __eq__(self, other: object) -> Buffer[u8]:  # type: ignore[override]
        return self._apply("equal", self, other)

    def __ne__(self, other: object) -> Buffer[u8]:  # type: ignore[override]
        return self._apply("not_equal", self, other)

    # A buffer is a key by its identity: dictionaries ask for the hash first, which differs.
    __hash__ = object.__hash__

    def __neg__(self) -> Buffer[T]:
        return self._apply("negative", self)

    def __pos__(self) -> Buffer[T]:
        return self._apply("positive", self)

    def __invert__(self) -> Buffer[T]:
        return self._apply("bitwise_not", self)

    def __abs__(self) -> Buffer[Any]:
        return self._apply("absolute", self)

    def __round__(self, ndigits: int = 0) -> Buffer[T]:
        return self._apply("round", self, ndigits)

    def _apply(self, name: str, *operands: object) -> Buffer[Any]:
        """Return an operation's result, or ``NotImplemented`` for operands of other kinds."""
        if not all(map(_is_operand, operands)):
            return NotImplemented  # type: ignore[no-any-return]
        result: Buffer[Any] = operation(name)(*operands)
        return result

    def _write(self, name: str, other: object) -> Buffer[T]:
        """Replace the contents by an operation's result, and return the buffer itself."""
        if not _is_operand(other):
            return NotImplemented  # type: ignore[no-any-return]
        written: Buffer[T] = operation("write_result")(name, self, other)
        return written


def _is_operand(value: object) -> bool:
    """Tell whether ``value`` may stand beside an operator; Python raises TypeError for others."""
    kinds = (BufferOperators, int, float, complex, np.number, np.bool_, np.ndarray)
    return isinstance(value, kinds)
