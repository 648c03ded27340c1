"""The operators of Python on values of the GPU: what types they take, and what they mean.

Integers follow WGSL: 32 bits that wrap, ``//`` rounds toward zero, ``%`` has the sign of its left
side. Nothing is converted but literals.
"""

from __future__ import annotations

import ast
import math
import operator
from collections.abc import Callable, Mapping
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.errors import KernelTypeError, Place
from gpucore.compiler.flexible import (
    AnyType,
    Flexible,
    describe_type,
    is_bool,
    is_float,
    is_integer,
    is_number,
    meet,
    seen,
    with_element,
)
from gpucore.wgsl.types.kinds import BOOL, F32, I32, U32, Matrix, Scalar, Vector, scalar_of

__all__ = ["COMPARISONS", "OPERATORS", "binary", "compare", "constant", "logical_not", "negate"]

OPERATORS: Final[Mapping[type[ast.operator], str]] = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.LShift: "<<",
    ast.RShift: ">>",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
    ast.MatMult: "@",
}
COMPARISONS: Final[Mapping[type[ast.cmpop], str]] = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
}
_MOST_FACTORS: Final = 8  # a power up to this is a product
_LONGEST: Final = 2**64  # literals beyond this fit nothing


def _floor_divide(a: float, b: float) -> float:
    if isinstance(a, int) and isinstance(b, int):
        return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)
    return math.floor(a / b)


def _remainder(a: float, b: float) -> float:
    if isinstance(a, int) and isinstance(b, int):
        return int(a - b * _floor_divide(a, b))
    return math.fmod(a, b)


_FOLD: Final[Mapping[str, Callable[[int, int], object]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "//": _floor_divide,
    "%": _remainder,
    "<<": operator.lshift,
    ">>": operator.rshift,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "==": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def constant(value: float, place: Place) -> ir.Constant:
    """Return a literal."""
    if isinstance(value, bool):
        return ir.Constant(BOOL, place, value)
    return ir.Constant(Flexible(isinstance(value, float), literal=True), place, value)


def literal_of(value: ir.Expression) -> int | float | None:
    """Return the number of a literal whose type is open; None for anything else."""
    kind = seen(value.type)
    open_ = isinstance(kind, Flexible) and kind.literal
    return value.value if isinstance(value, ir.Constant) and open_ else None


def binary(symbol: str, left: ir.Expression, right: ir.Expression, place: Place) -> ir.Expression:
    """Return ``left symbol right``. Raises `KernelTypeError`."""
    one, other = literal_of(left), literal_of(right)
    if one is not None and other is not None:
        return _fold(symbol, one, other, place)
    if symbol == "**":
        return _power(left, right, place)
    if symbol == "@":
        return _matrix_product(left, right, place)
    if symbol in ("<<", ">>"):
        return _shift(symbol, left, right, place)
    if symbol in "&|^" and is_bool(left.type) and is_bool(right.type):
        if symbol == "^":
            return ir.Binary(BOOL, place, "!=", left, right)
        return ir.Binary(BOOL, place, symbol, left, right)
    _require_no_zero(symbol, right, place)
    type_ = _common_type(symbol, left, right, place)
    return _arithmetic(symbol, type_, left, right, place)


def _fold(symbol: str, left: float, right: float, place: Place) -> ir.Expression:
    """Return the literal of two literals."""
    try:
        if symbol == "**":
            if abs(right) > 1024:
                raise KernelTypeError(f"the exponent {right} is too large", place)
            power = left**right
            if not isinstance(power, int | float):
                raise KernelTypeError(f"{left} ** {right} is no real number", place)
            return constant(power, place)
        if symbol in ("<<", ">>") and not 0 <= right < 64:
            raise KernelTypeError(f"a shift must be by 0 to 31 bits, got {right}", place)
        return constant(_FOLD[symbol](left, right), place)  # type: ignore[arg-type]
    except ZeroDivisionError:
        raise KernelTypeError("division by zero", place) from None
    except OverflowError:
        raise KernelTypeError(f"{left} {symbol} {right} is too large a number", place) from None
    except TypeError:
        raise KernelTypeError(f"{symbol} takes integers, got {left} and {right}", place) from None


def _require_no_zero(symbol: str, right: ir.Expression, place: Place) -> None:
    if symbol in ("/", "//", "%") and isinstance(right, ir.Constant) and right.value == 0:
        raise KernelTypeError("division by zero: the divisor is the literal 0", place)


def _common_type(symbol: str, left: ir.Expression, right: ir.Expression, place: Place) -> AnyType:
    """Return the type of an arithmetic result. Raises `KernelTypeError`."""
    for side in (left, right):
        if not is_number(side.type):
            raise KernelTypeError(
                f"{symbol} takes numbers, got {describe_type(side.type)}"
                + (": use and, or, not" if is_bool(side.type) else ""),
                side.place,
            )
    shaped = _shaped_type(symbol, left, right)
    if shaped is not None:
        return shaped
    type_ = meet(left.type, right.type)
    if type_ is None:
        raise KernelTypeError(_mismatch(symbol, left.type, right.type), place)
    return type_


def _shaped_type(symbol: str, left: ir.Expression, right: ir.Expression) -> AnyType | None:
    """Return the type of a vector with a number, a matrix with a number, or with a vector."""
    one, other = seen(left.type), seen(right.type)
    for shaped, plain in ((one, other), (other, one)):
        number = isinstance(plain, Scalar | Flexible)
        if not isinstance(shaped, Vector | Matrix) or not number:
            continue
        if isinstance(shaped, Matrix) and symbol != "*":
            return None
        return shaped if meet(shaped.scalar, plain) is not None else None
    return None


def _mismatch(symbol: str, left: AnyType, right: AnyType) -> str:
    one, other = describe_type(left), describe_type(right)
    advice = "convert one of them"
    scalars = scalar_of(left) if not isinstance(seen(left), Flexible) else None  # type: ignore[arg-type]
    if scalars is not None and isinstance(seen(right), Scalar | Flexible):
        target = next((t for t in (left, right) if is_float(t)), left)
        name = describe_type(target)
        name = "f32" if name.startswith("a ") else "i32" if name.startswith("an ") else name
        advice = f"convert one of them, as {name}(...)"
    return f"{one} {symbol} {other}: both sides must have one type: {advice}"


def _arithmetic(
    symbol: str, type_: AnyType, left: ir.Expression, right: ir.Expression, place: Place
) -> ir.Expression:
    if symbol in "&|^" and not is_integer(type_):
        raise KernelTypeError(f"{symbol} takes integers, got {describe_type(type_)}", place)
    if symbol == "/" and is_integer(type_):
        raise KernelTypeError(
            "/ takes floats: write // for the quotient of integers, or convert both, as f32(a) / "
            "f32(b)",
            place,
        )
    if symbol == "//":
        quotient = ir.Binary(type_, place, "/", left, right)
        if is_float(type_):
            return ir.Call(type_, place, "floor", (quotient,))
        return quotient
    return ir.Binary(type_, place, symbol, left, right)


def _shift(symbol: str, left: ir.Expression, right: ir.Expression, place: Place) -> ir.Expression:
    for side in (left, right):
        if not is_integer(side.type):
            raise KernelTypeError(
                f"{symbol} takes integers, got {describe_type(side.type)}", side.place
            )
    count = literal_of(right)
    if count is not None and not 0 <= count < 32:
        raise KernelTypeError(f"a shift must be by 0 to 31 bits, got {count}", right.place)
    if isinstance(seen(left.type), Flexible) and literal_of(left) is not None:
        meet(left.type, right.type)
    amount = right
    unsigned = with_element(left.type, U32)
    if seen(right.type) != unsigned:
        if count is None or isinstance(seen(left.type), Vector):
            amount = ir.Convert(unsigned, right.place, right)
        else:
            meet(right.type, U32)
    return ir.Binary(left.type, place, symbol, left, amount)


def _power(base: ir.Expression, exponent: ir.Expression, place: Place) -> ir.Expression:
    count = literal_of(exponent)
    if isinstance(count, int) and 1 <= count <= _MOST_FACTORS and is_number(base.type):
        return _product_of_equals(base, count, place)
    type_ = _common_type("**", base, exponent, place)
    if is_integer(type_):
        raise KernelTypeError(
            "** of integers takes an exponent from 1 to 8 that is a literal; write a loop, or "
            "convert both to f32",
            place,
        )
    return ir.Call(type_, place, "pow", (base, exponent))


def _product_of_equals(base: ir.Expression, count: int, place: Place) -> ir.Expression:
    """Return a product of ``count`` equal factors, with few multiplications."""
    if count == 1:
        return base
    half = _product_of_equals(base, count // 2, place)
    square = ir.Binary(base.type, place, "*", half, half)
    return ir.Binary(base.type, place, "*", square, base) if count % 2 else square


def _matrix_product(left: ir.Expression, right: ir.Expression, place: Place) -> ir.Expression:
    """Return a product of matrices, of a matrix and a vector, or the dot product of vectors."""
    one, other = seen(left.type), seen(right.type)
    match one, other:
        case Matrix(columns=inner), Matrix(rows=rows) if inner == rows:
            if one.scalar == other.scalar:
                type_ = Matrix(other.columns, one.rows, one.scalar)
                return ir.Binary(type_, place, "*", left, right)
        case Matrix(columns=inner), Vector(count=count) if inner == count:
            if one.scalar == other.scalar:
                return ir.Binary(Vector(one.rows, one.scalar), place, "*", left, right)
        case Vector(count=count), Matrix(rows=rows) if count == rows:
            if one.scalar == other.scalar:
                return ir.Binary(Vector(other.columns, one.scalar), place, "*", left, right)
        case Vector(), Vector() if one == other:
            return ir.Call(one.scalar, place, "dot", (left, right))
    raise KernelTypeError(
        f"{describe_type(one)} @ {describe_type(other)}: @ takes matrices and vectors that fit",
        place,
    )


def compare(symbol: str, left: ir.Expression, right: ir.Expression, place: Place) -> ir.Expression:
    """Return ``left symbol right``, a bool. Raises `KernelTypeError`."""
    one, other = literal_of(left), literal_of(right)
    if one is not None and other is not None:
        return _fold(symbol, one, other, place)
    if is_bool(left.type) and is_bool(right.type) and symbol in ("==", "!="):
        return ir.Binary(BOOL, place, symbol, left, right)
    type_ = _common_type(symbol, left, right, place)
    _require_open_question(symbol, left, right, place)
    return ir.Binary(with_element(type_, BOOL), place, symbol, left, right)


def _require_open_question(
    symbol: str, left: ir.Expression, right: ir.Expression, place: Place
) -> None:
    """Raise `KernelTypeError` where an unsigned number is compared with 0 in vain."""
    pairs = ((left, right, ("<", ">=")), (right, left, (">", "<=")))
    for number, zero, symbols in pairs:
        known = isinstance(zero, ir.Constant) and zero.value == 0 and symbol in symbols
        if known and seen(number.type) == U32 and not isinstance(number, ir.Constant):
            outcome = "never" if symbol in "<>" else "always"
            raise KernelTypeError(
                f"this is {outcome} true: the number is u32, which has no negative values; "
                "convert it, as i32(...), before you subtract",
                place,
            )


def negate(value: ir.Expression, place: Place) -> ir.Expression:
    """Return ``-value``. Raises `KernelTypeError`."""
    number = literal_of(value)
    if number is not None:
        return constant(-number, place)
    if not is_number(value.type):
        raise KernelTypeError(f"- takes a number, got {describe_type(value.type)}", place)
    return ir.Unary(value.type, place, "-", value)


def invert(value: ir.Expression, place: Place) -> ir.Expression:
    """Return ``~value``: all bits inverted. Raises `KernelTypeError`."""
    number = literal_of(value)
    if isinstance(number, int):
        return constant(~number, place)
    if is_bool(value.type):
        raise KernelTypeError("~ takes an integer, got bool: write not", place)
    if not is_integer(value.type):
        raise KernelTypeError(f"~ takes an integer, got {describe_type(value.type)}", place)
    return ir.Unary(value.type, place, "~", value)


def logical_not(value: ir.Expression, place: Place) -> ir.Expression:
    """Return ``not value`` of a condition."""
    if isinstance(value, ir.Constant):
        return ir.Constant(BOOL, place, not value.value)
    return ir.Unary(BOOL, place, "!", value)


def convert(value: ir.Expression, type_: Scalar, place: Place) -> ir.Expression:
    """Return ``f32(value)`` and the like. Raises `KernelTypeError`."""
    if seen(value.type) == type_:
        return value
    number = literal_of(value)
    if number is not None and type_ != BOOL:
        return _convert_literal(number, type_, place)
    if not isinstance(seen(value.type), Scalar | Flexible):
        raise KernelTypeError(
            f"{describe_type(type_)}(...) takes a number, got {describe_type(value.type)}", place
        )
    return ir.Convert(type_, place, value)


def _convert_literal(number: float, type_: Scalar, place: Place) -> ir.Expression:
    if type_ in (I32, U32):
        if not math.isfinite(number):
            raise KernelTypeError(f"{number} does not fit {describe_type(type_)}", place)
        return ir.Constant(type_, place, int(number))
    return ir.Constant(type_ if type_ != F32 else F32, place, float(number))
