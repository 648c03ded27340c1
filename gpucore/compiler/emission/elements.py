"""The start of an elementwise kernel: which element it computes, and where each array has it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Protocol

from gpucore.compiler.emission.trees import number
from gpucore.wgsl.syntax import (
    Assign,
    Binary,
    Block,
    Expression,
    If,
    IfClause,
    Member,
    Name,
    Return,
    Statement,
    Variable,
)
from gpucore.wgsl.types.kinds import U32

__all__ = ["element_preamble"]


class _Fields(Protocol):
    """A source of the uniform's members."""

    def field(
        self, kind: str, parameter: str = "", axis: int = 0, type_text: str = "u32", at: int = -1
    ) -> Member: ...


def element_preamble(
    fields: _Fields, index: Name, ids: Expression, offsets: Mapping[str, Expression], rank: int
) -> list[Statement]:
    """Return the statements that find the element's index, and its offsets in broadcast arrays.

    An invocation beyond the last element ends there.
    """
    beyond = Binary(">=", index, fields.field("count"))
    found: list[Statement] = [
        Variable("let", index.name, None, Member(ids, "x")),
        If((IfClause(beyond, Block((Return(),))),)),
    ]
    names = {name: offset for name, offset in offsets.items() if isinstance(offset, Name)}
    if not names:
        return found
    rest = Name(f"{index.name}_rest")
    found.append(Variable("var", rest.name, None, index))
    found += [Variable("var", each.name, None, number(0, U32)) for each in names.values()]
    for axis in reversed(range(rank)):
        size = fields.field("shape", axis=axis)
        place: Expression = Binary("%", rest, size) if axis else rest
        for array, offset in names.items():
            step = fields.field("stride", array, axis)
            found.append(Assign(offset, "+=", Binary("*", place, step)))
        if axis:
            found.append(Assign(rest, "/=", size))
    return found
