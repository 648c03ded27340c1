"""Scalar values of WGSL, and their arithmetic before a shader runs.

A value has its WGSL type. ``int`` and ``float`` are the abstract types, which become concrete when
combined with a concrete operand.
Source: WGSL specification, sections 8 (expressions) and 15.7 (floating-point evaluation).
"""

from __future__ import annotations

import math
import operator
import struct
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Final, SupportsFloat, SupportsIndex

from gpucore.integers import ceil_div
from gpucore.wgsl.errors import ConstantError

Number = int | float | bool

INTEGERS: Final = {"i32": 32, "u32": 32, "i64": 64, "u64": 64, "int": 64}
FLOATS: Final = {"f32": "<f", "f16": "<e", "f64": "<d", "float": "<d"}
_SUFFIXES: Final = {"i": "i32", "u": "u32", "f": "f32", "h": "f16"}
_LONG_SUFFIXES: Final = {"li": "i64", "lu": "u64", "lf": "f64"}


@dataclass(frozen=True, slots=True)
class Constant:
    """A scalar value with its WGSL type: ``int``/``float`` (abstract), ``u32``, ``bool`` ..."""

    type: str
    value: Number


def parse_literal(text: str) -> Constant:
    """Return the value of a literal, with the type that WGSL gives it."""
    if text in ("true", "false"):
        return Constant("bool", text == "true")
    hexadecimal = text[:2] in ("0x", "0X")
    body, type_ = text, ""
    if text[-2:] in _LONG_SUFFIXES:
        body, type_ = text[:-2], _LONG_SUFFIXES[text[-2:]]
    elif text[-1] in _SUFFIXES and not (
        hexadecimal and text[-1] == "f" and "p" not in text.lower()
    ):
        body, type_ = text[:-1], _SUFFIXES[text[-1]]
    marks = ".pP" if hexadecimal else ".eE"
    if type_ not in FLOATS and not any(mark in body for mark in marks):
        return convert(Constant("int", int(body, 16 if hexadecimal else 10)), type_ or "int")
    value = float.fromhex(body) if hexadecimal else float(body)
    return convert(Constant("float", value), type_ or "float")


def convert(constant: Constant, type_: str, explicit: bool = False) -> Constant:
    """Convert ``constant`` to ``type_``; ``explicit`` for a conversion call such as ``u32(x)``.

    Implicit conversions go from an abstract type to a type that holds the value. Raises
    ``ConstantError`` for others.
    """
    value = constant.value
    if constant.type == type_:
        allowed = True
    elif constant.type == "int":
        allowed = type_ in INTEGERS or type_ in FLOATS
    else:
        allowed = constant.type == "float" and type_ in FLOATS
    if not allowed and not explicit:
        raise ConstantError(f"a value of type {type_text(constant.type)} where {type_} is expected")
    if type_ == "bool":
        return Constant("bool", bool(value))
    if type_ in FLOATS:
        return Constant(type_, round_to(value, type_))
    if type_ not in INTEGERS:
        raise ConstantError(f"{type_} is not a numeric type")
    low, high = limits(type_)
    if isinstance(value, float):
        if math.isnan(value):
            raise ConstantError(f"not a number where {type_} is expected")
        value = max(low, min(high, int(max(-(2.0**80), min(2.0**80, value)))))
    elif explicit and constant.type != "int":
        value = _wrap(int(value), type_)
    if not low <= value <= high:
        raise ConstantError(f"{value} does not fit {type_text(type_)}")
    return Constant(type_, int(value))


def convert_override(given: object, type_: str) -> Constant:
    """Convert a host's value to an override's type. Raises ``ConstantError`` if it does not fit."""
    if isinstance(given, bool):
        constant = Constant("bool", given)
    elif isinstance(given, SupportsIndex):
        constant = Constant("int", operator.index(given))
    elif isinstance(given, SupportsFloat):
        value = float(given)
        whole = type_ in INTEGERS and value.is_integer()
        constant = Constant("int", int(value)) if whole else Constant("float", value)
    else:
        raise ConstantError(f"{given!r} is no number")
    return convert(constant, type_, explicit=type_ == "bool")


def limits(type_: str) -> tuple[int, int]:
    """Return the least and the greatest value of an integer type."""
    bits = INTEGERS[type_]
    return (0, 2**bits - 1) if type_[0] == "u" else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


def round_to(value: Number, type_: str) -> float:
    """Round ``value`` to a float type. Raises ``ConstantError`` where it is too large."""
    try:
        result: float = struct.unpack(FLOATS[type_], struct.pack(FLOATS[type_], value))[0]
    except (OverflowError, struct.error):
        raise ConstantError(f"{value} does not fit {type_text(type_)}") from None
    if not math.isfinite(result):
        raise ConstantError(f"{value} does not fit {type_text(type_)}")
    return result


def type_text(type_: str) -> str:
    """Return the name of a type in messages."""
    return {"int": "abstract integer", "float": "abstract float"}.get(type_, type_)


def _wrap(value: int, type_: str) -> int:
    """Return ``value`` modulo the range of a concrete integer type."""
    low, high = limits(type_)
    return (value - low) % (high - low + 1) + low


def _unify(left: Constant, right: Constant) -> tuple[Constant, Constant]:
    """Convert both operands to their common type; a concrete type wins over an abstract one."""
    if left.type == right.type:
        return left, right
    for one, other in ((left, right), (right, left)):
        if one.type == "int" or (one.type == "float" and other.type != "int"):
            return convert(left, other.type), convert(right, other.type)
    raise ConstantError(f"{left.type} and {right.type} cannot be combined: convert one of them")


def _divide(a: Number, b: Number) -> Number:
    if b == 0:
        raise ConstantError("division by zero")
    if isinstance(a, float) or isinstance(b, float):
        return a / b
    return ceil_div(a, b) if (a < 0) != (b < 0) else a // b


def _remainder(a: Number, b: Number) -> Number:
    if b == 0:
        raise ConstantError("remainder of a division by zero")
    if isinstance(a, float) or isinstance(b, float):
        return math.fmod(a, b)
    return a - b * int(_divide(a, b))


_ARITHMETIC: Final[Mapping[str, Callable[[Number, Number], Number]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _divide,
    "%": _remainder,
}
_COMPARE: Final[Mapping[str, Callable[[Number, Number], bool]]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}
_LOGIC: Final[Mapping[str, Callable[[int, int], int]]] = {
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}


def combine(symbol: str, left: Constant, right: Constant) -> Constant:
    """Evaluate ``left symbol right`` for every binary operator except ``&&`` and ``||``."""
    if symbol in ("<<", ">>"):
        return _shift(symbol, left, right)
    left, right = _unify(left, right)
    a, b, type_ = left.value, right.value, left.type
    if symbol in _COMPARE:
        if type_ == "bool" and symbol not in ("==", "!="):
            raise ConstantError(f"'{symbol}' does not order bools")
        return Constant("bool", _COMPARE[symbol](a, b))
    if symbol in _LOGIC:
        if type_ in FLOATS:
            raise ConstantError(f"'{symbol}' does not work on {type_text(type_)}")
        value = _LOGIC[symbol](int(a), int(b))
        return Constant("bool", bool(value)) if type_ == "bool" else Constant(type_, value)
    if type_ == "bool":
        raise ConstantError(f"'{symbol}' does not work on bool")
    return fit_value(_ARITHMETIC[symbol](a, b), type_)


def fit_value(value: Number, type_: str) -> Constant:
    """Return a result of arithmetic: concrete integers wrap, other types must hold it."""
    if type_ in FLOATS:
        return Constant(type_, round_to(value, type_))
    if type_ == "int":
        return convert(Constant("int", value), "int")
    return Constant(type_, _wrap(int(value), type_))


def _shift(symbol: str, left: Constant, right: Constant) -> Constant:
    if left.type not in INTEGERS:
        raise ConstantError(f"'{symbol}' does not work on {type_text(left.type)}")
    count = int(convert(right, "u32").value)
    if count >= INTEGERS[left.type]:
        raise ConstantError(
            f"shift by {count} bits, {type_text(left.type)} has {INTEGERS[left.type]}"
        )
    value = int(left.value)
    return fit_value(value << count if symbol == "<<" else value >> count, left.type)


def _unify_all(arguments: list[Constant]) -> list[Constant]:
    """Convert all arguments to their common type."""
    result = list(arguments)
    for i in range(1, len(result)):
        result[0], result[i] = _unify(result[0], result[i])
    return [_unify(result[0], one)[1] for one in result]


_ROUNDING: Final[Mapping[str, Callable[[float], float]]] = {
    "ceil": lambda x: float(math.ceil(x)),
    "floor": lambda x: float(math.floor(x)),
    "round": lambda x: float(round(x)),
    "trunc": lambda x: float(math.trunc(x)),
    "sqrt": math.sqrt,
    "exp": math.exp,
    "exp2": lambda x: 2.0**x,
    "log": math.log,
    "log2": math.log2,
}
_CHOICES: Final[Mapping[str, tuple[int, Callable[..., Number]]]] = {
    "abs": (1, abs),
    "sign": (1, lambda x: (x > 0) - (x < 0)),
    "min": (2, min),
    "max": (2, max),
    "clamp": (3, lambda x, low, high: min(max(x, low), high)),
}
_CALLABLE: Final = frozenset({*_ROUNDING, *_CHOICES, "pow", "select"})


def call_built_in(name: str, arguments: list[Constant]) -> Constant:
    """Call a built-in function of constants. Raises ``ConstantError`` for an unknown one."""
    if name in _ROUNDING and len(arguments) == 1:
        (x,) = arguments
        x = convert(x, "float") if x.type == "int" else x
        if x.type not in FLOATS:
            raise ConstantError(f"{name} does not work on {type_text(x.type)}")
        return fit_value(_ROUNDING[name](float(x.value)), x.type)
    if name in _CHOICES and len(arguments) == _CHOICES[name][0]:
        common = _unify_all(arguments)
        if common[0].type == "bool":
            raise ConstantError(f"{name} does not work on bool")
        return fit_value(_CHOICES[name][1](*(c.value for c in common)), common[0].type)
    if name == "pow" and len(arguments) == 2:
        x, y = (convert(c, "float") if c.type == "int" else c for c in _unify_all(arguments))
        return fit_value(math.pow(x.value, y.value), x.type)
    if name == "select" and len(arguments) == 3:
        no, yes = _unify(arguments[0], arguments[1])
        return yes if convert(arguments[2], "bool").value else no
    if name in _CALLABLE:
        raise ConstantError(f"{name} does not take {len(arguments)} arguments")
    raise ConstantError(f"the value of {name}(...) is not known before the shader runs")
