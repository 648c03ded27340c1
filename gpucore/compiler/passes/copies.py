"""Replaces variables that only repeat another one, which never changes after."""

from __future__ import annotations

from dataclasses import replace

from gpucore.compiler import ir
from gpucore.compiler.walking import blocks_of, walk_statements, with_parts

__all__ = ["drop_copies"]


def drop_copies(function: ir.Function) -> None:
    """Change a function in place: ``let b = a; f(b)`` becomes ``f(a)``."""
    same: dict[ir.Variable, ir.Variable] = {}
    counters = {s.counter for s in walk_statements(function.body) if isinstance(s, ir.For)}
    for statement in walk_statements(function.body):
        if not isinstance(statement, ir.Assign) or not isinstance(statement.value, ir.Read):
            continue
        copy, original = statement.variable, statement.value.variable
        original = same.get(original, original)
        fixed = original.assignments == 1 or original in counters
        if copy.assignments == 1 and not statement.path and fixed:
            same[copy] = original
            if original.temporary and not copy.temporary:
                original.name, original.temporary = copy.name, False
    if same:
        _replace_in(function.body, same)


def _replace_in(block: ir.Block, same: dict[ir.Variable, ir.Variable]) -> None:
    kept: ir.Block = []
    for statement in block:
        if isinstance(statement, ir.Assign) and statement.variable in same:
            continue
        for inner in blocks_of(statement):
            _replace_in(inner, same)
        kept.append(with_parts(statement, lambda part: _replace_reads(part, same)))
    block[:] = kept


def _replace_reads(node: ir.Expression, same: dict[ir.Variable, ir.Variable]) -> ir.Expression:
    if isinstance(node, ir.Read):
        return replace(node, variable=same.get(node.variable, node.variable))
    return with_parts(node, lambda part: _replace_reads(part, same))
