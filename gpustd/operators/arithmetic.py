"""The operators: operands in their common dtype, then gpustd's function of NumPy's name."""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import numpy as np

from gpucore import ArgumentError, Buffer, DType, DTypeError, ShapeError, u8
from gpustd import linalg
from gpustd.arrays.creation import full
from gpustd.arrays.elementwise import arithmetic, bits, logic
from gpustd.arrays.elementwise.operands import broadcast_shape
from gpustd.arrays.elementwise.rounding import round as round_floats
from gpustd.arrays.folds import reductions
from gpustd.arrays.masks import Mask, as_mask
from gpustd.launch.checks import as_int
from gpustd.operators.promotion import Value, common_operands, require_same_kind, upload

__all__ = ["OPERATORS", "contains", "matmul", "round_decimals", "write_result"]

Function = Callable[..., Any]

# What truth values take in place of numbers' operators, as NumPy's booleans do.
_OF_TRUTH: Mapping[str, Function] = {
    "add": logic.logical_or,
    "bitwise_and": logic.logical_and,
    "bitwise_or": logic.logical_or,
    "bitwise_xor": logic.logical_xor,
    "multiply": logic.logical_and,
}
_OF_NUMBERS: Mapping[str, Function] = {
    "add": arithmetic.add,
    "bitwise_and": bits.bitwise_and,
    "bitwise_or": bits.bitwise_or,
    "bitwise_xor": bits.bitwise_xor,
    "divide": arithmetic.divide,
    "floor_divide": arithmetic.floor_divide,
    "left_shift": bits.left_shift,
    "multiply": arithmetic.multiply,
    "power": arithmetic.power,
    "remainder": arithmetic.remainder,
    "right_shift": bits.right_shift,
    "subtract": arithmetic.subtract,
}
_COMPARISONS: Mapping[str, tuple[Function, Callable[[Any, Any], bool]]] = {
    "equal": (logic.equal, operator.eq),
    "greater": (logic.greater, operator.gt),
    "greater_equal": (logic.greater_equal, operator.ge),
    "less": (logic.less, operator.lt),
    "less_equal": (logic.less_equal, operator.le),
    "not_equal": (logic.not_equal, operator.ne),
}


def _binary(op: str, x: Any, y: Any) -> Buffer[Any]:
    """Return ``op`` of two operands in their common dtype."""
    values, dtype, truth = common_operands(op, (x, y), floating=op == "divide")
    if truth and op in _OF_TRUTH:
        return _truth(op, *values)
    if truth and op == "subtract":
        raise DTypeError(
            "subtract: operands must be numbers, got truth values; use ^, or convert them with "
            "astype"
        )
    if truth:
        values = [each.astype(np.int32) if isinstance(each, Buffer) else each for each in values]
    right = values[1]
    if op == "power" and dtype.numpy.kind in "iu" and isinstance(right, int) and right < 0:
        raise ArgumentError(
            f"power: whole numbers have powers from 0 on, got {right}; convert the base to f32"
        )
    result: Buffer[Any] = _OF_NUMBERS[op](*values)
    return result


def _truth(op: str, *values: Value) -> Buffer[Any]:
    """Return ``op`` of truth values; a Python one becomes 0 or 1."""
    numbers = [each if isinstance(each, Buffer) else int(each.real) for each in values]
    result: Buffer[Any] = _OF_TRUTH[op](*numbers)
    return result


def _compare(op: str, x: Any, y: Any) -> Buffer[u8]:
    """Return the truth values of a comparison; numbers beyond a dtype compare as they are."""
    values, dtype, _ = common_operands(op, (x, y))
    function, of_numbers = _COMPARISONS[op]
    near = [each if isinstance(each, Buffer) else _within(each, dtype) for each in values]
    if None not in near:
        result: Buffer[u8] = function(*near)
        return result
    (buffer,) = (each for each in values if isinstance(each, Buffer))
    left, right = (0 if isinstance(each, Buffer) else each for each in values)
    return as_mask(full(buffer.device, buffer.shape, of_numbers(left, right), u8))


def _within(value: complex, dtype: type[DType]) -> complex | None:
    """Return a number that ``dtype`` holds: itself, or an infinity; None for a far integer."""
    if dtype.numpy.kind in "iu":
        limits: Any = np.iinfo(str(dtype.numpy))
        return value if limits.min <= value.real <= limits.max else None
    if dtype.numpy.kind == "f":
        with np.errstate(over="ignore"):
            return float(np.asarray(value, dtype.numpy))
    return value


def _negative(x: Buffer[Any]) -> Buffer[Any]:
    if isinstance(x, Mask):
        raise DTypeError(f"negative: x must hold numbers, got truth values {x!r}; use ~ for not")
    return arithmetic.negative(x)


def _invert(x: Buffer[Any]) -> Buffer[Any]:
    return logic.logical_not(x) if isinstance(x, Mask) else bits.bitwise_not(x)


def _positive(x: Buffer[Any]) -> Buffer[Any]:
    return x.__copy__()


def round_decimals(x: Buffer[Any], decimals: int = 0) -> Buffer[Any]:
    """Round to ``decimals`` places, halves to the even digit; integers to tens where negative."""
    places = as_int("round", "decimals", decimals)
    if x.dtype.numpy.kind in "iu":
        if places >= 0:
            return _positive(x)
        raise DTypeError(f"round: decimals of whole numbers must be 0 or more, got {places}")
    return round_floats(x, places)


def matmul(x: Any, y: Any) -> Buffer[Any]:
    """Return the matrix product of operands in their common dtype, a float's.

    Raises `ShapeError`, and `DTypeError` for integers, which have no matrix products here.
    """
    values, _, _ = common_operands("matmul", (x, y))
    left, right = values
    if not isinstance(left, Buffer) or not isinstance(right, Buffer):
        raise ShapeError("matmul: operands must have axes, got a number; use * to scale")
    return linalg.matmul(left, right)


def contains(x: Buffer[Any], value: Any) -> Buffer[u8]:
    """Return 1 where some element equals ``value``, else 0."""
    return reductions.any(_compare("equal", x, value))


def write_result(op: str, x: Buffer[Any], other: Any) -> Buffer[Any]:
    """Write the result of an operator into ``x``, and return ``x``.

    Raises `ShapeError` where the result is larger, `DTypeError` where it is of another kind.
    """
    value = upload(x.device, other)
    if isinstance(value, Buffer):
        shape = value.shape
        if op != "matmul" and broadcast_shape(op, [x.shape, shape]) != x.shape:
            raise ShapeError(f"{op} in place: {shape} does not broadcast to {x.shape} of {x!r}")
    result: Buffer[Any] = OPERATORS[op](x, value)
    if result.shape != x.shape:
        raise ShapeError(f"{op} in place: the result {result.shape} does not fit into {x!r}")
    x.copy_from(require_same_kind(f"{op} in place", result, x))
    return x


OPERATORS: Mapping[str, Function] = {
    **{op: partial(_binary, op) for op in _OF_NUMBERS},
    **{op: partial(_compare, op) for op in _COMPARISONS},
    "absolute": arithmetic.absolute,
    "bitwise_not": _invert,
    "matmul": matmul,
    "negative": _negative,
    "positive": _positive,
    "round": round_decimals,
}
"""The functions behind the operators, by the names of `gpucore.algebra.operators`."""
