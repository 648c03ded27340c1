"""Expressions of WGSL as functions of the lanes that run them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from gpucore.interpreter.arithmetic import Operation, binary, convert, negate
from gpucore.interpreter.bits import bitcast
from gpucore.interpreter.built_ins import BUILT_INS
from gpucore.interpreter.collectives import COLLECTIVES, Collective
from gpucore.interpreter.exchange import ATOMICS
from gpucore.interpreter.lanes import Lanes
from gpucore.interpreter.places import Cells, Evaluate, Place, Register, clip_index, pick
from gpucore.interpreter.scope import BARRIERS, Context, Names
from gpucore.interpreter.trees import Row
from gpucore.interpreter.units import UNITS, units_call
from gpucore.interpreter.values import Data, Value, constant, dtype_of, zero
from gpucore.wgsl.syntax import Binary, Call, Expression, Index, Literal, Member, Name, Unary
from gpucore.wgsl.types.kinds import (
    Array,
    Matrix,
    Pointer,
    Scalar,
    Structure,
    Type,
    Units,
    Vector,
)

__all__ = ["Expressions"]


class Expressions:
    """Compiles the expressions of one function, in which ``names`` are known.

    ``call_function`` compiles the call of a function of the module.
    """

    def __init__(self, context: Context, names: Names) -> None:
        self.context = context
        self.facts = context.facts
        self.names = names
        self.call_function: Callable[[Call, Expressions], Evaluate]

    def value(self, node: Expression) -> Evaluate:
        """Compile an expression to its value."""
        known = self.facts.value_of(node)
        if known is not None:
            fixed = constant(known, self.facts.type_of(node))
            return lambda lanes: fixed
        match node:
            case Binary():
                return self._binary(node)
            case Unary(operator="!" | "~" | "-" as operator):
                return self._unary(operator, node)
            case Call():
                return self._call(node)
            case Literal():
                raise self.context.refusal("this literal", node)
            case Name() | Member() | Index() | Unary():
                return self._read(node)

    def _read(self, node: Name | Member | Index | Unary) -> Evaluate:
        """Compile what may be the value of a place, or a part of another value."""
        place = self.place(node)
        if isinstance(place, Register):
            return place.load
        if place is not None:
            cells, at = place, node.at
            return lambda lanes: cells.load(lanes, at)
        match node:
            case Name():
                slot = self.names[self.facts.symbol_of(node)]
                assert isinstance(slot, int)
                return lambda lanes: lanes.slots[slot]
            case Member():
                return self._member(node)
            case Index():
                return self._element(node)
            case _:
                raise self.context.refusal("this pointer", node)

    # Places

    def place(self, node: Expression) -> Place | None:
        """Return the place that an expression means; None where it is a value.

        A pointer is the place that it points to.
        """
        match node:
            case Name():
                found = self.names.get(self.facts.symbol_of(node))
                return None if isinstance(found, int) else found
            case Unary(operator="*" | "&", operand=operand):
                return self.place(operand)
            case Member(value=value, name=name):
                outer = self.place(value)
                if outer is None or _is_swizzle(self._pointee(value), name):
                    return None
                return outer.member(name, self.facts.type_of(node), node.at)
            case Index(value=value, index=index):
                outer = self.place(value)
                if outer is None:
                    return None
                return outer.element(self.value(index), self.facts.type_of(node), node.at)
            case _:
                return None

    def _pointee(self, node: Expression) -> Type:
        type_ = self.facts.type_of(node)
        return type_.pointee if isinstance(type_, Pointer) else type_

    def _member(self, node: Member) -> Evaluate:
        outer, type_ = self._whole(node.value), self._pointee(node.value)
        if isinstance(type_, Structure):
            number = [name for name, _ in type_.members].index(node.name)
            return lambda lanes: outer(lanes)[number]
        places = ["xyzwrgba".index(letter) % 4 for letter in node.name]
        if len(places) == 1:
            return lambda lanes: outer(lanes)[places[0]]
        return lambda lanes: outer(lanes)[places]

    def _whole(self, node: Expression) -> Evaluate:
        """Compile the value that a node, or the pointer that it is, refers to."""
        place = self.place(node)
        if isinstance(place, Cells):
            cells, at = place, node.at
            return lambda lanes: cells.load(lanes, at)
        return self.value(node) if place is None else place.load

    def _element(self, node: Index) -> Evaluate:
        outer, index, at = self.value(node.value), self.value(node.index), node.at
        type_ = self.facts.type_of(node.value)
        match type_:
            case Vector(count=count) | Matrix(columns=count) | Array(count=int(count)):
                pass
            case _:
                raise self.context.refusal("this index", node)

        def run(lanes: Lanes) -> Value:
            place, _ = clip_index(lanes, index(lanes), count, "value", at)
            return pick(outer(lanes), place)

        return run

    # Operators

    def _unary(self, operator: str, node: Unary) -> Evaluate:
        operand, at = self.value(node.operand), node.at
        if operator == "-":
            return lambda lanes: negate(lanes, operand(lanes), at)
        return lambda lanes: ~operand(lanes)

    def _binary(self, node: Binary) -> Evaluate:
        """Compile operands from the left, without recursion: sums may have hundreds of terms."""
        spine: list[Binary] = []
        left: Expression = node
        while isinstance(left, Binary) and self.facts.value_of(left) is None:
            spine.append(left)
            left = left.left
        first = self.value(left)
        steps: list[Callable[[Lanes, Value], Value]] = [
            self._step(each) for each in reversed(spine)
        ]
        if len(steps) == 1:
            only = steps[0]
            return lambda lanes: only(lanes, first(lanes))

        def run(lanes: Lanes) -> Value:
            value = first(lanes)
            for step in steps:
                value = step(lanes, value)
            return value

        return run

    def _step(self, node: Binary) -> Callable[[Lanes, Value], Value]:
        right, at = self.value(node.right), node.at
        if node.operator in ("&&", "||"):
            return _logic(node.operator, right)
        operation = self.operation(node.operator, node.left, node.right)
        return lambda lanes, left: operation(lanes, left, right(lanes), at)

    def operation(self, operator: str, left: Expression, right: Expression) -> Operation:
        """Return the operation of an operator on two expressions."""
        return binary(operator, self.facts.type_of(left), self.facts.type_of(right))

    # Calls

    def _call(self, node: Call) -> Evaluate:
        name, at = node.function.name, node.at
        if id(node) in self.facts.symbols:
            return self.call_function(node, self)
        if name in UNITS:
            return units_call(self.context, node, self.value, self._pointer(node))
        if id(node) in self.facts.constructed:
            return self._construct(node)
        if name in BARRIERS and not node.arguments:
            return lambda lanes: lanes.barrier(at, name)
        if name in ATOMICS or name in ("arrayLength", "workgroupUniformLoad"):
            return self._pointer_call(node)
        return self._built_in(node)

    def _built_in(self, node: Call) -> Evaluate:
        name, at = node.function.name, node.at
        arguments = [self.value(argument) for argument in node.arguments]
        if name == "select":
            return _select(*arguments)
        if name in COLLECTIVES:
            return _collective(COLLECTIVES[name], arguments, at)
        if name not in BUILT_INS:
            raise self.context.refusal(f"the function {name}", node)
        called = BUILT_INS[name]
        return lambda lanes: called(lanes, at, *[each(lanes) for each in arguments])

    def _pointer(self, node: Call) -> Place | None:
        """Return the place of a call's first argument, where it is a pointer."""
        first = node.arguments[0]
        return self.place(first) if isinstance(self.facts.type_of(first), Pointer) else None

    def _pointer_call(self, node: Call) -> Evaluate:
        """Compile a built-in function whose first argument is a pointer."""
        name, at = node.function.name, node.at
        place = self._pointer(node)
        if not isinstance(place, Cells):
            raise self.context.refusal("this pointer", node)
        cells = place
        if name == "arrayLength":
            number = cells.memory
            assert isinstance(cells.tree, Row)
            return lambda lanes: np.array([lanes.memories[number].runtime_count], np.uint32)
        if name == "workgroupUniformLoad":
            return lambda lanes: _uniform_load(lanes, cells, at)
        function = ATOMICS[name]
        arguments = [self.value(argument) for argument in node.arguments[1:]]
        return lambda lanes: function(lanes, cells, at, *[each(lanes) for each in arguments])

    def _construct(self, node: Call) -> Evaluate:
        type_, at = self.facts.type_of(node), node.at
        if node.function.name == "bitcast":
            operand = self.value(node.arguments[0])
            return lambda lanes: bitcast(operand(lanes), type_)
        parts = [self.value(argument) for argument in node.arguments]
        given = [self.facts.type_of(argument) for argument in node.arguments]
        if isinstance(type_, Units):
            number = parts[0] if parts else _no_number
            return lambda lanes: _fill(lanes, type_, number(lanes))
        if not parts:
            fixed = zero(type_)
            return lambda lanes: fixed
        match type_:
            case Scalar(name=name):
                return lambda lanes: convert(lanes, parts[0](lanes), name, at)
            case Vector(count=count, scalar=scalar):
                return _vector(parts, given, count, scalar.name, at)
            case Matrix():
                return _matrix(parts, type_, at)
            case Structure():
                return lambda lanes: tuple(part(lanes) for part in parts)
            case _:
                return lambda lanes: _stack([part(lanes) for part in parts])


def _no_number(lanes: Lanes) -> Data:
    return np.zeros(1)


def _is_swizzle(type_: Type, name: str) -> bool:
    return isinstance(type_, Vector) and len(name) > 1


def _logic(operator: str, right: Evaluate) -> Callable[[Lanes, Value], Value]:
    """Return ``&&`` or ``||``, whose right side runs where it decides."""

    def run(lanes: Lanes, left: Data) -> Data:
        outer, active = lanes.mask, lanes.active
        decides = left if operator == "&&" else ~left
        if left.shape == (1,):
            return right(lanes) if decides[0] else left
        lanes.set_mask(outer & decides)
        result = left
        if lanes.active:
            other = right(lanes)
            result = left & other if operator == "&&" else left | other
        lanes.mask, lanes.active = outer, active
        return result

    return run


def _collective(function: Collective, arguments: list[Evaluate], at: int) -> Evaluate:
    def run(lanes: Lanes) -> Value:
        value = function(lanes, at, *[each(lanes) for each in arguments])
        lanes.meet_in_subgroups()
        return value

    return run


def _select(no: Evaluate, yes: Evaluate, condition: Evaluate) -> Evaluate:
    """Return ``select``, which runs both sides; faults count where their value is taken."""

    def run(lanes: Lanes) -> Any:
        chosen, outer = condition(lanes), lanes.relevant
        lanes.relevant = _both(outer, ~chosen)
        one = no(lanes)
        lanes.relevant = _both(outer, chosen)
        other = yes(lanes)
        lanes.relevant = outer
        return np.where(chosen, other, one)

    return run


def _both(outer: Data | None, inner: Data) -> Data:
    """Return where two masks are true, of which one may be of components."""
    if outer is None:
        return inner
    if outer.ndim > 1 and inner.ndim > 1 and len(outer) != len(inner):
        return np.asarray(outer.any(0) & inner.any(0))
    return outer & inner


def _vector(parts: list[Evaluate], given: list[Type], count: int, scalar: str, at: int) -> Evaluate:
    if len(parts) == 1:
        part = parts[0]
        if isinstance(given[0], Vector):
            return lambda lanes: convert(lanes, part(lanes), scalar, at)

        def splat(lanes: Lanes) -> Data:
            value = convert(lanes, part(lanes), scalar, at)
            return np.broadcast_to(value, (count, len(value)))

        return splat

    def join(lanes: Lanes) -> Data:
        rows = [np.atleast_2d(part(lanes)) for part in parts]
        width = max(row.shape[-1] for row in rows)
        wide = [np.broadcast_to(row, (len(row), width)) for row in rows]
        return np.concatenate(wide)

    return join


def _matrix(parts: list[Evaluate], type_: Matrix, at: int) -> Evaluate:
    def run(lanes: Lanes) -> Any:
        values = [part(lanes) for part in parts]
        if len(values) == 1:
            return convert(lanes, values[0], type_.scalar.name, at)
        flat = _stack(values)
        return flat.reshape(type_.columns, type_.rows, flat.shape[-1])

    return run


def _stack(values: list[Value]) -> Any:
    if isinstance(values[0], tuple):
        return tuple(_stack(list(column)) for column in zip(*values, strict=True))
    width = max(value.shape[-1] for value in values)
    return np.stack([np.broadcast_to(v, (*v.shape[:-1], width)) for v in values])


def _fill(lanes: Lanes, type_: Units, value: Data) -> Data:
    """Return a matrix of each subgroup with one number everywhere."""
    first = lanes.first_of_subgroups(lanes.spread(value))
    shape = (type_.rows, type_.columns, lanes.subgroup_count)
    return np.broadcast_to(first.astype(dtype_of(type_)), shape)


def _uniform_load(lanes: Lanes, cells: Cells, at: int) -> Value:
    """Load what a whole workgroup gets, between two barriers."""
    lanes.barrier(at, "workgroupBarrier")
    value = cells.load(lanes, at)
    lanes.barrier(at, "workgroupBarrier")
    return value
