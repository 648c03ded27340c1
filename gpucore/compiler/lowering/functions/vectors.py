"""Vectors and matrices: how they are made, and the functions of them."""

from __future__ import annotations

from typing import Final

from gpucore.compiler import ir
from gpucore.compiler.errors import KernelTypeError, Place
from gpucore.compiler.flexible import Flexible, describe_type, is_number, meet, seen
from gpucore.compiler.lowering.operators import constant
from gpucore.wgsl.types.kinds import BOOL, Matrix, Scalar, Vector

__all__ = ["VECTOR_FUNCTIONS", "call_vector_function", "construct"]

VECTOR_FUNCTIONS: Final = {
    "dot": 2,
    "cross": 2,
    "length": 1,
    "distance": 2,
    "normalize": 1,
    "reflect": 2,
    "transpose": 1,
    "determinant": 1,
    "any_of": 1,
    "all_of": 1,
}
"""The functions of vectors and matrices, with the number of their arguments."""


def construct(type_: Vector | Matrix, parts: list[ir.Expression], place: Place) -> ir.Expression:
    """Return a vector or a matrix of its parts. Raises `KernelTypeError`."""
    if isinstance(type_, Matrix):
        return _matrix(type_, parts, place)
    if not parts:
        parts = [constant(0, place)]
    only = seen(parts[0].type) if len(parts) == 1 else None
    if isinstance(only, Vector) and only.count == type_.count and only.scalar != BOOL:
        return parts[0] if only == type_ else ir.Convert(type_, place, parts[0])
    count = 0
    for part in parts:
        kind = seen(part.type)
        count += kind.count if isinstance(kind, Vector) else 1
        scalar = kind.scalar if isinstance(kind, Vector) else kind
        if not isinstance(scalar, Scalar | Flexible) or meet(type_.scalar, scalar) is None:
            raise KernelTypeError(
                f"{describe_type(type_)} is made of {type_.scalar.name}, got "
                f"{describe_type(kind)}: convert it",
                part.place,
            )
    if count not in (1, type_.count) or (count == 1 and len(parts) > 1):
        raise KernelTypeError(
            f"{describe_type(type_)} takes 1 or {type_.count} numbers, got {count}", place
        )
    return ir.Construct(type_, place, tuple(parts))


def _matrix(type_: Matrix, parts: list[ir.Expression], place: Place) -> ir.Expression:
    column = Vector(type_.rows, type_.scalar)
    by_columns = len(parts) == type_.columns and all(seen(p.type) == column for p in parts)
    by_numbers = len(parts) == type_.columns * type_.rows and all(
        isinstance(seen(p.type), Scalar | Flexible) and meet(type_.scalar, p.type) is not None
        for p in parts
    )
    if not by_columns and not by_numbers:
        raise KernelTypeError(
            f"{describe_type(type_)} takes {type_.columns} columns of {describe_type(column)}, or "
            f"{type_.columns * type_.rows} numbers, column by column",
            place,
        )
    return ir.Construct(type_, place, tuple(parts))


def call_vector_function(name: str, parts: list[ir.Expression], place: Place) -> ir.Expression:
    """Return a call of a function of vectors or matrices. Raises `KernelTypeError`."""
    if len(parts) != VECTOR_FUNCTIONS[name]:
        raise KernelTypeError(
            f"{name} takes {VECTOR_FUNCTIONS[name]} arguments, got {len(parts)}", place
        )
    first = seen(parts[0].type)
    if name in ("transpose", "determinant"):
        return _matrix_function(name, parts[0], place)
    if not isinstance(first, Vector) or any(seen(p.type) != first for p in parts):
        given = ", ".join(describe_type(p.type) for p in parts)
        raise KernelTypeError(f"{name} takes vectors of one type, got {given}", place)
    if name in ("any_of", "all_of"):
        if first.scalar != BOOL:
            raise KernelTypeError(f"{name} takes a comparison of vectors", place)
        return ir.Call(BOOL, place, name.removesuffix("_of"), tuple(parts))
    if not is_number(first) or (name != "dot" and first.scalar.name not in ("f32", "f16")):
        raise KernelTypeError(f"{name} takes vectors of floats, got {describe_type(first)}", place)
    if name == "cross" and first.count != 3:
        raise KernelTypeError(f"cross takes vectors of 3, got {describe_type(first)}", place)
    scalar = name in ("dot", "length", "distance")
    return ir.Call(first.scalar if scalar else first, place, name, tuple(parts))


def _matrix_function(name: str, value: ir.Expression, place: Place) -> ir.Expression:
    kind = seen(value.type)
    if not isinstance(kind, Matrix) or (name == "determinant" and kind.columns != kind.rows):
        square = " square" if name == "determinant" else ""
        raise KernelTypeError(f"{name} takes a{square} matrix, got {describe_type(kind)}", place)
    if name == "determinant":
        return ir.Call(kind.scalar, place, name, (value,))
    return ir.Call(Matrix(kind.rows, kind.columns, kind.scalar), place, name, (value,))
