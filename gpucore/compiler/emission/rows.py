"""The entry of a stencil in rows: an invocation computes elements below each other.

Of an array of one axis, it computes elements at the distance of a workgroup.
Where all their neighbours are inside, nothing is asked of the borders, and what two elements both
read is read once.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import reduce
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.emission.trees import call, number
from gpucore.compiler.emission.words import Entry, compute_then_store, first_of_several
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
    Statement,
    Variable,
)
from gpucore.wgsl.types.kinds import U32

__all__ = ["Rows"]


class Rows:
    """A stencil in rows: ``inside`` and ``border`` compute an element at a place."""

    workgroups: Final = {1: (256, 1, 1), 2: (64, 4, 1), 3: (32, 4, 2)}

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
        places = [Name(kernel.unique(ROW_NAMES[each])) for each in "xyz"[: self._result.rank]]
        starts = self._starts(kernel)
        found: list[Statement] = [
            Variable("let", place.name, None, start)
            for place, start in zip(places, starts, strict=True)
        ]
        step = self._step(kernel)
        own = places[self._axis]
        rows = [_plus(own, k * step) for k in range(self._rows)]
        elements = [
            (self._element(kernel, places, each), self._call(kernel, self._inside, places, each))
            for each in rows
        ]
        within = compute_then_store(kernel, "value", elements)
        found.append(If((IfClause(self._is_inside(kernel, places), within),)))
        return [], [*found, self._at_border(kernel, places)]

    @property
    def _axis(self) -> int:
        """The component of the global id along which an invocation has several elements."""
        return 1 if self._result.rank > 1 else 0

    def _step(self, kernel: Entry) -> int:
        """Return the distance of an invocation's elements: what lies in a row, a group shares."""
        return 1 if self._axis else kernel.workgroup[0]

    def _starts(self, kernel: Entry) -> list[Expression]:
        """Return the place of an invocation's first element."""
        ids = kernel.built_in("global_invocation_id", -1)
        starts: list[Expression] = [Member(ids, each) for each in "xyz"[: self._result.rank]]
        own, step = starts[self._axis], self._step(kernel)
        if step == 1:
            starts[self._axis] = Binary("*", own, number(self._rows, U32))
        else:
            starts[self._axis] = first_of_several(own, step, self._rows)
        return starts

    def _at_border(self, kernel: Entry, places: list[Name]) -> Statement:
        """Return what computes elements one by one, where some neighbours may be beyond."""
        own, step = places[self._axis], self._step(kernel)
        each = Name(kernel.unique(own.name))
        end = call("min", _plus(own, self._rows * step), self._size(kernel, self._axis))
        value = self._call(kernel, self._border, places, each)
        store = Assign(self._element(kernel, places, each), "=", value)
        loop = For(
            Variable("var", each.name, None, own),
            Binary("<", each, end),
            Assign(each, "+=", number(step, U32)),
            Block((store,)),
        )
        fits: list[Expression] = [
            Binary("<", place, self._size(kernel, k))
            for k, place in enumerate(places)
            if k != self._axis
        ]
        return If((IfClause(_all(fits), Block((loop,))),)) if fits else loop

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
            last = (self._rows - 1) * self._step(kernel) if k == self._axis else 0
            tests.append(Binary("<", _plus(place, high + last), self._size(kernel, k)))
        return _all(tests)

    def _call(
        self, kernel: Entry, function: ir.Function, places: list[Name], own: Expression
    ) -> Expression:
        """Return the value of an element that is one of several."""
        return call(kernel.function(function), *self._at(places, own))

    def _at(self, places: list[Name], own: Expression) -> list[Expression]:
        return [own if k == self._axis else place for k, place in enumerate(places)]

    def _element(self, kernel: Entry, places: list[Name], own: Expression) -> Index:
        """Return the place of an element in memory."""
        *slower, offset = reversed(self._at(places, own))
        rows: Expression | None = None
        for each, k in zip(slower, range(len(slower), 0, -1), strict=True):
            rows = each if rows is None else _row(rows, self._size(kernel, k), each)
        if rows is not None:
            offset = _row(rows, self._size(kernel, 0), offset)
        return Index(kernel.array(self._result), offset)


def _row(before: Expression, size: Expression, place: Expression) -> Expression:
    return Binary("+", Binary("*", before, size), place)


def _plus(place: Expression, by: int) -> Expression:
    return Binary("+", place, number(by, U32)) if by else place


def _all(tests: Sequence[Expression]) -> Expression:
    return reduce(lambda one, other: Binary("&&", one, other), tests[1:], tests[0])
