"""``a if condition else b``: one side is computed, unless both are cheap."""

from __future__ import annotations

import ast
from typing import NamedTuple

from gpucore.compiler import ir
from gpucore.compiler.flexible import AnyType, describe_type, meet
from gpucore.compiler.lowering.calls import expression_of
from gpucore.compiler.lowering.scope import Scope
from gpucore.compiler.lowering.values import Value

__all__ = ["Choice", "choose"]


class Choice(NamedTuple):
    """What ``a if condition else b`` computes: each side in a block of its own."""

    condition: ir.Expression
    yes_block: ir.Block
    no_block: ir.Block
    node: ast.IfExp


def choose(scope: Scope, choice: Choice, pairs: list[tuple[Value, Value]]) -> list[ir.Expression]:
    """Return what a condition chooses of each pair."""
    node = choice.node
    place = scope.place(node)
    cheap = not choice.yes_block and not choice.no_block
    found: list[ir.Expression] = []
    for pair in pairs:
        yes = expression_of(pair[0], scope.place(node.body))
        no = expression_of(pair[1], scope.place(node.orelse))
        type_ = _one_type(scope, yes, no, node)
        if cheap and _is_cheap(yes) and _is_cheap(no):
            found.append(ir.Call(type_, place, "select", (no, yes, choice.condition)))
            continue
        result = scope.temporary(type_, place)
        for block, value in ((choice.yes_block, yes), (choice.no_block, no)):
            result.assignments += 1
            block.append(ir.Assign(result, value, value.place))
        found.append(ir.Read(type_, place, result))
    if choice.yes_block or choice.no_block:
        test = choice.condition
        scope.block.append(ir.If(test, choice.yes_block, choice.no_block, place))
    return found


def _one_type(scope: Scope, yes: ir.Expression, no: ir.Expression, node: ast.IfExp) -> AnyType:
    type_ = meet(yes.type, no.type)
    if type_ is None:
        raise scope.type_error(
            f"both sides of if ... else must have one type, got {describe_type(yes.type)} and "
            f"{describe_type(no.type)}: convert one of them",
            node,
        )
    return type_


def _is_cheap(value: ir.Expression) -> bool:
    """Tell whether a value may be computed in vain: it reads no memory and calls nothing."""
    match value:
        case ir.Constant() | ir.Read() | ir.Argument() | ir.Extent() | ir.BuiltIn():
            return True
        case ir.Unary(operand=operand):
            return _is_cheap(operand)
        case ir.Convert(value=inner) | ir.Member(value=inner):
            return _is_cheap(inner)
        case ir.Binary(operator=operator, left=left, right=right):
            return operator not in "/%" and _is_cheap(left) and _is_cheap(right)
        case _:
            return False
