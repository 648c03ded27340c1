"""What loops go over: ranges, and what is known before the launch and unrolled."""

from __future__ import annotations

import ast
from collections.abc import Sequence
from typing import Final, NamedTuple

from gpucore.compiler import ir
from gpucore.compiler.flexible import AnyType, describe_type, is_integer, meet, seen
from gpucore.compiler.lowering.expressions import ExpressionReader
from gpucore.compiler.lowering.functions.names import function_name
from gpucore.compiler.lowering.operators import constant, literal_of
from gpucore.compiler.lowering.values import Known, Value, Values
from gpucore.wgsl.types.kinds import U32, Vector

__all__ = ["Range", "read_range", "unrolled_items"]

_MOST_UNROLLED: Final = 1024


class Range(NamedTuple):
    """The numbers that a loop counts, and their type; the step is a number, or is computed."""

    start: ir.Expression
    stop: ir.Expression
    step: int | ir.Expression
    type: AnyType


def unrolled_items(expressions: ExpressionReader, node: ast.For) -> Sequence[Value] | None:
    """Return the items of a loop that is unrolled: of static_range, or of a tuple.

    None for a loop over range. Raises `KernelSyntaxError`, `KernelTypeError`.
    """
    scope = expressions.scope
    name = _range_name(expressions, node)
    if name == "range":
        return None
    items: Sequence[Value] | None = None
    if name == "static_range":
        items = _static_range(expressions, node)
    elif isinstance(node.iter, ast.Call):
        items = _pairs_of(expressions, node.iter)
    elif isinstance(node.iter, ast.Name | ast.Tuple | ast.Attribute | ast.Subscript):
        value = expressions.value(node.iter)
        items = value.items if isinstance(value, Values) else None
    if items is None:
        raise scope.syntax_error(
            "a for loop must be over range(stop), range(start, stop), range(start, stop, step) or "
            "a tuple, or enumerate and zip of tuples",
            node.iter,
        )
    if len(items) > _MOST_UNROLLED:
        raise scope.syntax_error(
            f"this loop repeats its body at most {_MOST_UNROLLED} times, got {len(items)}: write "
            "range",
            node.iter,
        )
    for each in ast.walk(node):
        if isinstance(each, ast.Break | ast.Continue) and not _in_inner_loop(node, each):
            what = "static_range" if name else "a tuple"
            raise scope.syntax_error(
                f"a loop over {what} cannot have break or continue: write range", each
            )
    return items


def _pairs_of(expressions: ExpressionReader, call: ast.Call) -> Sequence[Value] | None:
    """Return the items of enumerate or zip, of tuples; None for other calls."""
    function = expressions.value(call.func)
    target = function.object if isinstance(function, Known) else None
    known = target is enumerate or target is zip
    if not known or call.keywords or not call.args:
        return None
    given = expressions.in_order(call.args)
    tuples = [each.items for each in given if isinstance(each, Values)]
    if len(tuples) < len(given) or (target is enumerate and len(given) > 1):
        return None
    if target is enumerate:
        place = expressions.scope.place(call)
        tuples.insert(0, tuple(constant(i, place) for i in range(len(tuples[0]))))
    return [Values(each) for each in zip(*tuples, strict=False)]


def _range_name(expressions: ExpressionReader, node: ast.For) -> str | None:
    """Return range or static_range where a loop is over one of them."""
    if not isinstance(node.iter, ast.Call) or node.iter.keywords:
        return None
    function = expressions.value(node.iter.func)
    name = function_name(function.object) if isinstance(function, Known) else None
    known = name in ("range", "static_range") and 1 <= len(node.iter.args) <= 3
    return name if known else None


def _static_range(expressions: ExpressionReader, node: ast.For) -> Sequence[Value]:
    scope = expressions.scope
    assert isinstance(node.iter, ast.Call)
    numbers = [literal_of(each) for each in expressions.read_in_order(node.iter.args)]
    if not all(isinstance(each, int) for each in numbers):
        raise scope.type_error(
            "the ends of static_range must be integers that are known before the launch", node.iter
        )
    found = range(*(each for each in numbers if isinstance(each, int)))
    if len(found) > _MOST_UNROLLED:
        raise scope.syntax_error(
            f"static_range repeats its body at most {_MOST_UNROLLED} times, got {len(found)}: "
            "write range",
            node.iter,
        )
    return [constant(each, scope.place(node.target)) for each in found]


def read_range(expressions: ExpressionReader, node: ast.For) -> Range:
    """Return what a loop counts; its bounds are computed once, before it.

    Raises `KernelTypeError`.
    """
    scope = expressions.scope
    assert isinstance(node.iter, ast.Call)
    nodes = node.iter.args
    values = expressions.read_in_order(nodes)
    for value, each in zip(values, nodes, strict=True):
        if not is_integer(value.type) or isinstance(seen(value.type), Vector):
            raise scope.type_error(
                f"range takes integers, got {describe_type(value.type)}: convert it, as i32(...)",
                each,
            )
    start = constant(0, scope.place(node)) if len(values) == 1 else values[0]
    stop = values[0] if len(values) == 1 else values[1]
    if not isinstance(stop, ir.Constant | ir.Argument | ir.Extent):
        stop = scope.keep(stop, "stop")
    type_ = _common_type(expressions, start, stop, node)
    step = _step(expressions, values[2], type_, node) if len(values) == 3 else 1
    return Range(start, stop, step, type_)


def _step(
    expressions: ExpressionReader, value: ir.Expression, type_: AnyType, node: ast.For
) -> int | ir.Expression:
    """Return a step: a number, or what is computed before the loop. Raises `KernelTypeError`."""
    scope = expressions.scope
    number = literal_of(value)
    if number == 0:
        raise scope.error_at("the step of range must not be 0", value.place)
    if isinstance(number, int):
        if number < 0 and seen(type_) == U32:
            raise scope.type_error(
                "a range of u32 cannot count down below 0: convert its ends, as i32(...)", node.iter
            )
        return number
    if meet(type_, value.type) is None:
        raise scope.error_at(
            f"the step of range must have the type of its ends, {describe_type(type_)}, got "
            f"{describe_type(value.type)}: convert one of them",
            value.place,
        )
    return value if isinstance(value, ir.Argument | ir.Extent) else scope.keep(value, "step")


def _common_type(
    expressions: ExpressionReader, start: ir.Expression, stop: ir.Expression, node: ast.For
) -> AnyType:
    type_ = meet(start.type, stop.type)
    if type_ is None:
        raise expressions.scope.type_error(
            f"both ends of range must have one type, got {describe_type(start.type)} and "
            f"{describe_type(stop.type)}: convert one of them",
            node.iter,
        )
    return type_


def _in_inner_loop(outer: ast.For, node: ast.AST) -> bool:
    """Tell whether a statement is in a loop inside of another."""
    loops = (each for each in ast.walk(outer) if isinstance(each, ast.For | ast.While))
    return any(node in ast.walk(each) for each in loops if each is not outer)
