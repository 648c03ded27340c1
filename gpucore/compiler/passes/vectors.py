"""Elementwise kernels in vectors: an invocation computes four elements that follow each other.

Memory is quickest in pieces of 16 bytes. A kernel of few steps waits for memory alone; one of many,
or of loops, does not, and stays as it is.
"""

from __future__ import annotations

from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.flexible import close
from gpucore.compiler.walking import (
    walk_program,
    walk_program_statements,
    with_parts,
)
from gpucore.wgsl.types.kinds import Scalar

__all__ = ["element_function", "fits_vectors"]

_MOST_STEPS: Final = 200
_ELEMENT: Final = "element_of_"


def fits_vectors(program: ir.Program) -> bool:
    """Tell whether four elements of an elementwise kernel can be, and should be, computed as one.

    Its arrays have numbers, and it knows of nothing but its own elements.
    """
    arrays = [each.array for each in program.kernel.parameters if each.array is not None]
    if program.shared or program.private:
        return False
    if not all(isinstance(close(each.element), Scalar) for each in arrays):
        return False
    statements = walk_program_statements(program)
    if any(isinstance(each, ir.For | ir.While | ir.Print) for each in statements):
        return False
    nodes = list(walk_program(program))
    return len(nodes) <= _MOST_STEPS and all(map(_is_plain, nodes))


def _is_plain(node: ir.Expression) -> bool:
    match node:
        case ir.BuiltIn(name=name):
            return name.startswith(_ELEMENT)
        case ir.Element(indices=indices):
            return isinstance(indices[0], ir.BuiltIn)
        case ir.Atomic() | ir.Extent():
            return False
        case ir.Call(function=function):
            return function != "barrier" and not function.startswith("subgroup")
        case _:
            return True


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
    function.body = _returning(kernel.body)
    kernel.body = []
    program.functions.append(function)
    return function


def _returning(block: ir.Block) -> ir.Block:
    """Return statements that return what they stored."""
    found: ir.Block = []
    for statement in block:
        match statement:
            case ir.Store(value=value, place=place):
                found.append(ir.Return(_with_values(value), place))
                break
            case ir.If(condition=condition, body=body, otherwise=otherwise, place=place):
                blocks = _returning(body), _returning(otherwise)
                found.append(ir.If(_with_values(condition), *blocks, place))
            case _:
                found.append(with_parts(statement, _with_values))
    return found


def _with_values(node: ir.Expression) -> ir.Expression:
    """Return an expression with arguments in the place of elements."""
    if isinstance(node, ir.Load):
        return ir.Argument(node.type, node.place, node.element.array.name)
    return with_parts(node, _with_values)
