"""Elementwise kernels and stencils of which an invocation computes several elements.

Memory is quickest in pieces of 16 bytes, or with much under way. A kernel of few steps waits for
memory alone; one of many, or of loops, does not, and stays as it is.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.flexible import close
from gpucore.compiler.passes.dead_code import drop_dead_code
from gpucore.compiler.walking import (
    walk_expressions,
    walk_program,
    walk_program_statements,
    with_parts,
)
from gpucore.wgsl.types.kinds import U32, Scalar

__all__ = ["ROW_NAMES", "element_function", "fits_rows", "fits_vectors", "neighbour_functions"]

_MOST_STEPS: Final = 200
_MOST_STEPS_OF_ROWS: Final = 500  # most are of borders, and not of the elements inside
_ELEMENT: Final = "element_of_"
_Change = Callable[[ir.Expression], ir.Expression]

ROW_NAMES: Final = {"x": "column-", "y": "row-", "z": "plane-"}
"""The parameters of a stencil's place by component of the global id: no names in Python."""


def fits_vectors(program: ir.Program) -> bool:
    """Tell whether four elements of an elementwise kernel can be, and should be, computed as one.

    Its arrays have numbers, and it knows of nothing but its own elements.
    """
    arrays = [each.array for each in program.kernel.parameters if each.array is not None]
    if not all(isinstance(close(each.element), Scalar) for each in arrays):
        return False
    return _is_short(program, _MOST_STEPS) and all(map(_is_alone, walk_program(program)))


def fits_rows(program: ir.Program) -> bool:
    """Tell whether an invocation of a stencil can, and should, compute several rows.

    Its offsets are known, and it knows of no place but its own.
    """
    result = program.kernel.parameters[-1].array
    if result is None or result.packed or None in program.reach.values():
        return False
    inside = (each for body in program.bodies[:-1] for each in walk_expressions(body))
    if any(isinstance(each, ir.BuiltIn | ir.Element) for each in inside):
        return False
    nodes = list(walk_program(program))
    ids = sum(isinstance(each, ir.BuiltIn) for each in nodes)
    return (
        _is_short(program, _MOST_STEPS_OF_ROWS)
        and ids == sum(map(_is_own, nodes))
        and all(map(_is_plain, nodes))
    )


def _is_own(node: ir.Expression) -> bool:
    """Tell whether an expression is a component of the place of an invocation's element."""
    return isinstance(node, ir.Member) and (
        isinstance(node.value, ir.BuiltIn)
        and node.value.name == "global_invocation_id"
        and node.name in ROW_NAMES
    )


def _is_short(program: ir.Program, most: int) -> bool:
    if program.shared or program.private:
        return False
    statements = walk_program_statements(program)
    if any(isinstance(each, ir.For | ir.While | ir.Print) for each in statements):
        return False
    return sum(1 for _ in walk_program(program)) <= most


def _is_plain(node: ir.Expression) -> bool:
    match node:
        case ir.Atomic():
            return False
        case ir.Call(function=function):
            return function != "barrier" and not function.startswith("subgroup")
        case _:
            return True


def _is_alone(node: ir.Expression) -> bool:
    match node:
        case ir.BuiltIn(name=name):
            return name.startswith(_ELEMENT)
        case ir.Element(indices=indices):
            return isinstance(indices[0], ir.BuiltIn)
        case ir.Extent():
            return False
        case _:
            return _is_plain(node)


def element_function(program: ir.Program) -> ir.Function:
    """Make the kernel's body a function of an element's values, which returns that of the result.

    The kernel is left without statements.
    """
    kernel = program.kernel
    *given, result = (each for each in kernel.parameters if each.array is not None)
    used = {each.array for each in walk_program(program) if isinstance(each, ir.Element)}
    function = ir.Function(f"{kernel.name}_element", result=result.type)
    function.parameters = [
        ir.Parameter(each.name, each.array.element, each.place)
        for each in given
        if each.array is not None and each.array in used
    ]
    function.body = _returning(kernel.body, _with_values)
    kernel.body = []
    program.functions.append(function)
    return function


def neighbour_functions(program: ir.Program) -> tuple[ir.Function, ir.Function]:
    """Make the body of a stencil two functions of an element's place: inside, and at the border.

    The kernel is left without statements.
    """
    kernel = program.kernel
    result = kernel.parameters[-1]
    assert result.array is not None
    names = list(ROW_NAMES.values())[: result.array.rank]
    made = []
    for kind, is_inside in (("inside", True), ("border", False)):
        function = ir.Function(f"{kernel.name}_{kind}", result=result.type)
        function.parameters = [ir.Parameter(each, U32, result.place) for each in names]
        function.body = _returning(kernel.body, partial(_at_place, is_inside))
        drop_dead_code(function)
        made.append(function)
    kernel.body = []
    program.functions += made
    return made[0], made[1]


def _at_place(is_inside: bool, node: ir.Expression) -> ir.Expression:
    """Return an expression of one of the two functions."""
    change = partial(_at_place, is_inside)
    match node:
        case ir.Member(type=type_, place=place, name=name) if _is_own(node):
            return ir.Argument(type_, place, ROW_NAMES[name])
        case ir.Call(function=function, arguments=(inside, other)) if function == ir.INSIDE:
            return change(inside if is_inside else other)
        case _:
            return with_parts(node, change)


def _returning(block: ir.Block, change: _Change) -> ir.Block:
    """Return statements that return what they stored."""
    found: ir.Block = []
    for statement in block:
        match statement:
            case ir.Store(value=value, place=place):
                found.append(ir.Return(change(value), place))
                break
            case ir.If(condition=condition, body=body, otherwise=otherwise, place=place):
                blocks = _returning(body, change), _returning(otherwise, change)
                found.append(ir.If(change(condition), *blocks, place))
            case _:
                found.append(with_parts(statement, change))
    return found


def _with_values(node: ir.Expression) -> ir.Expression:
    """Return an expression with arguments in the place of elements."""
    if isinstance(node, ir.Load):
        return ir.Argument(node.type, node.place, node.element.array.name)
    return with_parts(node, _with_values)
