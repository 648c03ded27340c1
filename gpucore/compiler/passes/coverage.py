"""Which arrays the grid goes over: those that a kernel indexes with its own global id."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.compiled import Covered
from gpucore.compiler.walking import expressions_of, walk_expression, walk_program_statements

__all__ = ["axes_of", "covered_arrays"]

_AXES: Final = {"x": 0, "y": 1, "z": 2}
_IDS: Final = frozenset(
    ("global_invocation_id", "local_invocation_id", "workgroup_id", "num_workgroups")
)


def axes_of(program: ir.Program) -> int:
    """Return the number of axes of the grid that a kernel reads: 0 to 3."""
    found = 1 if program.kernel.result is not None else 0
    for node in _without_prints(program):
        match node:
            case ir.Member(value=ir.BuiltIn(name=built_in), name=axes) if built_in in _IDS:
                found = max(found, *(_AXES.get(axis, 0) + 1 for axis in axes))
    return found


def covered_arrays(program: ir.Program) -> tuple[Covered, ...]:
    """Return the axes of arrays that components of the global id index, or are compared with."""
    ids = _id_variables(program)
    found: dict[Covered, None] = {}
    for node in _without_prints(program):
        if isinstance(node, ir.Element) and node.array.space == "storage":
            for axis, index in enumerate(node.indices):
                grid_axis = _id_axis(index, ids)
                if grid_axis is not None:
                    found[Covered(grid_axis, node.array.name, axis)] = None
        elif isinstance(node, ir.Binary) and node.operator in ("<", ">", "<=", ">="):
            for one, other in ((node.left, node.right), (node.right, node.left)):
                grid_axis = _id_axis(one, ids)
                if grid_axis is not None and isinstance(other, ir.Extent):
                    found[Covered(grid_axis, other.array.name, other.axis)] = None
    return tuple(found)


def _without_prints(program: ir.Program) -> Iterator[ir.Expression]:
    """Yield every expression but those that are printed: they change no grid."""
    for statement in walk_program_statements(program):
        if not isinstance(statement, ir.Print):
            for each in expressions_of(statement):
                yield from walk_expression(each)


def _id_variables(program: ir.Program) -> dict[ir.Variable, int]:
    """Return the variables that are a component of the global id, with the axis."""
    found: dict[ir.Variable, int] = {}
    for statement in walk_program_statements(program):
        if isinstance(statement, ir.Assign) and statement.variable.assignments == 1:
            axis = _id_axis(statement.value, found)
            if axis is not None:
                found[statement.variable] = axis
    return found


def _id_axis(node: ir.Expression, known: dict[ir.Variable, int]) -> int | None:
    """Return the axis where a value is a component of the global id, converted or not."""
    match node:
        case ir.Convert(value=value):
            return _id_axis(value, known)
        case ir.Invoke(function=ir.Function(body=[ir.Return(value=value)])) if value is not None:
            return _id_axis(value, known)
        case ir.Read(variable=variable):
            return known.get(variable)
        case ir.Member(value=ir.BuiltIn(name="global_invocation_id"), name=name):
            return _AXES.get(name)
        case _:
            return None
