"""The entry of an elementwise kernel in vectors: words of four elements, several an invocation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Final, Protocol

from gpucore.compiler import ir
from gpucore.compiler.compiled import Variant
from gpucore.compiler.emission.trees import call, number, type_name
from gpucore.compiler.flexible import close
from gpucore.wgsl.syntax import (
    Assign,
    Binary,
    Block,
    Call,
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
from gpucore.wgsl.types.kinds import U32, Scalar, Vector

__all__ = ["Entry", "Words", "compute_then_store", "first_of_several"]

_PARTS: Final = "xyzw"


class Entry(Protocol):
    """Gives names and expressions of the kernel whose entry is written."""

    workgroup: tuple[int, int, int]

    def unique(self, name: str) -> str: ...
    def array(self, array: ir.ArrayRef) -> Name: ...
    def function(self, function: ir.Function) -> str: ...
    def built_in(self, name: str, at: int) -> Expression: ...
    def extent(self, array: ir.ArrayRef, axis: int, at: int) -> Expression: ...
    def field(
        self, kind: str, parameter: str = "", axis: int = 0, type_text: str = "u32", at: int = -1
    ) -> Member: ...


class Words:
    """An elementwise kernel in vectors: ``element`` computes one of a vector's four."""

    workgroups: Final = {1: (256, 1, 1)}

    def __init__(self, element: ir.Function, program: ir.Program, variant: Variant) -> None:
        self._element = element
        self._words = variant.words
        arrays = [p.array for p in program.kernel.parameters if p.array is not None]
        self._arrays = {each.name: each for each in arrays}
        modes = variant.modes or ("same",) * len(arrays)
        self._modes = dict(zip(self._arrays, modes, strict=True))
        self._result = arrays[-1]

    def seen(self, array: ir.ArrayRef) -> ir.ArrayRef:
        """Return an array of vectors, unless it has one element for all."""
        return replace(array, element=_vector(array)) if self._has_words(array) else array

    def _has_words(self, array: ir.ArrayRef) -> bool:
        return self._modes[array.name] == "same"

    def entry(self, kernel: Entry) -> tuple[list[Function], list[Statement]]:
        """Return the function that computes a vector, and what calls it."""
        word = kernel.unique(f"{self._element.name.removesuffix('_element')}_word")
        read = [self._arrays[each.name] for each in self._element.parameters]
        index = Name(kernel.unique("index"))
        values = [Name(kernel.unique(each.name)) for each in read]
        found: list[Statement] = []
        for array, value in zip(read, values, strict=True):
            place = index if self._has_words(array) else number(0, U32)
            found.append(Variable("let", value.name, None, Index(kernel.array(array), place)))
        parts = [
            call(kernel.function(self._element), *map(partial(self._part, part), read, values))
            for part in _PARTS
        ]
        type_ = type_name(_vector(self._result))
        found.append(Return(Call(type_, tuple(parts))))
        made = Function(word, (Parameter(index.name, Name("u32")),), Block(tuple(found)), type_)
        return [made], self._statements(kernel, word, index)

    def _part(self, part: str, array: ir.ArrayRef, value: Name) -> Expression:
        return Member(value, part) if self._has_words(array) else value

    def _statements(self, kernel: Entry, word: str, index: Name) -> list[Statement]:
        """Return the statements of an entry that compute vectors of the result.

        A workgroup takes neighbouring vectors. An invocation asks for all its operands before it
        stores, so that enough bytes are under way to fill the memory's pipe.
        """
        result, size = kernel.array(self._result), kernel.workgroup[0]
        lane = Member(kernel.built_in("global_invocation_id", -1), "x")
        end = Binary("/", kernel.field("count"), number(4, U32))
        store = Block((Assign(Index(result, index), "=", call(word, index)),))
        if self._words == 1:
            whole = IfClause(Binary("<", index, end), store)
            return [Variable("let", index.name, None, lane), If((whole,))]
        first, step = Name(kernel.unique("first")), number(size, U32)
        start = first_of_several(lane, size, self._words)
        places = [first, *(_after(first, k * size) for k in range(1, self._words))]
        computed = [(Index(result, place), call(word, place)) for place in places]
        fits = IfClause(Binary("<", places[-1], end), compute_then_store(kernel, "word", computed))
        counter = Variable("var", index.name, None, first)
        rest = For(counter, Binary("<", index, end), Assign(index, "+=", step), store)
        return [Variable("let", first.name, None, start), If((fits,)), rest]


def first_of_several(lane: Expression, distance: int, count: int) -> Expression:
    """Return the place of a lane's first element, where it has ``count`` at a ``distance``."""
    step = number(distance, U32)
    group = Binary("*", Binary("/", lane, step), number(distance * count, U32))
    return Binary("+", group, Binary("%", lane, step))


def compute_then_store(
    kernel: Entry, name: str, elements: Sequence[tuple[Index, Expression]]
) -> Block:
    """Return what computes all elements, then stores them, and ends the kernel."""
    values = [Name(kernel.unique(name)) for _ in elements]
    computed: list[Statement] = []
    stored: list[Statement] = []
    for value, (place, expression) in zip(values, elements, strict=True):
        computed.append(Variable("let", value.name, None, expression))
        stored.append(Assign(place, "=", value))
    return Block((*computed, *stored, Return()))


def _after(first: Name, distance: int) -> Expression:
    return Binary("+", first, number(distance, U32))


def _vector(array: ir.ArrayRef) -> Vector:
    element = close(array.element)
    assert isinstance(element, Scalar)
    return Vector(4, element)
