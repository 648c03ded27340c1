"""Which barriers must order buffers, too, and not the memory of the workgroup alone.

A barrier need not where no buffer that the kernel writes is read or written before it. One in a
function need not where none of the calls needs it to.
"""

from __future__ import annotations

from collections.abc import Iterable

from gpucore.compiler import ir
from gpucore.compiler.errors import Place
from gpucore.compiler.walking import (
    blocks_of,
    expressions_of,
    walk_expression,
    walk_expressions,
    walk_program,
    walk_program_statements,
)

__all__ = ["barriers_of_storage"]


def barriers_of_storage(program: ir.Program) -> frozenset[Place]:
    """Return the places of the barriers that must order buffers."""
    written = {s.element.array for s in walk_program_statements(program) if isinstance(s, ir.Store)}
    written |= {e.element.array for e in walk_program(program) if isinstance(e, ir.Atomic)}
    order = _Order(frozenset(array for array in written if array.space == "storage"))
    order.walk(program.kernel.body, touched=False)
    return frozenset(order.found)


def _is_barrier(node: ir.Expression) -> bool:
    return isinstance(node, ir.Call) and node.function == "barrier"


class _Order:
    """A walk over a kernel in the order of its text, a loop's body being before itself."""

    def __init__(self, written: frozenset[ir.ArrayRef]) -> None:
        self._written = written
        self._called: dict[tuple[ir.Function, bool], bool] = {}
        self.found: set[Place] = set()

    def walk(self, block: ir.Block, touched: bool) -> bool:
        """Collect a block's barriers; return whether a written buffer may be touched by its end."""
        for statement in block:
            nodes = [n for each in expressions_of(statement) for n in walk_expression(each)]
            if touched:
                self.found |= {each.place for each in nodes if _is_barrier(each)}
            blocks = blocks_of(statement)
            if isinstance(statement, ir.For | ir.While):
                again = (*nodes, *(n for each in blocks for n in walk_expressions(each)))
                touched = touched or self._touches(again)
            touched = self._after(nodes, touched)
            after = [self.walk(each, touched) for each in blocks]
            touched = touched or any(after)
        return touched

    def _after(self, nodes: Iterable[ir.Expression], touched: bool) -> bool:
        """Walk the functions that a statement calls; return whether a buffer may be touched."""
        calls = [each.function for each in nodes if isinstance(each, ir.Invoke)]
        touched = touched or any(map(self._is_element, nodes))
        if len(calls) > 1:  # in what order, the text does not tell
            touched = touched or self._touches(nodes)
        after = [self._call(each, touched) for each in calls]
        return touched or any(after)

    def _call(self, function: ir.Function, touched: bool) -> bool:
        """Walk a function that is called; return as `walk` does."""
        key = function, touched
        if key not in self._called:
            self._called[key] = self.walk(function.body, touched)
        return self._called[key]

    def _touches(self, nodes: Iterable[ir.Expression]) -> bool:
        """Tell whether expressions, or the functions that they call, touch a written buffer."""
        return any(
            self._touches(walk_expressions(each.function.body))
            if isinstance(each, ir.Invoke)
            else self._is_element(each)
            for each in nodes
        )

    def _is_element(self, node: ir.Expression) -> bool:
        return isinstance(node, ir.Element) and node.array in self._written
