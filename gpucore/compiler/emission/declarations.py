"""What a kernel declares at module scope: its uniform, arrays, shared memory and structures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.compiled import ArrayBinding, Field
from gpucore.compiler.emission.trees import literal, type_name
from gpucore.compiler.errors import KernelSyntaxError
from gpucore.compiler.flexible import close
from gpucore.compiler.walking import walk_program
from gpucore.wgsl.lexer import KEYWORDS, RESERVED
from gpucore.wgsl.syntax import Attribute, Call, Literal, Name, Struct, StructMember, Variable
from gpucore.wgsl.types.kinds import (
    F16,
    F32,
    U32,
    Array,
    Atomic,
    Matrix,
    Scalar,
    Structure,
    Type,
    Vector,
)

__all__ = [
    "array_binding",
    "array_variable",
    "features_of",
    "print_buffer",
    "shared_variable",
    "structures_of",
    "table_variable",
    "uniform_of",
]

_TUPLE: Final = "Tuple_"


def _binding(number: int) -> tuple[Attribute, ...]:
    group = Attribute("group", (Literal("0"),))
    return group, Attribute("binding", (Literal(str(number)),))


def uniform_of(
    struct: str, name: str, fields: Sequence[Field], number: int
) -> tuple[Struct, Variable]:
    """Return the declarations of the numbers that a launch gives."""
    members = tuple(StructMember(each.name, _field_type(each.type)) for each in fields)
    variable = Variable(
        "var", name, Name(struct), address_space="uniform", attributes=_binding(number)
    )
    return Struct(struct, members), variable


def _field_type(text: str) -> Name:
    """Return the type of a member: ``f32``, or ``vec3 f32``."""
    head, *inner = text.split()
    return Name(head, tuple(Name(each) for each in inner))


def array_variable(
    name: str, array: ir.ArrayRef, atomic: bool, written: bool, number: int
) -> Variable:
    """Return the declaration of an array that a launch binds."""
    return Variable(
        "var",
        name,
        type_name(Array(_element(array, atomic), None)),
        address_space="storage",
        access="read_write" if written else "read",
        attributes=_binding(number),
    )


def print_buffer(name: str, number: int) -> Variable:
    """Return the declaration of the buffer of the lines that a kernel prints."""
    return Variable(
        "var",
        name,
        type_name(Array(Atomic(U32), None)),
        address_space="storage",
        access="read_write",
        attributes=_binding(number),
    )


def shared_variable(name: str, array: ir.ArrayRef, atomic: bool, at: int) -> Variable:
    """Return the declaration of an array in shared memory."""
    size = 1
    for extent in array.extents:
        size *= extent
    type_ = type_name(Array(_element(array, atomic), size))
    return Variable("var", name, type_, address_space="workgroup", at=at)


def table_variable(name: str, node: ir.Table, at: int) -> Variable:
    """Return the declaration of a table of numbers."""
    type_ = type_name(Array(close(node.type), len(node.numbers)))
    values = tuple(literal(each, at) for each in node.numbers)
    return Variable("const", name, None, Call(type_, values, at=at), at=at)


def _element(array: ir.ArrayRef, atomic: bool) -> Type:
    element = close(array.element)
    if array.packed and isinstance(element, Vector):
        return element.scalar
    if not atomic or not isinstance(element, Scalar):
        return element
    return Atomic(U32 if element == F32 else element)


def array_binding(array: ir.ArrayRef, written: bool, any_shape: bool, atomic: bool) -> ArrayBinding:
    """Return how a launch gives an array."""
    element = close(array.element)
    rank = 0 if any_shape else array.rank
    match element:
        case Vector(count=count, scalar=scalar):
            return ArrayBinding(array.name, scalar.name, rank, written, count)
        case Structure(name=name):
            return ArrayBinding(array.name, "", rank, written, 1, name)
        case Scalar(name=name):
            return ArrayBinding(array.name, name, rank, written, as_bits=atomic and element == F32)
        case _:
            raise KernelSyntaxError(
                "elements of an array must be scalars, vectors or dataclasses", array.place
            )


def structures_of(program: ir.Program) -> list[Struct]:
    """Return the structures that a program uses, each before those that have it as a member."""
    used: dict[str, Structure] = {}
    for type_ in _types(program):
        _note(type_, used)
    for structure in used.values():
        for name in (structure.name, *(name for name, _ in structure.members)):
            if name in KEYWORDS or name in RESERVED or not name.isascii() or name[:2] == "__":
                raise KernelSyntaxError(
                    f"{name} of the dataclass {structure.name} is no name in WGSL: take another",
                    program.kernel.parameters[0].place,
                )
    return [
        Struct(each.name, tuple(StructMember(name, type_name(t)) for name, t in each.members))
        for each in used.values()
    ]


def _note(type_: Type, used: dict[str, Structure]) -> None:
    if isinstance(type_, Structure) and type_.name not in used:
        for _, member in type_.members:
            _note(member, used)
        used[type_.name] = type_


def _types(program: ir.Program) -> Iterable[Type]:
    for node in walk_program(program):
        if not (isinstance(node.type, Scalar) and node.type.name == "nothing"):
            yield close(node.type)
    for array in program.shared:
        yield close(array.element)
    for parameter in program.kernel.parameters:
        if parameter.kind == "value":
            yield close(parameter.type)


def features_of(program: ir.Program) -> tuple[str, ...]:
    """Return the extensions of WGSL that a program needs."""
    f16 = any(
        type_ == F16 or (isinstance(type_, Vector | Matrix) and type_.scalar == F16)
        for type_ in _types(program)
    )
    return (*(("f16",) if f16 else ()), *(("subgroups",) if _has_subgroups(program) else ()))


def _has_subgroups(program: ir.Program) -> bool:
    """Tell whether a program calls a function of subgroups, or reads their numbers."""
    return any(
        (isinstance(node, ir.Call) and node.function.startswith("subgroup"))
        or (isinstance(node, ir.BuiltIn) and node.name.startswith("subgroup_"))
        for node in walk_program(program)
    )
