"""The entry of a stencil in rows: an invocation computes elements below each other.

Where all their neighbours are inside, nothing is asked of the borders, and what two elements both
read is read once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.emission.trees import call, number
from gpucore.compiler.emission.words import Entry
from gpucore.compiler.passes.vectors import ROW_NAMES
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
    Return,
    Statement,
    Variable,
)
from gpucore.wgsl.types.kinds import U32

__all__ = ["Rows"]


class Rows:
    """A stencil in rows: ``inside`` and ``border`` compute an element at a place."""

    workgroups: Final = {2: (64, 4, 1), 3: (32, 4, 2)}

    def __init__(
        self,
        inside: ir.Function,
        border: ir.Function,
        program: ir.Program,
        rows: int,
        reach: Mapping[int, tuple[int, int]],
    ) -> None:
        self._inside = inside
        self._border = border
        self._rows = rows
        self._reach = reach
        result = program.kernel.parameters[-1].array
        assert result is not None
        self._result = result

    def seen(self, array: ir.ArrayRef) -> ir.ArrayRef:
        """Return an array as it is declared."""
        return array

    def entry(self, kernel: Entry) -> tuple[list[Function], list[Statement]]:
        """Return no functions, and the statements that compute an invocation's elements."""
        rank = self._result.rank
        ids = kernel.built_in("global_invocation_id", -1)
        places = [Name(kernel.unique(ROW_NAMES[each])) for each in "xyz"[:rank]]
        column, row, *plane = places
        starts: list[Expression] = [Member(ids, each) for each in "xyz"[:rank]]
        starts[1] = Binary("*", starts[1], number(self._rows, U32))
        found: list[Statement] = [
            Variable("let", place.name, None, start)
            for place, start in zip(places, starts, strict=True)
        ]
        rows = [row, *(_plus(row, k) for k in range(1, self._rows))]
        values = [Name(kernel.unique("value")) for _ in rows]
        computed = [
            Variable("let", value.name, None, self._call(kernel, self._inside, places, each))
            for value, each in zip(values, rows, strict=True)
        ]
        stored = [
            Assign(self._element(kernel, places, each), "=", value)
            for value, each in zip(values, rows, strict=True)
        ]
        within = Block((*computed, *stored, Return()))
        found.append(If((IfClause(self._is_inside(kernel, places), within),)))
        each = Name(kernel.unique(ROW_NAMES["y"]))
        end = call("min", _plus(row, self._rows), self._size(kernel, 1))
        value = self._call(kernel, self._border, places, each)
        store = Assign(self._element(kernel, places, each), "=", value)
        loop = For(
            Variable("var", each.name, None, row),
            Binary("<", each, end),
            Assign(each, "+=", number(1, U32)),
            Block((store,)),
        )
        fits = [
            Binary("<", place, self._size(kernel, k))
            for k, place in ((0, column), *((2, each) for each in plane))
        ]
        return [], [*found, If((IfClause(_all(fits), Block((loop,))),))]

    def _size(self, kernel: Entry, k: int) -> Expression:
        """Return the extent along a component of the global id."""
        return kernel.extent(self._result, self._result.rank - 1 - k, -1)

    def _is_inside(self, kernel: Entry, places: list[Name]) -> Expression:
        """Return the condition that all neighbours of an invocation's elements are inside."""
        tests: list[Expression] = []
        for k, place in enumerate(places):
            low, high = self._reach.get(self._result.rank - 1 - k, (0, 0))
            if low:
                tests.append(Binary(">=", place, number(-low, U32)))
            last = high + (self._rows - 1 if k == 1 else 0)
            tests.append(Binary("<", _plus(place, last), self._size(kernel, k)))
        return _all(tests)

    def _call(
        self, kernel: Entry, function: ir.Function, places: list[Name], row: Expression
    ) -> Expression:
        """Return the value of the element in a row."""
        return call(kernel.function(function), places[0], row, *places[2:])

    def _element(self, kernel: Entry, places: list[Name], row: Expression) -> Index:
        """Return the element of the result in a row."""
        at: Expression = row
        for plane in places[2:]:
            at = Binary("+", Binary("*", plane, self._size(kernel, 1)), row)
        offset = Binary("+", Binary("*", at, self._size(kernel, 0)), places[0])
        return Index(kernel.array(self._result), offset)


def _plus(place: Expression, by: int) -> Expression:
    return Binary("+", place, number(by, U32)) if by else place


def _all(tests: Sequence[Expression]) -> Expression:
    return reduce(lambda one, other: Binary("&&", one, other), tests[1:], tests[0])
