"""Statements and functions of WGSL as functions of the lanes that run them.

A statement leaves as active the invocations that come to the one behind it. A loop keeps those that
left it aside, and a function those that returned.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from gpucore.interpreter.errors import EndlessLoopError
from gpucore.interpreter.expressions import Expressions
from gpucore.interpreter.lanes import Lanes, Loop
from gpucore.interpreter.places import Cells, Evaluate, Place, Register, at_start
from gpucore.interpreter.scope import Context, MemoryPlan, Names, Run
from gpucore.interpreter.strands import run_together
from gpucore.interpreter.trees import tree_of
from gpucore.interpreter.values import Data, Value, merge, spread, zero
from gpucore.wgsl import syntax
from gpucore.wgsl.syntax import Call, Function, Statement
from gpucore.wgsl.types.facts import Symbol
from gpucore.wgsl.types.kinds import Array, Pointer, Structure, Type
from gpucore.wgsl.values import parse_literal

__all__ = ["Functions", "declare_variable"]

_MOST_ROUNDS: Final = 1 << 24


def has_array(type_: Type) -> bool:
    """Tell whether a type is or contains an array."""
    if isinstance(type_, Structure):
        return any(has_array(member) for _, member in type_.members)
    return isinstance(type_, Array)


def declare_variable(context: Context, symbol: Symbol, space: str) -> Place:
    """Return the place of a new variable of the invocations."""
    if not has_array(symbol.type):
        return Register(symbol.name, context.new_slot(), symbol.type)
    tree, leaves = tree_of(symbol.type)
    number = context.new_memory(MemoryPlan(symbol.name, "private", "read_write", tree, leaves))
    return Cells(symbol.name, number, tree, symbol.type)


def declare(lanes: Lanes, slot: int, value: Value) -> None:
    """Give a new variable its value."""
    lanes.slots[slot] = value
    lanes.scopes[slot] = lanes.active


@dataclass(frozen=True, slots=True)
class Compiled:
    """A function: the slots of its parameters and its result, and what it runs."""

    parameters: tuple[int, ...]
    result: int
    run: Run


class Functions:
    """Compiles the functions of a module, each once for the places that its pointers mean."""

    def __init__(self, context: Context) -> None:
        self._context = context
        self._by_name = {function.name: function for function in context.facts.functions}
        self._known: dict[tuple[object, ...], Compiled] = {}

    def compile(self, name: str, pointers: tuple[Place, ...] = ()) -> Compiled:
        """Compile a function for the places of its pointers."""
        key = (name, *map(_key, pointers))
        if key not in self._known:
            self._known[key] = self._compile(self._by_name[name], list(pointers))
        return self._known[key]

    def _compile(self, function: Function, pointers: list[Place]) -> Compiled:
        context, names = self._context, dict(self._context.module_names)
        slots: list[int] = []
        for parameter in function.parameters:
            symbol = context.facts.declared[id(parameter)]
            if isinstance(symbol.type, Pointer):
                names[symbol] = pointers.pop(0)
            else:
                names[symbol] = context.new_slot()
                slots.append(context.slots - 1)
        result = context.new_slot()
        body = _Body(context, names, result, self)
        return Compiled(tuple(slots), result, body.block(function.body))

    def call(self, node: Call, expressions: Expressions) -> Evaluate:
        """Compile the call of a function."""
        context = self._context
        symbol = context.facts.symbols[id(node)]
        signature = symbol.type
        assert isinstance(signature, Structure)
        values: list[Evaluate] = []
        pointers: list[Place] = []
        prepare: list[Run] = []
        for (_, type_), argument in zip(signature.members, node.arguments, strict=True):
            if not isinstance(type_, Pointer):
                values.append(expressions.value(argument))
                continue
            place = expressions.place(argument)
            if place is None:
                raise context.refusal("this pointer", argument)
            pointers.append(_fix(context, place, prepare))
        called = self.compile(symbol.name, tuple(pointers))

        def run(lanes: Lanes) -> Value:
            given = [value(lanes) for value in values]
            for each in prepare:
                each(lanes)
            for slot, value in zip(called.parameters, given, strict=True):
                lanes.slots[slot] = value
            outer, active = lanes.mask, lanes.active
            declare(lanes, called.result, None)
            called.run(lanes)
            lanes.mask, lanes.active = outer, active
            return lanes.slots[called.result]

        return run


def _key(place: Place) -> object:
    return place if isinstance(place, Register) else (place.memory, id(place.tree), place.linear)


def _fix(context: Context, place: Place, prepare: list[Run]) -> Place:
    """Return a place whose indices are evaluated where a pointer is made, not where it is used."""
    if isinstance(place, Register) or place.linear is at_start:
        return place
    slot, linear = context.new_slot(), place.linear
    prepare.append(lambda lanes: declare(lanes, slot, linear(lanes)))
    return Cells(place.name, place.memory, place.tree, place.type, lambda lanes: lanes.slots[slot])


class _Body:
    """Compiles the statements of one function, whose result goes into the slot ``result``."""

    def __init__(self, context: Context, names: Names, result: int, functions: Functions) -> None:
        self._context = context
        self._names = names
        self._result = result
        self._expressions = Expressions(context, names)
        self._expressions.call_function = functions.call
        self._switches = 0

    def block(self, block: syntax.Block) -> Run:
        """Compile the statements of a block."""
        return self._sequence(block.statements)

    def _sequence(self, statements: Sequence[Statement]) -> Run:
        steps = [
            self._statement(each) for each in statements if not isinstance(each, syntax.ConstAssert)
        ]
        if len(steps) == 1:
            return steps[0]

        def run(lanes: Lanes) -> None:
            for step in steps:
                step(lanes)
                if not lanes.active:
                    return

        return run

    def _statement(self, node: Statement) -> Run:
        match node:
            case syntax.Block():
                return self.block(node)
            case syntax.Variable():
                return self._variable(node)
            case syntax.CallStatement(call=call):
                return self._expressions.value(call)
            case syntax.If():
                return self._if(node)
            case syntax.Switch():
                return self._switch(node)
            case syntax.Assign() | syntax.Step():
                return self._assign(node)
            case syntax.For() | syntax.While() | syntax.Loop():
                return self._any_loop(node)
            case _:
                return self._jump(node)

    def _jump(self, node: Statement) -> Run:
        match node:
            case syntax.Return(value=value):
                return self._return(value)
            case syntax.Break():
                return _break
            case syntax.Continue():
                return self._continue()
            case syntax.BreakIf(condition=condition):
                return _branch(self._expressions.value(condition), _break, None)
            case _:
                raise self._context.refusal("this statement", node)

    # Variables

    def _variable(self, node: syntax.Variable) -> Run:
        symbol = self._context.facts.declared[id(node)]
        if node.kind == "const" and symbol.value is not None:
            return lambda lanes: None
        if node.kind != "var":
            return self._let(node, symbol)
        value = None if node.value is None else self._expressions.value(node.value)
        place = declare_variable(self._context, symbol, "function")
        self._names[symbol] = place
        first = zero(symbol.type)
        if isinstance(place, Register):
            slot = place.slot
            return lambda lanes: declare(lanes, slot, first if value is None else value(lanes))
        cells, at = place, node.at
        return lambda lanes: cells.store(lanes, first if value is None else value(lanes), at)

    def _let(self, node: syntax.Variable, symbol: Symbol) -> Run:
        assert node.value is not None
        if isinstance(symbol.type, Pointer):
            place = self._expressions.place(node.value)
            if place is None:
                raise self._context.refusal("this pointer", node)
            prepare: list[Run] = []
            self._names[symbol] = _fix(self._context, place, prepare)
            return prepare[0] if prepare else lambda lanes: None
        value = self._expressions.value(node.value)
        slot = self._context.new_slot()
        self._names[symbol] = slot
        return lambda lanes: declare(lanes, slot, value(lanes))

    def _assign(self, node: syntax.Assign | syntax.Step) -> Run:
        if isinstance(node, syntax.Step):
            one = syntax.Literal("1", at=node.at)
            return self._update(node.target, node.operator[0], one, node.at)
        if node.target is None:
            return self._expressions.value(node.value)
        if node.operator != "=":
            return self._update(node.target, node.operator[:-1], node.value, node.at)
        value = self._expressions.value(node.value)
        return self._store(node.target, value, node.at)

    def _store(self, target: syntax.Expression, value: Evaluate, at: int) -> Run:
        place = self._expressions.place(target)
        if place is None:
            raise self._context.refusal("this assignment", target)
        if isinstance(place, Register):
            register = place
            return lambda lanes: register.store(lanes, value(lanes))
        cells = place
        return lambda lanes: cells.store(lanes, value(lanes), at)

    def _update(
        self, target: syntax.Expression, operator: str, value: syntax.Expression, at: int
    ) -> Run:
        """Compile ``target operator= value``."""
        facts = self._context.facts
        old = self._expressions.value(target)
        if id(value) not in facts.types:  # the 1 of ++ and --
            facts.types[id(value)] = facts.type_of(target)
            facts.values[id(value)] = parse_literal("1")
            facts.nodes.append(value)
        given = self._expressions.value(value)
        operation = self._expressions.operation(operator, target, value)

        def run(lanes: Lanes) -> Value:
            return operation(lanes, old(lanes), given(lanes), at)

        return self._store(target, run, at)

    # Branches

    def _if(self, node: syntax.If) -> Run:
        otherwise = None if node.otherwise is None else self.block(node.otherwise)
        for clause in reversed(node.clauses):
            condition = self._expressions.value(clause.condition)
            then = self.block(clause.body)
            meets = self._context.has_barrier(clause.body) and node.otherwise is not None
            branch = _meeting_branch if meets and otherwise is not None else _branch
            otherwise = branch(condition, then, otherwise)
        assert otherwise is not None
        return otherwise

    def _switch(self, node: syntax.Switch) -> Run:
        selector = self._expressions.value(node.selector)
        self._switches += 1
        clauses: list[tuple[list[Evaluate], bool, Run]] = []
        for clause in node.clauses:
            tests = [self._expressions.value(s) for s in clause.selectors if s is not None]
            clauses.append((tests, None in clause.selectors, self.block(clause.body)))
        self._switches -= 1

        def run(lanes: Lanes) -> None:
            value, outer = selector(lanes), lanes.mask
            hits = [_any_equal(lanes, value, tests) & outer for tests, _, _ in clauses]
            rest = outer & ~np.logical_or.reduce(hits)
            frame = Loop()
            lanes.loops.append(frame)
            after = np.zeros(lanes.count, bool)
            for hit, (_, is_default, body) in zip(hits, clauses, strict=True):
                lanes.set_mask(hit | rest if is_default else hit)
                if lanes.active:
                    body(lanes)
                    after |= lanes.mask
            lanes.loops.pop()
            lanes.set_mask(after if frame.broken is None else after | frame.broken)

        return run

    # Loops

    def _any_loop(self, node: syntax.For | syntax.While | syntax.Loop) -> Run:
        switches, self._switches = self._switches, 0
        first: Run | None = None
        test: Evaluate | None = None
        step: Run | None = None
        if isinstance(node, syntax.For) and node.start is not None:
            first = self._statement(node.start)
        if not isinstance(node, syntax.Loop) and node.condition is not None:
            test = self._expressions.value(node.condition)
        if isinstance(node, syntax.For) and node.update is not None:
            step = self._statement(node.update)
        body = self.block(node.body)
        if isinstance(node, syntax.Loop) and node.continuing is not None:
            step = self.block(node.continuing)
        self._switches = switches
        loop = _loop(node.at, test, body, step)
        return loop if first is None else _both(first, loop)

    def _continue(self) -> Run:
        depth = -1 - self._switches

        def run(lanes: Lanes) -> None:
            frame = lanes.loops[depth]
            frame.continued = _join(frame.continued, lanes.mask)
            lanes.stop()

        return run

    def _return(self, value: syntax.Expression | None) -> Run:
        if value is None:
            return lambda lanes: lanes.stop()
        result, slot = self._expressions.value(value), self._result

        def run(lanes: Lanes) -> None:
            found, old = result(lanes), lanes.slots[slot]
            if old is None or lanes.active == lanes.scopes[slot]:
                lanes.slots[slot] = found
            else:
                lanes.slots[slot] = merge(lanes.mask, found, old)
            lanes.stop()

        return run


def _join(mask: Data | None, more: Data) -> Data:
    return more if mask is None else mask | more


def _break(lanes: Lanes) -> None:
    frame = lanes.loops[-1]
    frame.broken = _join(frame.broken, lanes.mask)
    lanes.stop()


def _both(first: Run, second: Run) -> Run:
    def run(lanes: Lanes) -> None:
        first(lanes)
        second(lanes)

    return run


def _any_equal(lanes: Lanes, value: Data, tests: list[Evaluate]) -> Data:
    hit = np.zeros(lanes.count, bool)
    for test in tests:
        hit |= spread(value == test(lanes), lanes.count)
    return hit


def _branch(condition: Evaluate, then: Run, otherwise: Run | None) -> Run:
    def run(lanes: Lanes) -> None:
        taken = condition(lanes)
        if taken.shape == (1,):
            if taken[0]:
                then(lanes)
            elif otherwise is not None:
                otherwise(lanes)
            return
        outer = lanes.mask
        lanes.set_mask(outer & taken)
        if lanes.active:
            then(lanes)
        after = lanes.mask
        lanes.set_mask(outer & ~taken)
        if lanes.active and otherwise is not None:
            otherwise(lanes)
        lanes.set_mask(after | lanes.mask)

    return run


def _meeting_branch(condition: Evaluate, then: Run, otherwise: Run | None) -> Run:
    """Return a branch whose sides, where parts of a workgroup take each, meet at barriers."""
    assert otherwise is not None
    plain, second = _branch(condition, then, otherwise), otherwise

    def run(lanes: Lanes) -> None:
        taken = lanes.spread(condition(lanes)) & lanes.mask
        groups = taken.reshape(lanes.group_count, lanes.width).sum(1)
        all_groups = lanes.mask.reshape(lanes.group_count, lanes.width).sum(1)
        if ((groups > 0) & (groups < all_groups)).any():
            jobs = [(taken, then), (lanes.mask & ~taken, second)]
            subgroup = lanes.local // lanes.subgroup_size
            parts = [
                (mask & (subgroup == number), job)
                for mask, job in jobs
                for number in range(lanes.subgroups_per_group)
            ]
            run_together(lanes, [part for part in parts if part[0].any()])
        else:
            plain(lanes)

    return run


def _loop(at: int, test: Evaluate | None, body: Run, step: Run | None) -> Run:
    def run(lanes: Lanes) -> None:
        frame = Loop()
        lanes.loops.append(frame)
        rounds = 0
        while lanes.active:
            if test is not None:
                _leave(lanes, frame, test(lanes))
                if not lanes.active:
                    break
            body(lanes)
            if frame.continued is not None:
                lanes.set_mask(lanes.mask | frame.continued)
                frame.continued = None
            if step is not None and lanes.active:
                step(lanes)
            rounds += 1
            if rounds > _MOST_ROUNDS:
                place = lanes.findings.place_of(at)
                raise EndlessLoopError(f"the loop in {place} does not end")
        lanes.loops.pop()
        if frame.broken is None:
            lanes.stop()
        else:
            lanes.set_mask(frame.broken)

    return run


def _leave(lanes: Lanes, frame: Loop, goes_on: Data) -> None:
    """Let the invocations leave a loop whose condition is false."""
    if goes_on.shape == (1,):
        if not goes_on[0]:
            _break(lanes)
        return
    leaves = lanes.mask & ~goes_on
    if leaves.any():
        frame.broken = _join(frame.broken, leaves)
        lanes.set_mask(lanes.mask & goes_on)
