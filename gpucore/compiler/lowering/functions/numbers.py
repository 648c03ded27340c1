"""The functions of numbers that kernels call, in WGSL's words."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.errors import KernelTypeError, Place
from gpucore.compiler.flexible import (
    Flexible,
    describe_type,
    is_bool,
    is_float,
    is_integer,
    is_number,
    meet,
    seen,
)
from gpucore.compiler.lowering.operators import binary, constant, literal_of
from gpucore.wgsl.types.kinds import BOOL, Vector

__all__ = ["FUNCTIONS", "call_function"]


@dataclass(frozen=True, slots=True)
class _Function:
    """A function of WGSL: its name, how many arguments it takes, and of which numbers."""

    wgsl: str
    least: int
    most: int
    takes: str
    value: Callable[..., float] | None = None


def _round(x: float) -> float:
    return float(round(x))


_FLOATS: Final = {
    "sin": math.sin,
    "cos": math.cos,
    "tan": math.tan,
    "asin": math.asin,
    "acos": math.acos,
    "atan": math.atan,
    "sinh": math.sinh,
    "cosh": math.cosh,
    "tanh": math.tanh,
    "asinh": math.asinh,
    "acosh": math.acosh,
    "atanh": math.atanh,
    "exp": math.exp,
    "exp2": lambda x: 2.0**x,
    "log": math.log,
    "log2": math.log2,
    "sqrt": math.sqrt,
    "floor": lambda x: float(math.floor(x)),
    "ceil": lambda x: float(math.ceil(x)),
    "trunc": lambda x: float(math.trunc(x)),
    "round": _round,
    "degrees": math.degrees,
    "radians": math.radians,
}

FUNCTIONS: Final[Mapping[str, _Function]] = {
    **{name: _Function(name, 1, 1, "float", value) for name, value in _FLOATS.items()},
    "rsqrt": _Function("inverseSqrt", 1, 1, "float"),
    "fract": _Function("fract", 1, 1, "float"),
    "abs": _Function("abs", 1, 1, "number", abs),
    "sign": _Function("sign", 1, 1, "number"),
    "atan2": _Function("atan2", 2, 2, "float", math.atan2),
    "pow": _Function("pow", 2, 2, "float", math.pow),
    "step": _Function("step", 2, 2, "float"),
    "fma": _Function("fma", 3, 3, "float"),
    "mix": _Function("mix", 3, 3, "float"),
    "smoothstep": _Function("smoothstep", 3, 3, "float"),
    "clamp": _Function("clamp", 3, 3, "number"),
    "min": _Function("min", 2, 64, "number", min),
    "max": _Function("max", 2, 64, "number", max),
    "count_ones": _Function("countOneBits", 1, 1, "integer"),
    "leading_zeros": _Function("countLeadingZeros", 1, 1, "integer"),
    "trailing_zeros": _Function("countTrailingZeros", 1, 1, "integer"),
    "reverse_bits": _Function("reverseBits", 1, 1, "integer"),
}
_CHECKS: Final = {"float": is_float, "number": is_number, "integer": is_integer}


def call_function(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    """Return a call of a function of numbers. Raises `KernelTypeError`."""
    if name in _COMPOSED:
        return _COMPOSED[name](name, arguments, place)
    function = FUNCTIONS[name]
    _require_count(name, arguments, function.least, function.most, place)
    numbers = [literal_of(each) for each in arguments]
    if function.value is not None and None not in numbers:
        return _fold_call(name, function, numbers, place)
    for each in arguments:
        if function.takes == "float" and literal_of(each) is not None:
            meet(each.type, Flexible(is_float=True, literal=True))
        elif not _CHECKS[function.takes](each.type):
            advice = ": convert it, as f32(...)" if is_integer(each.type) else ""
            raise KernelTypeError(
                f"{name} takes {function.takes}s, got {describe_type(each.type)}{advice}",
                each.place,
            )
    result = arguments[0]
    for each in arguments[1:]:
        result = _call_of_two(name, function, result, each, place)
    if len(arguments) > 2 and name not in ("min", "max"):
        return ir.Call(result.type, place, function.wgsl, tuple(arguments))
    if len(arguments) == 1:
        return ir.Call(result.type, place, function.wgsl, tuple(arguments))
    return result


def _call_of_two(
    name: str, function: _Function, left: ir.Expression, right: ir.Expression, place: Place
) -> ir.Expression:
    """Return a call of two arguments, whose types must be one."""
    type_ = meet(left.type, right.type)
    if type_ is None:
        raise KernelTypeError(
            f"{name} takes numbers of one type, got {describe_type(left.type)} and "
            f"{describe_type(right.type)}: convert one of them",
            place,
        )
    return ir.Call(type_, place, function.wgsl, (left, right))


def _fold_call(
    name: str, function: _Function, numbers: list[int | float | None], place: Place
) -> ir.Expression:
    """Return the literal that a function of literals gives."""
    assert function.value is not None
    try:
        value = function.value(*numbers)
    except (ValueError, OverflowError, ZeroDivisionError) as error:
        raise KernelTypeError(f"{name}: {error}", place) from None
    return constant(float(value) if function.takes == "float" else value, place)


def _require_count(
    name: str, arguments: list[ir.Expression], least: int, most: int, place: Place
) -> None:
    if not least <= len(arguments) <= most:
        count = str(least) if least == most else f"{least} or more"
        noun = "argument" if count == "1" else "arguments"
        raise KernelTypeError(f"{name} takes {count} {noun}, got {len(arguments)}", place)


def _log10(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    (x,) = _exactly(name, arguments, 1, place)
    return binary("*", call_function("log", [x], place), constant(1 / math.log(10), place), place)


def _fmod(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    x, y = _exactly(name, arguments, 2, place)
    return binary("%", x, y, place)


def _square(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    (x,) = _exactly(name, arguments, 1, place)
    return binary("*", x, x, place)


def _reciprocal(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    (x,) = _exactly(name, arguments, 1, place)
    return binary("/", constant(1.0, place), x, place)


def _where(name: str, arguments: list[ir.Expression], place: Place) -> ir.Expression:
    condition, yes, no = _exactly(name, arguments, 3, place)
    kind = seen(condition.type)
    if not is_bool(kind) and not (isinstance(kind, Vector) and kind.scalar == BOOL):
        raise KernelTypeError(
            f"{name} takes a bool first, got {describe_type(kind)}: write a comparison",
            condition.place,
        )
    type_ = meet(yes.type, no.type)
    if type_ is None:
        raise KernelTypeError(
            f"{name}: both values must have one type, got {describe_type(yes.type)} and "
            f"{describe_type(no.type)}: convert one of them",
            place,
        )
    return ir.Call(type_, place, "select", (no, yes, condition))


def _exactly(
    name: str, arguments: list[ir.Expression], count: int, place: Place
) -> list[ir.Expression]:
    _require_count(name, arguments, count, count, place)
    return arguments


_COMPOSED: Final[Mapping[str, Callable[[str, list[ir.Expression], Place], ir.Expression]]] = {
    "log10": _log10,
    "fmod": _fmod,
    "square": _square,
    "reciprocal": _reciprocal,
    "where": _where,
}
