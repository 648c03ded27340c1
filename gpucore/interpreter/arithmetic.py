"""WGSL's operators and conversions on arrays, with the faults that GPUs do not report.

u32 wraps, as WGSL says, and is never reported; so do bitcasts and conversions between i32 and u32.
Source: WGSL specification, sections 8.7 (arithmetic) and 15.7 (floating point).
"""

from __future__ import annotations

import operator
from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gpucore.interpreter.lanes import Lanes
from gpucore.interpreter.values import DTYPES, Data
from gpucore.wgsl.types.kinds import Matrix, Scalar, Type, Vector, scalar_of

__all__ = ["Operation", "binary", "convert", "negate", "report_nan"]

Operation = Callable[[Lanes, Data, Data, int], Any]

_I32: Final = np.iinfo(np.int32)
_COMPARE: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "<": operator.lt,
    ">": operator.gt,
    "<=": operator.le,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
}
_WRAPPING: Final[dict[str, Callable[[Any, Any], Any]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
}


def binary(symbol: str, left: Type, right: Type) -> Operation:
    """Return the operation of a binary operator, but for ``&&`` and ``||``."""
    if isinstance(left, Matrix) or isinstance(right, Matrix):
        return _with_matrix(symbol, left, right)
    if symbol in _COMPARE:
        return _plain(_COMPARE[symbol])
    if symbol in ("<<", ">>"):
        return _shift(symbol)
    name = getattr(scalar_of(left), "name", "")
    if name == "i32" and symbol in _WRAPPING:
        return _wrapping(symbol)
    if symbol in _WRAPPING:
        return _plain(_WRAPPING[symbol])
    if name in ("i32", "u32"):
        return _divide_integers(symbol, name == "i32")
    return _divide_floats(symbol)


def _plain(function: Callable[[Any, Any], Any]) -> Operation:
    return lambda lanes, a, b, at: function(a, b)


def _wrapping(symbol: str) -> Operation:
    function = _WRAPPING[symbol]

    def run(lanes: Lanes, a: Data, b: Data, at: int) -> Any:
        result: Data = function(a, b)
        if symbol == "+":
            wrong = ((a ^ result) & (b ^ result)) < 0
        elif symbol == "-":
            wrong = ((a ^ b) & (a ^ result)) < 0
        else:
            wrong = a.astype(np.int64) * b != result
        if wrong.any():
            report_overflow(lanes, at, wrong, f"{{a}} {symbol} {{b}}", a=a, b=b)
        return result

    return run


def report_overflow(lanes: Lanes, at: int, wrong: Data, text: str, **values: Data) -> None:
    """Note results that i32 does not hold."""
    lanes.report("overflow", at, wrong, f"{text} does not fit i32, and wraps", **values)


def _shift(symbol: str) -> Operation:
    def run(lanes: Lanes, a: Data, b: Data, at: int) -> Any:
        wrong = b > 31
        if wrong.any():
            lanes.report(
                "shift", at, wrong, f"{{a}} {symbol} {{b}} shifts 32 bits by {{b}}", a=a, b=b
            )
            b = b & np.uint32(31)
        count = b.astype(a.dtype)
        return a << count if symbol == "<<" else a >> count

    return run


def _divide_integers(symbol: str, is_signed: bool) -> Operation:
    def run(lanes: Lanes, a: Data, b: Data, at: int) -> Any:
        wrong = b == 0
        if wrong.any():
            lanes.report("division", at, wrong, f"{{a}} {symbol} 0", a=a)
            b = np.where(wrong, np.ones_like(b), b)
        if not is_signed:
            quotient = a // b
        else:
            wraps = (a == _I32.min) & (b == -1)
            if wraps.any():
                report_overflow(lanes, at, wraps, f"{{a}} {symbol} -1", a=a)
                b = np.where(wraps, np.ones_like(b), b)
            quotient = (a - np.fmod(a, b)) // b
        if symbol == "/":
            return quotient
        return a - quotient * b

    return run


def _divide_floats(symbol: str) -> Operation:
    def run(lanes: Lanes, a: Data, b: Data, at: int) -> Any:
        wrong = (b == 0) & np.isfinite(a)
        if wrong.any():
            lanes.suspect("division", at, wrong, f"{{a}} {symbol} {{b}}", a=a, b=b)
        result: Data = a / b if symbol == "/" else np.fmod(a, b)
        return result

    return run


def report_nan(lanes: Lanes, at: int, name: str, result: Data, *arguments: Data) -> None:
    """Note NaN that a function makes of finite numbers."""
    wrong = np.isnan(result)
    if not wrong.any():
        return
    for each in arguments:
        finite = np.isfinite(each)
        is_wider = each.ndim > wrong.ndim
        wrong = wrong & (np.all(finite, axis=0) if is_wider else finite)
    given = {f"x{i}": each for i, each in enumerate(arguments) if each.ndim <= wrong.ndim}
    shown = ", ".join(f"{{{key}}}" for key in given) or "..."
    lanes.suspect("nan", at, wrong, f"{name}({shown}) is not a number", **given)


def negate(lanes: Lanes, a: Data, at: int) -> Data:
    """Return ``-a``."""
    if a.dtype == np.int32:
        wrong = a == _I32.min
        if wrong.any():
            report_overflow(lanes, at, wrong, "-({a})", a=a)
    result: Data = -a
    return result


def convert(lanes: Lanes, value: Data, target: str, at: int) -> Any:
    """Return numbers or bools as another scalar type, as ``u32(x)`` does."""
    dtype = DTYPES[target]
    if value.dtype == dtype:
        return value
    if target == "bool":
        return value != 0
    if target in ("i32", "u32") and value.dtype.kind == "f":
        limits = np.iinfo(dtype)
        whole = np.trunc(value.astype(np.float64))
        wrong = ~((whole >= limits.min) & (whole <= limits.max))
        if wrong.any():
            message = f"{target}({{x}}) does not hold the number"
            lanes.report("conversion", at, wrong, message, x=value)
        return np.clip(np.nan_to_num(whole), limits.min, limits.max).astype(dtype)
    return value.astype(dtype)


# Matrices


def _with_matrix(symbol: str, left: Type, right: Type) -> Operation:
    if symbol in ("+", "-") or isinstance(left, Scalar) or isinstance(right, Scalar):
        return _plain(_WRAPPING[symbol])
    match left, right:
        case Matrix(), Vector():
            return _plain(lambda m, v: (m * v[:, None]).sum(0, dtype=m.dtype))
        case Vector(), Matrix():
            return _plain(lambda v, m: (m * v).sum(1, dtype=m.dtype))
        case _:
            return _plain(_multiply_matrices)


def _multiply_matrices(a: Data, b: Data) -> Data:
    """Return the product of (inner, rows, n) and (columns, inner, n)."""
    product: Data = (a[None] * b[:, :, None]).sum(1, dtype=a.dtype)
    return product
