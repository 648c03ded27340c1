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
_COMPARISONS: Final = {
    "equal": "==",
    "not_equal": "!=",
    "less": "<",
    "less_equal": "<=",
    "greater": ">",
    "greater_equal": ">=",
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


def _comparison(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    return compare(_COMPARISONS[name], arguments[0], arguments[1], place)


def _positive(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    return arguments[0]


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
    other = _is_beyond(rest, divisor, place)
    return call_function("where", [other, binary("+", rest, divisor, place), rest], place)


def _is_beyond(rest: ir.Expression, divisor: ir.Expression, place: Place) -> ir.Expression:
    """Return whether a remainder has the other sign than its divisor."""
    zero = constant(0, place)
    signs = binary("^", compare("<", rest, zero, place), compare("<", divisor, zero, place), place)
    return binary("&", compare("!=", rest, zero, place), signs, place)


def _floor_divide(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    """Return the quotient of Python and NumPy, which is rounded down."""
    number, divisor = arguments
    quotient = binary("//", number, divisor, place)
    if not is_integer(number.type) or seen(quotient.type) == U32:
        return quotient
    other = _is_beyond(binary("%", number, divisor, place), divisor, place)
    less = binary("-", quotient, constant(1, place), place)
    return call_function("where", [other, less, quotient], place)


_Make = Callable[[str, list[ir.Expression], Place], ir.Expression]
COMPOSED: Final[Mapping[str, tuple[int, _Make]]] = {
    **dict.fromkeys(_OPERATORS, (2, _operator)),
    **dict.fromkeys(_COMPARISONS, (2, _comparison)),
    **dict.fromkeys(_TRUTHS, (2, _truth)),
    **dict.fromkeys(("isnan", "isinf", "isfinite"), (1, _kind)),
    "logical_not": (1, _truth),
    "positive": (1, _positive),
    "negative": (1, _negative),
    "invert": (1, _invert),
    "copysign": (2, _copysign),
    "log1p": (1, _log1p),
    "mod": (2, _mod),
    "floor_divide": (2, _floor_divide),
}
"""The functions by name, with the number of their arguments."""
