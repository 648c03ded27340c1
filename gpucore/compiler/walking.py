"""Walks over the typed form: parts of expressions, blocks of statements, what they use."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import fields, replace
from typing import Any, TypeVar

from gpucore.compiler import ir

__all__ = [
    "blocks_of",
    "expressions_of",
    "parts_of",
    "walk_expression",
    "walk_expressions",
    "walk_program",
    "walk_program_statements",
    "walk_statements",
    "with_parts",
]


N = TypeVar("N", bound=ir.Expression | ir.Statement)

_Change = Callable[[ir.Expression], ir.Expression]


def parts_of(node: ir.Expression) -> tuple[ir.Expression, ...]:
    """Return the expressions that one is directly made of."""
    found: list[ir.Expression] = []
    for each in fields(node):
        part = getattr(node, each.name)
        if isinstance(part, ir.Expression):
            found.append(part)
        elif isinstance(part, tuple) and each.name != "place":
            found += [one for one in part if isinstance(one, ir.Expression)]
    return tuple(found)


def with_parts(node: N, change: _Change) -> N:
    """Return an expression or a statement whose direct parts are changed; not its blocks."""
    changed: dict[str, Any] = {}
    for each in fields(node):
        part = getattr(node, each.name)
        if isinstance(part, ir.Expression):
            changed[each.name] = change(part)
        elif isinstance(part, tuple) and each.name != "place":
            changed[each.name] = tuple(
                change(one) if isinstance(one, ir.Expression) else one for one in part
            )
    return replace(node, **changed) if changed else node


def expressions_of(statement: ir.Statement) -> tuple[ir.Expression, ...]:
    """Return the expressions of a statement itself, not of its blocks."""
    match statement:
        case ir.Assign(value=value, path=path):
            return value, *(each for each in path if not isinstance(each, str))
        case ir.Store(element=element, value=value, path=path):
            return element, value, *(each for each in path if not isinstance(each, str))
        case ir.Evaluate(value=value):
            return (value,)
        case ir.Print(words=words):
            return words
        case ir.If(condition=condition) | ir.While(condition=condition):
            return (condition,)
        case ir.For(start=start, stop=stop, step=step):
            return (start, stop) if isinstance(step, int) else (start, stop, step)
        case ir.Return(value=value) if value is not None:
            return (value,)
        case _:
            return ()


def blocks_of(statement: ir.Statement) -> tuple[ir.Block, ...]:
    """Return the blocks of a statement."""
    match statement:
        case ir.If(body=body, otherwise=otherwise):
            return body, otherwise
        case ir.For(body=body):
            return (body,)
        case ir.While(before=before, body=body):
            return before, body
        case _:
            return ()


def walk_statements(block: ir.Block) -> Iterator[ir.Statement]:
    """Yield the statements of a block and of the blocks in it."""
    for statement in block:
        yield statement
        for inner in blocks_of(statement):
            yield from walk_statements(inner)


def walk_expression(node: ir.Expression) -> Iterator[ir.Expression]:
    """Yield an expression and all its parts."""
    yield node
    for part in parts_of(node):
        yield from walk_expression(part)


def walk_expressions(block: ir.Block) -> Iterator[ir.Expression]:
    """Yield every expression of a block, with its parts."""
    for statement in walk_statements(block):
        for node in expressions_of(statement):
            yield from walk_expression(node)


def walk_program_statements(program: ir.Program) -> Iterator[ir.Statement]:
    """Yield every statement of a program."""
    for body in program.bodies:
        yield from walk_statements(body)


def walk_program(program: ir.Program) -> Iterator[ir.Expression]:
    """Yield every expression of a program, with its parts."""
    for body in program.bodies:
        yield from walk_expressions(body)
