"""How types, names and known values are written in the C family."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Final

from gpucore.wgsl.types.facts import Symbol, Value
from gpucore.wgsl.types.kinds import (
    Array,
    Atomic,
    Matrix,
    Pointer,
    Scalar,
    Structure,
    Type,
    Units,
    Vector,
)
from gpucore.wgsl.values import Constant

__all__ = ["is_read_only", "structure_text", "symbol_name", "type_name", "user_name", "value_text"]

_SCALARS: Final = {"bool": "bool", "i32": "int", "u32": "unsigned", "f32": "float", "f16": "w_half"}


def user_name(name: str) -> str:
    """Return a name of the WGSL as one of C: it ends in ``_``, as no name of the prelude does."""
    return "".join(c if c.isascii() else f"U{ord(c):x}" for c in name) + "_"


def symbol_name(symbol: Symbol) -> str:
    """Return the name of a symbol; names in a function have numbers, so that none hides another."""
    return user_name(symbol.name) + (str(symbol.number) if symbol.number else "")


def type_name(type_: Type) -> str:
    """Return a type as the prelude names it."""
    match type_:
        case Scalar(name=name):
            return _SCALARS[name]
        case Pointer(pointee=pointee):
            constant = "const " if is_read_only(type_) else ""
            return f"{constant}{type_name(pointee)}*"
        case Structure():
            return _structure_name(type_)
        case Array(element=element, count=count):
            name = type_name(element)
            return f"w_runtime<{name}>" if count is None else f"w_array<{name}, {count}>"
        case _:
            return _numbers_name(type_)


def _numbers_name(type_: Vector | Matrix | Atomic | Units) -> str:
    """Return the name of a type of several numbers, or of an atomic one."""
    scalar = type_name(type_.scalar)
    match type_:
        case Vector(count=count):
            return f"w_vec<{scalar}, {count}>"
        case Matrix(columns=columns, rows=rows):
            return f"w_mat<{scalar}, {columns}, {rows}>"
        case Atomic():
            return f"w_atomic<{scalar}>"
        case Units(side=side):
            return f"w_{side}<{scalar}>"


def is_read_only(pointer: Pointer) -> bool:
    """Tell whether nothing is written through a pointer."""
    return pointer.space == "uniform" or pointer.access == "read"


def has_length(type_: Type) -> bool:
    """Tell whether a type is a pointer to an array whose length the buffer decides.

    Such a parameter has a second one beside it in C, the length.
    """
    inner: Type = type_.pointee if isinstance(type_, Pointer) else type_
    while isinstance(inner, Structure) and inner.members:
        inner = inner.members[-1][1]
    return isinstance(type_, Pointer) and isinstance(inner, Array) and inner.count is None


def count_name(symbol: Symbol) -> str:
    """Return the name of the length beside a pointer."""
    return f"{symbol_name(symbol)}_count"


def _structure_name(structure: Structure) -> str:
    parts = [type_name(member) for _, member in structure.members]
    match structure.name:
        case "void":
            return "void"
        case "__frexp_result":
            return f"w_frexp_result<{', '.join(parts)}>"
        case "__modf_result":
            return f"w_modf_result<{parts[0]}>"
        case "__atomic_compare_exchange_result":
            return f"w_exchange_result<{parts[0]}>"
        case name:
            return user_name(name)


def structure_text(structure: Structure, parts: Sequence[str]) -> str:
    """Return a structure of the module with its members' values; padding has no value."""
    names = [user_name(name) for name, _ in structure.members]
    listed = ", ".join(f".{name} = {part}" for name, part in zip(names, parts, strict=True))
    return f"{type_name(structure)}{{{listed}}}"


def value_text(value: Value, type_: Type) -> str:
    """Return a known value as an expression of ``type_``."""
    if isinstance(value, Constant):
        return _scalar_text(value, type_)
    if isinstance(type_, Vector):
        parts = ", ".join(value_text(part, type_.scalar) for part in value)
        return f"{type_name(type_)}{{{parts}}}"
    if isinstance(type_, Structure):
        typed = zip(value, type_.members, strict=True)
        return structure_text(type_, [value_text(part, member) for part, (_, member) in typed])
    assert isinstance(type_, Array)
    parts = ", ".join(f"{{{value_text(part, type_.element)}}}" for part in value)
    return f"{type_name(type_)}{{{{{parts}}}}}"


def _scalar_text(constant: Constant, type_: Type) -> str:
    name = type_.name if isinstance(type_, Scalar) else constant.type
    if name == "bool":
        return "true" if constant.value else "false"
    if name == "u32":
        return f"{int(constant.value)}u"
    if name == "i32":
        return _i32_text(int(constant.value))
    if name == "f16":
        (bits,) = struct.unpack("<H", struct.pack("<e", float(constant.value)))
        return f"w_half{{{bits:#06x}}}"
    number = f"{float(constant.value)!r}f"
    return f"({number})" if number[0] == "-" else number


def _i32_text(value: int) -> str:
    if value == -(2**31):
        return "(-2147483647 - 1)"
    return f"({value})" if value < 0 else str(value)
