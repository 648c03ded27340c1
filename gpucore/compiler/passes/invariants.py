"""Computes once, before a loop, what is the same in each of its rounds.

NVRTC does this, Mesa's drivers do not. Moved are expressions with a function or a division, of
values that the loop does not change and of arrays that no part of the kernel writes. They are
moved only from where each first round comes by, into a test whether there is one: so nothing runs
that did not before, neither an access out of bounds nor what the sanitizer would report.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.flexible import close
from gpucore.compiler.walking import (
    blocks_of,
    parts_of,
    walk_expression,
    walk_expressions,
    walk_program,
    walk_program_statements,
    walk_statements,
    with_parts,
)
from gpucore.wgsl.types.kinds import BOOL

__all__ = ["move_invariants"]

_CHEAP: Final = frozenset(("abs", "sign", "min", "max", "clamp", "select", "floor", "ceil", "fma"))
_SHARED: Final = ("subgroup", "quad", "barrier")


def move_invariants(program: ir.Program) -> None:
    """Change the kernel of a program, and its functions, in place."""
    written = _written_arrays(program)
    for body in program.bodies:
        _move_in(body, written)


def _written_arrays(program: ir.Program) -> set[ir.ArrayRef]:
    """Return the arrays that some part of a program changes."""
    found: set[ir.ArrayRef] = {
        e.element.array for e in walk_program(program) if isinstance(e, ir.Atomic)
    }
    for statement in walk_program_statements(program):
        match statement:
            case ir.Store(element=element):
                found.add(element.array)
            case ir.Clear(array=array):
                found.add(array)
    return found


def _move_in(block: ir.Block, written: set[ir.ArrayRef]) -> None:
    """Change the loops of a block, the inner ones first."""
    changed: ir.Block = []
    for statement in block:
        for inner in blocks_of(statement):
            _move_in(inner, written)
        changed += _Loop(statement, written).statements() if _is_fit(statement) else [statement]
    block[:] = changed


def _is_fit(statement: ir.Statement) -> bool:
    """Tell whether a loop counts from a number by a number, and has no barrier."""
    return (
        isinstance(statement, ir.For)
        and isinstance(statement.step, int)
        and isinstance(statement.start, ir.Constant)
        and not any(_is_shared(each) for each in walk_expressions(statement.body))
    )


def _is_shared(node: ir.Expression) -> bool:
    """Tell whether an expression is of several invocations."""
    if isinstance(node, ir.Invoke):
        return any(map(_is_shared, walk_expressions(node.function.body)))
    return isinstance(node, ir.Call) and node.function.startswith(_SHARED)


@dataclass(frozen=True)
class _Loop:
    """One loop, whose step is a number."""

    statement: ir.Statement
    written: set[ir.ArrayRef]

    def statements(self) -> ir.Block:
        """Return the statements that stand in its place."""
        loop = self.statement
        assert isinstance(loop, ir.For)
        changing = {loop.counter}
        for each in walk_statements(loop.body):
            if isinstance(each, ir.Assign):
                changing.add(each.variable)
            elif isinstance(each, ir.For):
                changing.add(each.counter)
        mover = _Mover(changing, self.written)
        body: ir.Block = []
        for at, statement in enumerate(loop.body):
            body.append(mover.statement(statement))
            if any(
                isinstance(each, ir.Break | ir.Continue | ir.Return)
                for each in walk_statements([statement])
            ):
                body += loop.body[at + 1 :]  # what follows need not run in the first round
                break
        if not mover.found:
            return [loop]
        statements: ir.Block = [*mover.found, replace(loop, body=body)]
        return statements if _has_a_round(loop) else [_if_it_has_a_round(loop, statements)]


def _has_a_round(loop: ir.For) -> bool:
    start, stop = loop.start, loop.stop
    if not isinstance(start, ir.Constant) or not isinstance(stop, ir.Constant):
        return False
    assert isinstance(loop.step, int)
    return start.value < stop.value if loop.step > 0 else start.value > stop.value


def _if_it_has_a_round(loop: ir.For, body: ir.Block) -> ir.If:
    assert isinstance(loop.step, int)
    operator = "<" if loop.step > 0 else ">"
    start = replace(loop.start, type=close(loop.counter.type))
    return ir.If(ir.Binary(BOOL, loop.place, operator, start, loop.stop), body, [], loop.place)


class _Mover:
    """Takes expressions out of statements; ``found`` are those that compute them before."""

    def __init__(self, changing: set[ir.Variable], written: set[ir.ArrayRef]) -> None:
        self._changing, self._written = changing, written
        self.found: ir.Block = []

    def statement(self, statement: ir.Statement) -> ir.Statement:
        """Return a statement whose own expressions read what was moved."""
        if isinstance(statement, ir.Print | ir.While):
            return statement
        return with_parts(statement, self._move)

    def _move(self, node: ir.Expression) -> ir.Expression:
        if isinstance(node, ir.Binary) and node.operator in ("&&", "||"):
            return replace(node, left=self._move(node.left))  # the right side need not run
        if isinstance(node, ir.Atomic | ir.Element):
            return with_parts(node, self._move)
        if self._is_fixed(node):
            return self._keep(node) if any(map(_is_costly, walk_expression(node))) else node
        return with_parts(node, self._move)

    def _keep(self, node: ir.Expression) -> ir.Expression:
        variable = ir.Variable("fixed", node.type, node.place, assignments=1, temporary=True)
        self.found.append(ir.Assign(variable, node, node.place))
        return ir.Read(node.type, node.place, variable)

    def _is_fixed(self, node: ir.Expression) -> bool:
        """Tell whether an expression has one value in all rounds."""
        match node:
            case ir.Read(variable=variable):
                return variable not in self._changing
            case ir.Atomic():
                return False
            case ir.Load(element=element):
                return self._is_kept(element.array) and all(map(self._is_fixed, element.indices))
            case ir.Invoke(function=function):
                return self._gives_a_value(function) and all(map(self._is_fixed, node.arguments))
            case _:
                return all(map(self._is_fixed, parts_of(node)))

    def _is_kept(self, array: ir.ArrayRef) -> bool:
        return array.space == "storage" and array not in self._written

    def _gives_a_value(self, function: ir.Function) -> bool:
        """Tell whether a function does nothing else, of its arguments and of arrays that stay."""
        if function.has_effect:
            return False
        if any(isinstance(each, ir.Print | ir.Clear) for each in walk_statements(function.body)):
            return False
        return all(
            self._is_kept(each.array)
            if isinstance(each, ir.Element)
            else self._gives_a_value(each.function)
            if isinstance(each, ir.Invoke)
            else not isinstance(each, ir.Atomic)
            for each in walk_expressions(function.body)
        )


def _is_costly(node: ir.Expression) -> bool:
    """Tell whether an expression takes a GPU longer than a place for its value costs."""
    match node:
        case ir.Call(function=function):
            return function not in _CHEAP
        case ir.Binary(operator=operator, right=right):
            return operator in ("/", "%") and not isinstance(right, ir.Constant)
        case _:
            return isinstance(node, ir.Invoke)
