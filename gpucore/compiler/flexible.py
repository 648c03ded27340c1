"""Types that follow from use: a literal, or a variable that has only met literals, fits several.

``n = 0`` makes an integer whose type is open. ``n + global_id.x`` closes it: u32. What stays open
at the end is i32, or f32.
"""

from __future__ import annotations

from typing import Final

from gpucore.wgsl.types.kinds import (
    BOOL,
    F16,
    F32,
    I32,
    U32,
    Array,
    Matrix,
    Pointer,
    Scalar,
    Structure,
    Type,
    Vector,
    describe,
    scalar_of,
    with_scalar,
)

__all__ = [
    "FLOATS",
    "INTEGERS",
    "AnyType",
    "Flexible",
    "close",
    "describe_type",
    "is_bool",
    "is_float",
    "is_integer",
    "is_number",
    "meet",
    "seen",
    "settle",
    "with_element",
]

INTEGERS: Final = (I32, U32)
FLOATS: Final = (F32, F16)
_LETTERS: Final = {"f32": "f", "f16": "h", "i32": "i", "u32": "u", "bool": " of bool"}


class Flexible:
    """A number's type that is still open: an integer or a float of any size.

    ``literal`` is true for a literal: an integer one fits floats, too, which a variable does not.
    """

    __slots__ = ("_bound", "is_float", "literal")

    def __init__(self, is_float: bool, literal: bool) -> None:
        self.is_float = is_float
        self.literal = literal
        self._bound: AnyType | None = None

    @property
    def bound(self) -> AnyType | None:
        """Return what it has become, or None."""
        return self._bound

    def bind(self, type_: AnyType) -> None:
        """Close it: from now on it is ``type_``."""
        if type_ is not self:
            self._bound = type_

    def fits(self, type_: Type) -> bool:
        """Tell whether it can become a scalar type."""
        if self.is_float:
            return type_ in FLOATS
        return type_ in INTEGERS or (self.literal and type_ in FLOATS)


AnyType = Type | Flexible


def seen(type_: AnyType) -> AnyType:
    """Return what a type has become by now."""
    while isinstance(type_, Flexible) and type_.bound is not None:
        type_ = type_.bound
    return type_


def close(type_: AnyType) -> Type:
    """Return a type at the end: i32 or f32 for what nothing has closed."""
    type_ = seen(type_)
    if isinstance(type_, Flexible):
        final = F32 if type_.is_float else I32
        type_.bind(final)
        return final
    return type_


def settle(type_: AnyType) -> AnyType:
    """Return the type of a variable that gets a value of ``type_``: a literal's stays open."""
    type_ = seen(type_)
    if isinstance(type_, Flexible) and type_.literal:
        open_ = Flexible(type_.is_float, literal=False)
        type_.bind(open_)
        return open_
    return type_


def meet(left: AnyType, right: AnyType) -> AnyType | None:
    """Return the type that both are from now on; None where they do not fit.

    A scalar literal fits the numbers of a vector.
    """
    left, right = seen(left), seen(right)
    if isinstance(left, Flexible) and isinstance(right, Flexible):
        return _meet_open(left, right)
    if isinstance(left, Flexible):
        return right if _bind_to(left, right) else None
    if isinstance(right, Flexible):
        return left if _bind_to(right, left) else None
    return left if left == right else None


def _bind_to(open_: Flexible, type_: AnyType) -> bool:
    if isinstance(type_, Scalar) and open_.fits(type_):
        open_.bind(type_)
        return True
    return False


def _meet_open(left: Flexible, right: Flexible) -> AnyType | None:
    if left is right:
        return left
    if left.is_float != right.is_float:
        integer, other = (right, left) if left.is_float else (left, right)
        if not integer.literal:
            return None
        integer.bind(other)
        return other
    narrow, wide = (right, left) if left.literal else (left, right)
    wide.bind(narrow)
    return narrow


def is_float(type_: AnyType) -> bool:
    """Tell whether a type is a float, or a vector or matrix of them."""
    type_ = seen(type_)
    return type_.is_float if isinstance(type_, Flexible) else scalar_of(type_) in FLOATS


def is_integer(type_: AnyType) -> bool:
    """Tell whether a type is an integer, or a vector of them."""
    type_ = seen(type_)
    return not type_.is_float if isinstance(type_, Flexible) else scalar_of(type_) in INTEGERS


def is_bool(type_: AnyType) -> bool:
    """Tell whether a type is bool, not a vector of it."""
    return seen(type_) == BOOL


def is_number(type_: AnyType) -> bool:
    """Tell whether a type is a number, or a vector or matrix of them."""
    return is_float(type_) or is_integer(type_)


def with_element(type_: AnyType, scalar: Scalar) -> AnyType:
    """Return a type of the same shape, of another scalar."""
    type_ = seen(type_)
    return scalar if isinstance(type_, Flexible) else with_scalar(type_, scalar)


def describe_type(type_: AnyType) -> str:
    """Return a type as a kernel in Python writes it, for messages."""
    type_ = seen(type_)
    match type_:
        case Flexible(is_float=True):
            return "a float (f32 or f16)"
        case Flexible():
            return "an integer (i32 or u32)"
        case Vector(count=count, scalar=scalar):
            return f"vec{count}{_LETTERS[scalar.name]}"
        case Matrix(columns=columns, rows=rows, scalar=scalar):
            return f"mat{columns}x{rows}{_LETTERS[scalar.name]}"
        case Array(element=element, count=count):
            return f"shared({describe_type(element)}, {count})"
        case Structure(name=name):
            return name
        case Pointer(pointee=pointee):
            return describe_type(pointee)
        case _:
            return describe(type_)
