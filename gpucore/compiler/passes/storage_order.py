"""Which barriers must order buffers, too, and not the memory of the workgroup alone.

A barrier need not where no buffer that the kernel writes is read or written before it.
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
    for body in program.bodies[:-1]:  # those of functions, which may be called at any time
        order.found |= {each.place for each in walk_expressions(body) if _is_barrier(each)}
    order.walk(program.kernel.body, touched=False)
    return frozenset(order.found)


def _is_barrier(node: ir.Expression) -> bool:
    return isinstance(node, ir.Call) and node.function == "barrier"


class _Order:
    """A walk over a kernel in the order of its text, a loop's body being before itself."""

    def __init__(self, written: frozenset[ir.ArrayRef]) -> None:
        self._written = written
        self.found: set[Place] = set()

    def walk(self, block: ir.Block, touched: bool) -> bool:
        """Collect a block's barriers; return whether a written buffer may be touched by its end."""
        for statement in block:
            nodes = [n for each in expressions_of(statement) for n in walk_expression(each)]
            if touched:
                self.found |= {each.place for each in nodes if _is_barrier(each)}
            touched = touched or self._touches(nodes)
            blocks = blocks_of(statement)
            if isinstance(statement, ir.For | ir.While):
                touched = touched or any(self._touches(walk_expressions(each)) for each in blocks)
            after = [self.walk(each, touched) for each in blocks]
            touched = touched or any(after)
        return touched

    def _touches(self, nodes: Iterable[ir.Expression]) -> bool:
        return bool(self._written) and any(
            isinstance(each, ir.Invoke)
            or (isinstance(each, ir.Element) and each.array in self._written)
            for each in nodes
        )
