"""The entry of an elementwise kernel in vectors: words of four elements, several an invocation."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gpucore.compiler.emission.trees import call, number, type_name
from gpucore.wgsl.syntax import (
    Assign,
    Binary,
    Block,
    Expression,
    For,
    Function,
    If,
    IfClause,
    Index,
    Member,
    Name,
    Parameter,
    Return,
    Statement,
    Variable,
)
from gpucore.wgsl.types.kinds import U32, Vector

__all__ = ["WordNames", "word_function", "word_statements"]

_PARTS: Final = "xyzw"


@dataclass(frozen=True, slots=True)
class WordNames:
    """The names of what computes a word: two functions, the result's array, and new names."""

    element: str
    word: str
    result: Name
    index: str
    first: str
    unique: Callable[[str], str]


def word_function(names: WordNames, type_: Vector, arrays: Sequence[tuple[Name, bool]]) -> Function:
    """Return the function that computes a word of the result.

    ``arrays`` are what the element's function is given, and whether each has words, not one number.
    """
    index = Name(names.index)
    found: list[Statement] = []
    values: list[tuple[Expression, bool]] = []
    for array, has_words in arrays:
        value = Name(names.unique(array.name))
        place = Index(array, index if has_words else number(0, U32))
        found.append(Variable("let", value.name, None, place))
        values.append((value, has_words))
    parts = [
        call(names.element, *(Member(v, part) if has_words else v for v, has_words in values))
        for part in _PARTS
    ]
    made = type_name(type_)
    found.append(Return(call(f"vec4{_short(type_)}", *parts)))
    return Function(names.word, (Parameter(names.index, Name("u32")),), Block(tuple(found)), made)


def _short(type_: Vector) -> str:
    return type_.scalar.name[0] if type_.scalar.name != "f16" else "h"


def word_statements(
    names: WordNames, ids: Expression, count: Expression, workgroup: int, words: int
) -> list[Statement]:
    """Return the statements of an entry that compute words of the result.

    A workgroup takes neighbouring words. An invocation asks for all its operands before it stores,
    so that enough bytes are under way to fill the memory's pipe.
    """
    index, first = Name(names.index), Name(names.first)
    end = Binary("/", count, number(4, U32))
    step = number(workgroup, U32)
    lane = Member(ids, "x")
    if words == 1:
        return [
            Variable("let", index.name, None, lane),
            If((IfClause(Binary("<", index, end), Block((_store(names, index),))),)),
        ]
    start = Binary(
        "+",
        Binary("*", Binary("/", lane, step), number(workgroup * words, U32)),
        Binary("%", lane, step),
    )
    places = [
        first if not k else Binary("+", first, number(k * workgroup, U32)) for k in range(words)
    ]
    values = [Name(names.unique("word")) for _ in places]
    whole = Block(
        (
            *(
                Variable("let", value.name, None, call(names.word, place))
                for value, place in zip(values, places, strict=True)
            ),
            *(
                Assign(Index(names.result, place), "=", value)
                for value, place in zip(values, places, strict=True)
            ),
            Return(),
        )
    )
    rest = For(
        Variable("var", index.name, None, first),
        Binary("<", index, end),
        Assign(index, "+=", step),
        Block((_store(names, index),)),
    )
    return [
        Variable("let", first.name, None, start),
        If((IfClause(Binary("<", places[-1], end), whole),)),
        rest,
    ]


def _store(names: WordNames, index: Name) -> Assign:
    return Assign(Index(names.result, index), "=", call(names.word, index))
