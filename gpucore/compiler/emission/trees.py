"""Pieces of WGSL's syntax tree: types and numbers."""

from __future__ import annotations

import math
from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.errors import KernelTypeError, Place
from gpucore.compiler.flexible import AnyType, close, describe_type
from gpucore.wgsl.errors import ConstantError
from gpucore.wgsl.syntax import Call, Expression, Literal, Name, Unary
from gpucore.wgsl.types.kinds import (
    BOOL,
    F32,
    I32,
    Array,
    Atomic,
    Matrix,
    Scalar,
    Structure,
    Vector,
)
from gpucore.wgsl.values import limits, round_to

__all__ = ["array_type", "call", "literal", "number", "type_name"]

_LEAST: Final = -(2**31)
_SUFFIXES: Final = {"f32": "f", "f16": "h", "i32": "i", "u32": "u"}


def type_name(type_: AnyType) -> Name:
    """Return a type as WGSL writes it."""
    match close(type_):
        case Scalar(name=name):
            return Name(name)
        case Vector(count=count, scalar=scalar):
            return Name(f"vec{count}", (Name(scalar.name),))
        case Matrix(columns=columns, rows=rows, scalar=scalar):
            return Name(f"mat{columns}x{rows}", (Name(scalar.name),))
        case Atomic(scalar=scalar):
            return Name("atomic", (Name(scalar.name),))
        case Array(element=element, count=count):
            size = () if count is None else (Literal(str(count)),)
            return Name("array", (type_name(element), *size))
        case Structure(name=name):
            return Name(name)
        case other:
            raise AssertionError(f"{other} has no name")


def array_type(array: ir.ArrayRef) -> Name:
    """Return the type of an array of known sizes."""
    return type_name(Array(close(array.element), math.prod(array.extents)))


def number(value: int, type_: Scalar) -> Expression:
    """Return a small number of a type, such as 0u."""
    suffix = _SUFFIXES[type_.name]
    return Literal(f"{value}.0{suffix}" if suffix in "fh" else f"{value}{suffix}")


def literal(node: ir.Constant, at: int) -> Expression:
    """Return a number as WGSL writes it. Raises `KernelTypeError` where its type is too small."""
    type_ = close(node.type)
    assert isinstance(type_, Scalar)
    if type_ == BOOL:
        return Literal("true" if node.value else "false", at=at)
    text = _text(node.value, type_, node.place)
    if type_ == I32 and node.value == _LEAST:  # it has no literal of its type
        return call("i32", Unary("-", Literal(str(-_LEAST), at=at), at=at), at=at)
    if text.startswith("-"):
        return Unary("-", Literal(text[1:], at=at), at=at)
    return Literal(text, at=at)


def _text(value: float, type_: Scalar, place: Place) -> str:
    if type_.name in ("i32", "u32"):
        low, high = limits(type_.name)
        if not isinstance(value, int) or not low <= value <= high:
            raise KernelTypeError(
                f"{value} does not fit {describe_type(type_)}, which holds {low} to {high}", place
            )
        return f"{value}{_SUFFIXES[type_.name]}"
    try:
        rounded = round_to(value, type_.name)
    except (ConstantError, OverflowError):
        raise KernelTypeError(f"{value} does not fit {describe_type(type_)}", place) from None
    shown = repr(rounded if type_ != F32 else _shortest(rounded))
    return shown + _SUFFIXES[type_.name]


def _shortest(value: float) -> float:
    """Return the shortest number that rounds to the same 32-bit float."""
    for digits in range(6, 10):
        short = float(f"{value:.{digits}g}")
        if round_to(short, "f32") == value:
            return short
    return value


def call(name: str, *arguments: Expression, at: int = -1) -> Call:
    """Return a call of a function or a conversion."""
    return Call(Name(name, at=at), arguments, at=at)
