"""Functions of `math` and NumPy that WGSL does not have, made of those that it has.

Their arguments are written several times, so a caller gives variables and literals.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.errors import KernelTypeError, Place
from gpucore.compiler.flexible import (
    describe_type,
    is_bool,
    is_float,
    is_integer,
    meet,
    seen,
)
from gpucore.compiler.lowering.functions.numbers import call_function
from gpucore.compiler.lowering.operators import (
    binary,
    compare,
    constant,
    convert,
    invert,
    logical_not,
    negate,
)
from gpucore.wgsl.types.kinds import F32, U32, Scalar

__all__ = ["COMPOSED", "call_composed"]

_OPERATORS: Final = {
    "add": "+",
    "subtract": "-",
    "multiply": "*",
    "divide": "/",
    "bitwise_and": "&",
    "bitwise_or": "|",
    "bitwise_xor": "^",
    "left_shift": "<<",
    "right_shift": ">>",
}
_TRUTHS: Final = {"logical_and": "&", "logical_or": "|", "logical_xor": "^"}
_SMALL: Final = 0.25  # below, a series is more exact than the difference of two numbers


def call_composed(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    """Return the value of a function by its name. Raises `KernelTypeError`."""
    count, function = COMPOSED[name]
    if len(arguments) != count:
        noun = "argument" if count == 1 else "arguments"
        raise KernelTypeError(f"{name} takes {count} {noun}, got {len(arguments)}", place)
    return function(name, arguments, place)


def _operator(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    return binary(_OPERATORS[name], arguments[0], arguments[1], place)


def _truth(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    for each in arguments:
        if not is_bool(each.type):
            raise KernelTypeError(
                f"{name} takes bools, got {describe_type(each.type)}: write a comparison",
                each.place,
            )
    if name == "logical_not":
        return logical_not(arguments[0], place)
    return binary(_TRUTHS[name], arguments[0], arguments[1], place)


def _negative(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    return negate(arguments[0], place)


def _invert(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    return invert(arguments[0], place)


def _bits(name: str, value: ir.Expression, place: Place) -> ir.Expression:
    """Return the bits of a float as u32. Raises `KernelTypeError`."""
    if meet(F32, value.type) is None:
        if not is_float(value.type) or not isinstance(seen(value.type), Scalar):
            raise KernelTypeError(
                f"{name} takes a float, got {describe_type(value.type)}", value.place
            )
        value = convert(value, F32, place)
    return ir.Convert(U32, place, value, bits=True)


def _kind(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    """Return whether the bits of a float are those of NaN, infinity, or a number."""
    bits = _bits(name, arguments[0], place)
    size = binary("&", bits, constant(0x7FFFFFFF, place), place)
    symbol = {"isnan": ">", "isinf": "==", "isfinite": "<"}[name]
    return compare(symbol, size, constant(0x7F800000, place), place)


def _copysign(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    size = call_function("abs", arguments[:1], place)
    sign = binary("&", _bits(name, arguments[1], place), constant(0x80000000, place), place)
    below = compare("!=", sign, constant(0, place), place)
    return call_function("where", [below, negate(size, place), size], place)


def _cbrt(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    (x,) = arguments
    size = call_function("abs", [x], place)
    root = call_function("pow", [size, constant(1 / 3, place)], place)
    return binary("*", call_function("sign", [x], place), root, place)


def _series(x: ir.Expression, factors: list[float], place: Place) -> ir.Expression:
    """Return ``factors[0] + x * (factors[1] + x * ...)``."""
    result: ir.Expression = constant(factors[-1], place)
    for factor in reversed(factors[:-1]):
        result = binary("+", constant(factor, place), binary("*", x, result, place), place)
    return result


def _if_small(
    x: ir.Expression, small: ir.Expression, other: ir.Expression, place: Place
) -> ir.Expression:
    size = call_function("abs", [x], place)
    return call_function(
        "where", [compare("<", size, constant(_SMALL, place), place), small, other], place
    )


def _expm1(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    (x,) = arguments
    whole = binary("-", call_function("exp", [x], place), constant(1.0, place), place)
    factors = [1.0, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040]
    return _if_small(x, binary("*", x, _series(x, factors, place), place), whole, place)


def _log1p(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    """Return log(1 + x): for a small x twice the inverse hyperbolic tangent of x / (2 + x)."""
    (x,) = arguments
    whole = call_function("log", [binary("+", constant(1.0, place), x, place)], place)
    ratio = binary("/", x, binary("+", constant(2.0, place), x, place), place)
    square = binary("*", ratio, ratio, place)
    odd = _series(square, [2.0, 2 / 3, 2 / 5, 2 / 7, 2 / 9], place)
    return _if_small(x, binary("*", ratio, odd, place), whole, place)


def _mod(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    """Return the remainder of Python and NumPy, which has the sign of the right side."""
    number, divisor = arguments
    rest = binary("%", number, divisor, place)
    if seen(rest.type) == U32:
        return rest
    zero = constant(0, place)
    signs = binary("^", compare("<", rest, zero, place), compare("<", divisor, zero, place), place)
    other = binary("&", compare("!=", rest, zero, place), signs, place)
    return call_function("where", [other, binary("+", rest, divisor, place), rest], place)


def _floor_divide(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    """Return the quotient of Python and NumPy, which is rounded down."""
    number, divisor = arguments
    if not is_integer(number.type):
        return binary("//", number, divisor, place)
    return binary("//", binary("-", number, _mod(name, arguments, place), place), divisor, place)


_Make = Callable[[str, list[ir.Expression], Place], ir.Expression]
COMPOSED: Final[Mapping[str, tuple[int, _Make]]] = {
    **dict.fromkeys(_OPERATORS, (2, _operator)),
    **dict.fromkeys(_TRUTHS, (2, _truth)),
    **dict.fromkeys(("isnan", "isinf", "isfinite"), (1, _kind)),
    "logical_not": (1, _truth),
    "negative": (1, _negative),
    "invert": (1, _invert),
    "copysign": (2, _copysign),
    "cbrt": (1, _cbrt),
    "expm1": (1, _expm1),
    "log1p": (1, _log1p),
    "mod": (2, _mod),
    "floor_divide": (2, _floor_divide),
}
"""The functions by name, with the number of their arguments."""
