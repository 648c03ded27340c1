"""The types of expressions, and the conversions between them that WGSL makes by itself.

Source: WGSL specification, sections 6.1.2 (conversion rank) and 6.2 (plain types).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = [
    "ABSTRACT_FLOAT",
    "ABSTRACT_INT",
    "BOOL",
    "F16",
    "F32",
    "I32",
    "U32",
    "Array",
    "Atomic",
    "Matrix",
    "Pointer",
    "Scalar",
    "Structure",
    "Type",
    "Units",
    "Vector",
    "concrete",
    "converts",
    "describe",
    "is_abstract",
    "scalar_of",
    "with_scalar",
]


@dataclass(frozen=True, slots=True)
class Scalar:
    """``bool``, a number, or an abstract number: ``int`` or ``float``."""

    name: str


@dataclass(frozen=True, slots=True)
class Vector:
    """``count`` scalars."""

    count: int
    scalar: Scalar


@dataclass(frozen=True, slots=True)
class Matrix:
    """``columns`` vectors of ``rows`` scalars."""

    columns: int
    rows: int
    scalar: Scalar


@dataclass(frozen=True, slots=True)
class Atomic:
    """An integer in memory that only atomic functions touch."""

    scalar: Scalar


@dataclass(frozen=True, slots=True)
class Array:
    """``count`` elements, or as many as the memory has (None)."""

    element: Type
    count: int | None


@dataclass(frozen=True, slots=True)
class Structure:
    """A structure of the module or of a built-in function's result."""

    name: str
    members: tuple[tuple[str, Type], ...]

    def member(self, name: str) -> Type | None:
        """Return a member's type, or None."""
        return dict(self.members).get(name)


@dataclass(frozen=True, slots=True)
class Pointer:
    """The address of a value in an address space."""

    space: str
    pointee: Type
    access: str = "read_write"


@dataclass(frozen=True, slots=True)
class Units:
    """A matrix that the lanes of a subgroup share: ``left``, ``right`` or ``result``."""

    side: str
    scalar: Scalar
    columns: int
    rows: int


Type = Scalar | Vector | Matrix | Atomic | Array | Structure | Pointer | Units

BOOL: Final = Scalar("bool")
I32: Final = Scalar("i32")
U32: Final = Scalar("u32")
F32: Final = Scalar("f32")
F16: Final = Scalar("f16")
ABSTRACT_INT: Final = Scalar("int")
ABSTRACT_FLOAT: Final = Scalar("float")

_CONCRETE: Final = {ABSTRACT_INT: I32, ABSTRACT_FLOAT: F32}
_WIDER: Final = {
    ABSTRACT_INT: (ABSTRACT_FLOAT, I32, U32, F32, F16),
    ABSTRACT_FLOAT: (F32, F16),
}


def scalar_of(type_: Type) -> Scalar | None:
    """Return the scalar of a scalar, vector or matrix; None for another type."""
    if isinstance(type_, Scalar):
        return type_
    return type_.scalar if isinstance(type_, Vector | Matrix) else None


def with_scalar(type_: Type, scalar: Scalar) -> Type:
    """Return a scalar, vector or matrix type of the same shape with another scalar."""
    match type_:
        case Vector(count=count):
            return Vector(count, scalar)
        case Matrix(columns=columns, rows=rows):
            return Matrix(columns, rows, scalar)
        case Array(element=element, count=count):
            return Array(with_scalar(element, scalar), count)
        case _:
            return scalar


def is_abstract(type_: Type) -> bool:
    """Tell whether a type holds abstract numbers."""
    if isinstance(type_, Array):
        return is_abstract(type_.element)
    return scalar_of(type_) in _CONCRETE


def concrete(type_: Type) -> Type:
    """Return what a value becomes where nothing else is asked for: i32 or f32 of the same shape."""
    if isinstance(type_, Array):
        return Array(concrete(type_.element), type_.count)
    scalar = scalar_of(type_)
    return with_scalar(type_, _CONCRETE[scalar]) if scalar in _CONCRETE else type_


def converts(given: Type, to: Type) -> bool:
    """Tell whether WGSL converts a type by itself: an abstract one to a wider one of its shape."""
    if given == to:
        return True
    if isinstance(given, Array) and isinstance(to, Array):
        return given.count == to.count and converts(given.element, to.element)
    one, other = scalar_of(given), scalar_of(to)
    if one is None or other is None or with_scalar(given, other) != to:
        return False
    return other in _WIDER.get(one, ())


def describe(type_: Type) -> str:
    """Return a type as WGSL writes it, for messages."""
    match type_:
        case Scalar(name=name):
            return {"int": "abstract integer", "float": "abstract float"}.get(name, name)
        case Array(element=element, count=count):
            return f"array<{describe(element)}{'' if count is None else f', {count}'}>"
        case Structure(name=name):
            return name
        case Pointer(space=space, pointee=pointee):
            return f"ptr<{space}, {describe(pointee)}>"
        case _:
            return _describe_numbers(type_)


def _describe_numbers(type_: Vector | Matrix | Atomic | Units) -> str:
    scalar = describe(type_.scalar)
    match type_:
        case Vector(count=count):
            return f"vec{count}<{scalar}>"
        case Matrix(columns=columns, rows=rows):
            return f"mat{columns}x{rows}<{scalar}>"
        case Atomic():
            return f"atomic<{scalar}>"
        case Units(side=side, columns=columns, rows=rows):
            return f"subgroup_matrix_{side}<{scalar}, {columns}, {rows}>"
