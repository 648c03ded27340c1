"""Functions of the user's as WGSL alone, for kernels that are written elsewhere.

A template of a reduction calls the user's operator: here it is compiled for the types that the
template computes in.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.emission import write_functions
from gpucore.compiler.errors import KernelSyntaxError, Place
from gpucore.compiler.flexible import close, describe_type
from gpucore.compiler.lowering import read_called
from gpucore.compiler.passes import drop_copies, drop_dead_code, fold_constants, move_invariants
from gpucore.compiler.source import FunctionSource
from gpucore.compiler.walking import expressions_of, walk_program, walk_program_statements
from gpucore.wgsl.types.kinds import F32, I32, U32, Scalar, Type, Vector

__all__ = ["DeviceCall", "DeviceCode", "compile_functions"]


def _text(type_: Type) -> str:
    """Return a type in WGSL; another word for types that a template cannot have."""
    match type_:
        case Vector(count=count, scalar=scalar):
            return f"vec{count}<{scalar.name}>"
        case Scalar(name=name):
            return name
        case _:
            return describe_type(type_)


_SHAPES: Final[tuple[Type, ...]] = tuple(
    each for scalar in (F32, I32, U32) for each in (scalar, Vector(2, scalar), Vector(4, scalar))
)
_TYPES: Final = {_text(each): each for each in _SHAPES}


@dataclass(frozen=True, slots=True)
class DeviceCall:
    """A function, and the types in WGSL that it is called with, such as f32 or vec2<f32>.

    None stands for the type that the call before gives.
    """

    source: FunctionSource
    arguments: tuple[str | None, ...]


@dataclass(frozen=True, slots=True)
class DeviceCode:
    """Functions in WGSL: ``names`` and ``results`` (types of WGSL) are those of the calls."""

    wgsl: str
    names: tuple[str, ...]
    results: tuple[str, ...]


def compile_functions(calls: tuple[DeviceCall, ...]) -> DeviceCode:
    """Return functions with all that they call. Raises `PythonKernelError`."""
    program = ir.Program(ir.Function("form"))
    made: list[ir.Function] = []
    results: list[str] = []
    for call in calls:
        given = [_TYPES[each if each is not None else results[-1]] for each in call.arguments]
        function = read_called(program, call.source, given)
        place = call.source.place(call.source.tree)
        result = "nothing" if function.result is None else _text(close(function.result))
        if result not in _TYPES:
            raise KernelSyntaxError(
                f"{function.name} must return f32, i32 or u32, or a vector of 2 or 4 of them, got "
                f"{result}",
                place,
            )
        made.append(function)
        results.append(result)
    _require_values_alone(program)
    for function in program.functions:
        drop_copies(function)
        fold_constants(function)
        drop_dead_code(function)
    move_invariants(program)
    wgsl, names = write_functions(program, made)
    return DeviceCode(wgsl, names, tuple(results))


def _require_values_alone(program: ir.Program) -> None:
    """Raise `KernelSyntaxError` for what a kernel has, and a function of values has not."""
    for statement in walk_program_statements(program):
        for value in expressions_of(statement):
            if isinstance(value, ir.Call) and value.function == "barrier":
                raise _not_here("a barrier", value.place)
    for node in walk_program(program):
        if isinstance(node, ir.Call) and node.function.startswith("subgroup"):
            raise _not_here("function of a subgroup", node.place)
        if isinstance(node, ir.BuiltIn):
            raise _not_here(f"{node.name} of an invocation", node.place)
        if isinstance(node, ir.Element):
            raise _not_here(f"shared memory ({node.array.name})", node.place)


def _not_here(what: str, place: Place) -> KernelSyntaxError:
    return KernelSyntaxError(
        f"an operator has no {what}: compute its result from its arguments alone", place
    )
