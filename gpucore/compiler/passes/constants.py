"""Computes what is known: operators and conversions of numbers, and branches on them.

Integers wrap, a shift counts its lowest 5 bits, and x // 0 is x, as when the kernel runs.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.errors import KernelTypeError
from gpucore.compiler.flexible import close, describe_type
from gpucore.compiler.walking import blocks_of, walk_statements, with_parts
from gpucore.wgsl.errors import ConstantError
from gpucore.wgsl.types.kinds import BOOL, F16, F32, I32, U32, Scalar, Type
from gpucore.wgsl.values import round_to

__all__ = ["fold_constants"]

_Number = int | float | bool
_BITS: Final = {I32: 31, U32: 32}


def _quotient(a: int, b: int) -> int:
    if b == 0:
        return a
    return abs(a) // abs(b) * (1 if (a < 0) == (b < 0) else -1)


_INTEGERS: Final[Mapping[str, Callable[[int, int], int]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": _quotient,
    "%": lambda a, b: a - b * _quotient(a, b) if b else 0,
    "&": operator.and_,
    "|": operator.or_,
    "^": operator.xor,
    "<<": lambda a, b: a << (b & 31),
    ">>": lambda a, b: a >> (b & 31),
}
_FLOATS: Final[Mapping[str, Callable[[float, float], float]]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": math.fmod,
}
_CHOICES: Final[Mapping[str, Callable[[list[_Number]], _Number]]] = {"min": min, "max": max}
_COMPARISONS: Final[Mapping[str, Callable[[float, float], bool]]] = {
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "==": operator.eq,
    "!=": operator.ne,
}


def fold_constants(function: ir.Function) -> None:
    """Change a function in place. Raises `KernelTypeError` where a number has no value."""
    known: dict[ir.Variable, ir.Constant] = {}
    for statement in walk_statements(function.body):
        if isinstance(statement, ir.Assign) and statement.variable.assignments == 1:
            value = _fold(statement.value, known)
            if isinstance(value, ir.Constant):
                known[statement.variable] = value
    _fold_block(function.body, known)


def _fold_block(block: ir.Block, known: Mapping[ir.Variable, ir.Constant]) -> None:
    folded: ir.Block = []
    for statement in block:
        for inner in blocks_of(statement):
            _fold_block(inner, known)
        changed = with_parts(statement, lambda part: _fold(part, known))
        if isinstance(changed, ir.If) and isinstance(changed.condition, ir.Constant):
            folded += changed.body if changed.condition.value else changed.otherwise
        else:
            folded.append(changed)
        if folded and isinstance(folded[-1], ir.Return | ir.Break | ir.Continue):
            break  # nothing after it runs
    block[:] = folded


def _fold(node: ir.Expression, known: Mapping[ir.Variable, ir.Constant]) -> ir.Expression:
    if isinstance(node, ir.Read):
        found = known.get(node.variable)
        return node if found is None else replace(found, place=node.place)
    node = with_parts(node, lambda part: _fold(part, known))
    match node:
        case ir.Binary(operator="<<" | ">>", right=ir.Constant(value=count) as by):
            count = int(count) & 31
            if count != by.value:
                return _fold(replace(node, right=replace(by, value=count)), known)
            return _fold_operator(node)
        case ir.Call(function="min" | "max" | "abs", arguments=arguments):
            return _choice(node, arguments)
        case _:
            return _fold_operator(node)


def _fold_operator(node: ir.Expression) -> ir.Expression:
    """Return the value of an operator or a conversion whose parts are folded."""
    match node:
        case ir.Binary(left=ir.Constant() as left, right=ir.Constant() as right):
            return _binary(node, left.value, right.value)
        case ir.Binary(operator="&&" | "||", left=ir.Constant(value=value)):
            stays = bool(value) == (node.operator == "||")
            return node.left if stays else node.right
        case ir.Unary(operand=ir.Constant(value=value)):
            return _unary(node, value)
        case ir.Convert(value=ir.Constant(value=value), bits=False):
            return _convert(node, value)
        case ir.Call(function="select", arguments=(no, yes, ir.Constant(value=value))):
            return yes if value else no
        case _:
            return node


def _choice(node: ir.Call, arguments: tuple[ir.Expression, ...]) -> ir.Expression:
    """Return the least, the greatest, or the positive one of known integers."""
    numbers = [each.value for each in arguments if isinstance(each, ir.Constant)]
    type_ = close(node.type)
    if len(numbers) < len(arguments) or type_ not in _BITS:
        return node
    value = abs(numbers[0]) if node.function == "abs" else _CHOICES[node.function](numbers)
    return ir.Constant(type_, node.place, _wrap(int(value), type_))


def _binary(node: ir.Binary, left: _Number, right: _Number) -> ir.Expression:
    type_ = close(node.left.type)
    symbol = node.operator
    if symbol in _COMPARISONS:
        return ir.Constant(BOOL, node.place, _COMPARISONS[symbol](left, right))
    if type_ == BOOL:
        either = symbol in ("|", "||")
        value = bool(left or right) if either else bool(left and right)
        return ir.Constant(BOOL, node.place, value)
    if type_ in _BITS:
        number = _INTEGERS[symbol](int(left), int(right))
        return ir.Constant(type_, node.place, _wrap(number, type_))
    if symbol not in _FLOATS:
        return node
    if not (math.isfinite(left) and math.isfinite(right)):
        return node
    try:
        return _float(node, type_, _FLOATS[symbol](float(left), float(right)))
    except (ZeroDivisionError, ValueError):
        raise KernelTypeError("division by zero", node.place) from None


def _float(node: ir.Expression, type_: Type, value: float) -> ir.Constant:
    """Return a float, rounded to its type. Raises `KernelTypeError` where it is too large."""
    assert isinstance(type_, Scalar)
    try:
        return ir.Constant(type_, node.place, round_to(value, type_.name))
    except (ConstantError, OverflowError):
        raise KernelTypeError(f"{value} does not fit {describe_type(type_)}", node.place) from None


def _wrap(value: int, type_: Type) -> int:
    low = -(2**31) if type_ == I32 else 0
    return (value - low) % 2**32 + low


def _unary(node: ir.Unary, value: _Number) -> ir.Expression:
    type_ = close(node.type)
    if node.operator == "!":
        return ir.Constant(BOOL, node.place, not value)
    if type_ in _BITS:
        number = -int(value) if node.operator == "-" else ~int(value)
        return ir.Constant(type_, node.place, _wrap(number, type_))
    return ir.Constant(type_, node.place, -value) if type_ in (F32, F16) else node


def _convert(node: ir.Convert, value: _Number) -> ir.Expression:
    type_ = close(node.type)
    if type_ == BOOL:
        return ir.Constant(BOOL, node.place, bool(value))
    if isinstance(value, float) and not math.isfinite(value):
        return ir.Constant(type_, node.place, value) if type_ in (F32, F16) else node
    if type_ in (F32, F16):
        return _float(node, type_, float(value))
    if type_ not in _BITS:
        return node
    if isinstance(value, float):
        low = -(2**31) if type_ == I32 else 0
        value = max(low, min(low + 2**32 - 1, math.trunc(value)))
        return ir.Constant(type_, node.place, value)
    return ir.Constant(type_, node.place, _wrap(int(value), type_))
