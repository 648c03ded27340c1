"""The ways in which a statement may end (WGSL specification, section 9.8, behavior analysis)."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from gpucore.wgsl.syntax import (
    Block,
    Break,
    BreakIf,
    Continue,
    For,
    If,
    Loop,
    Return,
    Statement,
    Switch,
    While,
)

__all__ = ["Behavior", "behavior"]


class Behavior:
    """To the next statement, out of a loop or switch, to its next turn, out of the function."""

    NEXT: Final = 1
    BREAK: Final = 2
    CONTINUE: Final = 4
    RETURN: Final = 8


_NONE: Final = 0


def behavior(statement: Statement) -> int:
    """Return the ways in which a statement may end."""
    match statement:
        case Block(statements=statements):
            return _sequence(statements)
        case If() | Switch():
            return _branches(statement)
        case Loop(body=body, continuing=continuing):
            return _loop(behavior(body) | (behavior(continuing) if continuing else _NONE))
        case For(condition=condition, body=body):
            return _loop(behavior(body) | (_NONE if condition is None else Behavior.BREAK))
        case While(body=body):
            return _loop(behavior(body) | Behavior.BREAK)
        case _:
            return _SIMPLE.get(type(statement), Behavior.NEXT)


_SIMPLE: Final[dict[type, int]] = {
    Return: Behavior.RETURN,
    Break: Behavior.BREAK,
    BreakIf: Behavior.BREAK | Behavior.NEXT,
    Continue: Behavior.CONTINUE,
}


def _branches(statement: If | Switch) -> int:
    found = _NONE
    for clause in statement.clauses:
        found |= behavior(clause.body)
    if isinstance(statement, If):
        return found | (behavior(statement.otherwise) if statement.otherwise else Behavior.NEXT)
    return found & ~Behavior.BREAK | Behavior.NEXT if found & Behavior.BREAK else found


def _sequence(statements: Iterable[Statement]) -> int:
    found = Behavior.NEXT
    for statement in statements:
        if not found & Behavior.NEXT:
            break
        found &= ~Behavior.NEXT
        found |= behavior(statement)
    return found


def _loop(inside: int) -> int:
    rest = inside & Behavior.RETURN
    return rest | Behavior.NEXT if inside & Behavior.BREAK else rest
