"""The names of a function, and which of them certainly have a value at a place in it."""

from __future__ import annotations

import ast
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TypeAlias, TypeVar

from gpucore.compiler import ir
from gpucore.compiler.annotations import type_of_object
from gpucore.compiler.errors import KernelNameError, KernelSyntaxError, KernelTypeError, Place
from gpucore.compiler.flexible import AnyType, Flexible, describe_type, meet, seen, settle
from gpucore.compiler.lowering.operators import constant
from gpucore.compiler.lowering.values import Value
from gpucore.compiler.source import FunctionSource
from gpucore.wgsl.types.kinds import Type

__all__ = ["FunctionReader", "Scope"]

FunctionReader: TypeAlias = "Callable[[Scope, Callable[[ast.Return], None]], None]"
"""Reads the body of a function into a scope; ``return`` is read by what is given."""


@dataclass(slots=True)
class _Loop:
    """A loop that is being read: which names have a value where it is left by ``break``."""

    at_breaks: list[set[str]] = field(default_factory=list)


class Scope:
    """The local names of a function while it is read.

    Attributes:
        source: the function. values: what a name is: a variable, an array, or something known.
        block: the statements so far of the block that is being read.
        assigned: names that certainly have a value here. ended: True where nothing after runs.
        function: the function that is being made. program: what it is a part of.
        read_function, expression_value: the readers, set by them.
        types: what type variables stand for. results: what a function of the user's returns.
    """

    def __init__(self, source: FunctionSource, program: ir.Program, function: ir.Function) -> None:
        self.source = source
        self.program = program
        self.function = function
        self.read_function: FunctionReader = _no_reader
        self.expression_value: Callable[[ast.expr], Value] = _no_value
        self.types: dict[TypeVar, Type] = {}
        self.results: list[Value] = []
        self.values: dict[str, object] = {}
        self.block: ir.Block = self.function.body
        self.assigned: set[str] = set()
        self.ended = False
        self.loops: list[_Loop] = []
        self.assignments = _count_assignments(source.tree)

    def place(self, node: ast.AST) -> Place:
        """Return where a node stands."""
        return self.source.place(node)

    def syntax_error(self, message: str, node: ast.AST) -> KernelSyntaxError:
        """Return an error about something that the language does not have."""
        return KernelSyntaxError(message, self.place(node))

    def type_error(self, message: str, node: ast.AST) -> KernelTypeError:
        """Return an error about types that do not fit."""
        return KernelTypeError(message, self.place(node))

    def error_at(self, message: str, place: Place) -> KernelTypeError:
        """Return an error about types at a place."""
        return KernelTypeError(message, place)

    def name_error(self, message: str, node: ast.AST) -> KernelNameError:
        """Return an error about a name."""
        return KernelNameError(message, self.place(node))

    def is_local(self, name: str) -> bool:
        """Tell whether a name belongs to the function."""
        return name in self.values or name in self.assignments

    # Variables

    def temporary(self, type_: AnyType, place: Place, name: str = "value") -> ir.Variable:
        """Return a new variable that no Python name means."""
        return ir.Variable(name, type_, place, temporary=True)

    def keep(self, value: ir.Expression, name: str = "value") -> ir.Read:
        """Compute a value now; return the variable that has it."""
        variable = self.temporary(value.type, value.place, name)
        self.assign(variable, value, value.place)
        return ir.Read(value.type, value.place, variable)

    def assign(self, variable: ir.Variable, value: ir.Expression, place: Place) -> None:
        """Add a statement that gives a variable a value of its type."""
        variable.assignments += 1
        self.block.append(ir.Assign(variable, value, place))

    def bind(self, name: str, value: ir.Expression, node: ast.AST) -> None:
        """Give a name of the function a value; the first one decides its type."""
        known = self.values.get(name)
        if isinstance(known, ir.Variable) and known.constant is not None:
            known = None  # a loop that is unrolled gives it another number
        if known is not None and not isinstance(known, ir.Variable):
            raise self.syntax_error(
                f"{name} is a parameter that is an array or is known before the launch, and cannot "
                "be assigned to: take another name",
                node,
            )
        if known is None:
            known = self._new_variable(name, value, node)
        elif meet(known.type, value.type) is None:
            raise self.type_error(
                f"{name} is {describe_type(known.type)} since line {known.place.line}, got "
                f"{describe_type(value.type)}: convert the value, or take another name",
                node,
            )
        if known.constant is None:
            self.assign(known, value, self.place(node))
        self.assigned.add(name)

    def bind_constant(self, name: str, value: float, node: ast.AST) -> None:
        """Give a name a number that is known before the kernel runs."""
        type_ = constant(value, self.place(node)).type
        self.values[name] = ir.Variable(name, type_, self.place(node), constant=value)
        self.assigned.add(name)

    def type_of(self, marker: object) -> Type | None:
        """Return the type that an annotation means here; None where it means none."""
        if isinstance(marker, TypeVar):
            return self.types.get(marker)
        return type_of_object(marker, self.program.structures)

    def _new_variable(self, name: str, value: ir.Expression, node: ast.AST) -> ir.Variable:
        once = self.assignments[name] == 1
        literal = isinstance(seen(value.type), Flexible) and isinstance(value, ir.Constant)
        if once and literal and isinstance(value, ir.Constant):
            variable = ir.Variable(name, value.type, self.place(node), constant=value.value)
        else:
            variable = ir.Variable(name, settle(value.type), self.place(node))
        self.values[name] = variable
        return variable

    def declare(self, name: str, type_: AnyType, node: ast.AST) -> ir.Variable:
        """Return a new variable of a type for a name without one. Raises `KernelTypeError`."""
        known = self.values.get(name)
        if isinstance(known, ir.Variable) and known.constant is not None:
            known = None  # the number of a loop that was unrolled is not this name's any more
            self.assigned.discard(name)
        if known is None:
            known = self.values[name] = ir.Variable(name, type_, self.place(node))
        if not isinstance(known, ir.Variable):
            raise self.type_error(
                f"{name} is an array, a tuple, or known before the launch: take another name", node
            )
        if meet(known.type, type_) is None:
            raise self.type_error(
                f"{name} is {describe_type(known.type)} since line {known.place.line}, and counts "
                f"{describe_type(type_)} here: take another name",
                node,
            )
        return known

    # Blocks

    @contextmanager
    def collect(self) -> Iterator[ir.Block]:
        """Read statements into a new block."""
        outer, self.block = self.block, []
        try:
            yield self.block
        finally:
            self.block = outer

    def end(self) -> None:
        """Note that nothing after this place in the block runs."""
        self.ended = True

    def leave_loop(self) -> None:
        """Note that the loop around is left here."""
        self.loops[-1].at_breaks.append(set(self.assigned))
        self.end()

    @contextmanager
    def loop(self) -> Iterator[_Loop]:
        """Read the body of a loop."""
        state = _Loop()
        self.loops.append(state)
        try:
            yield state
        finally:
            self.loops.pop()


def _no_reader(scope: Scope, read_return: Callable[[ast.Return], None]) -> None:
    raise AssertionError("no reader")


def _no_value(node: ast.expr) -> Value:
    raise AssertionError("no reader")


def _count_assignments(tree: ast.FunctionDef) -> Counter[str]:
    """Return how often each local name is assigned to; loops count twice."""
    counts: Counter[str] = Counter()
    for node in ast.walk(tree):
        match node:
            case ast.Name(id=name, ctx=ast.Store()):
                counts[name] += 1
            case ast.AugAssign(target=ast.Name(id=name)):
                counts[name] += 1
            case ast.For(target=target):
                counts.update(each.id for each in ast.walk(target) if isinstance(each, ast.Name))
    return counts
