"""Where the arrays of an invocation are declared: in the one function that uses them.

A compiler of a GPU keeps a function's own array in registers more easily than a module's variable.
An array that a function gets from its caller is a variable of the module, since WGSL's functions
take no arrays.
"""

from __future__ import annotations

from collections import Counter

from gpucore.compiler import ir
from gpucore.compiler.walking import walk_expressions, walk_statements

__all__ = ["drop_first_clears", "homes_of"]


def homes_of(program: ir.Program) -> dict[ir.ArrayRef, int]:
    """Return the identity of the only body that uses an array; none for those of the module."""
    bodies: dict[ir.ArrayRef, set[int]] = {}
    for body in program.bodies:
        used = {e.array for e in walk_expressions(body) if isinstance(e, ir.Element)}
        used |= {s.array for s in walk_statements(body) if isinstance(s, ir.Clear)}
        for array in used & set(program.private):
            bodies.setdefault(array, set()).add(id(body))
    return {array: min(found) for array, found in bodies.items() if len(found) == 1}


def drop_first_clears(program: ir.Program, homes: dict[ir.ArrayRef, int]) -> None:
    """Drop statements that clear an array whose declaration has just done so."""
    counts = Counter(
        statement.array
        for body in program.bodies
        for statement in walk_statements(body)
        if isinstance(statement, ir.Clear)
    )
    for body in program.bodies:
        once = body is program.kernel.body
        body[:] = [
            statement
            for statement in body
            if not isinstance(statement, ir.Clear)
            or counts[statement.array] > 1
            or not (once or homes.get(statement.array) == id(body))
        ]
