"""Drops values that nothing reads, and branches without statements."""

from __future__ import annotations

from gpucore.compiler import ir
from gpucore.compiler.walking import blocks_of, walk_expression, walk_expressions

__all__ = ["drop_dead_code", "has_effect"]


def has_effect(node: ir.Expression) -> bool:
    """Tell whether an expression does more than give a value."""
    return any(map(_acts, walk_expression(node)))


def _acts(node: ir.Expression) -> bool:
    match node:
        case ir.Atomic() | ir.Call(function="barrier"):
            return True
        case ir.Invoke(function=function):
            return function.has_effect
        case _:
            return False


def drop_dead_code(function: ir.Function) -> None:
    """Change a function in place, until nothing more can be dropped."""
    while True:
        read = {e.variable for e in walk_expressions(function.body) if isinstance(e, ir.Read)}
        if not _drop(function.body, read):
            return


def _drop(block: ir.Block, read: set[ir.Variable]) -> bool:
    changed = False
    for statement in list(block):
        for inner in blocks_of(statement):
            changed |= _drop(inner, read)
        if _is_dead(statement, read):
            block.remove(statement)
            changed = True
    return changed


def _is_dead(statement: ir.Statement, read: set[ir.Variable]) -> bool:
    match statement:
        case ir.Assign(variable=variable, value=value, path=path):
            parts = (value, *(each for each in path if not isinstance(each, str)))
            return variable not in read and not any(map(has_effect, parts))
        case ir.If(condition=condition, body=[], otherwise=[]):
            return not has_effect(condition)
        case _:
            return False
