"""How values of WGSL lie in NumPy arrays: the invocations are the last axis.

A scalar is an array (n), a vector (components, n), a matrix (columns, rows, n), and an array of
these (count, ..., n). A value that all invocations share has n = 1. A structure is a tuple of its
members, and an array of structures a tuple whose members have the axis of the array first.
"""

from __future__ import annotations

from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from gpucore.wgsl.types.facts import Value as Known
from gpucore.wgsl.types.kinds import (
    Array,
    Atomic,
    Matrix,
    Scalar,
    Structure,
    Type,
    Units,
    Vector,
)
from gpucore.wgsl.values import Constant

__all__ = ["DTYPES", "Data", "Value", "constant", "dtype_of", "merge", "spread", "zero"]

Data = NDArray[Any]
Value = Any
"""`Data`, or a tuple of values for a structure."""

DTYPES: Final[dict[str, np.dtype[Any]]] = {
    "bool": np.dtype(np.bool_),
    "i32": np.dtype(np.int32),
    "u32": np.dtype(np.uint32),
    "f32": np.dtype(np.float32),
    "f16": np.dtype(np.float16),
    "int": np.dtype(np.int32),
    "float": np.dtype(np.float32),
    "i8": np.dtype(np.int8),
    "u8": np.dtype(np.uint8),
}


def dtype_of(type_: Scalar | Vector | Matrix | Atomic | Units) -> np.dtype[Any]:
    """Return the dtype of a type's numbers."""
    scalar = type_ if isinstance(type_, Scalar) else type_.scalar
    return DTYPES[scalar.name]


def zero(type_: Type) -> Value:
    """Return the zero value of a type, one for all invocations."""
    match type_:
        case Structure(members=members):
            return tuple(zero(member) for _, member in members)
        case Array(element=element, count=count):
            return _repeat(zero(element), count or 1)
        case Scalar() | Atomic():
            return np.zeros(1, dtype_of(type_))
        case Vector(count=count):
            return np.zeros((count, 1), dtype_of(type_))
        case Matrix(columns=columns, rows=rows):
            return np.zeros((columns, rows, 1), dtype_of(type_))
        case Units(columns=columns, rows=rows):
            return np.zeros((rows, columns, 1), dtype_of(type_))
        case _:
            raise TypeError(f"{type_} has no zero value")


def _repeat(value: Value, count: int) -> Value:
    if isinstance(value, tuple):
        return tuple(_repeat(part, count) for part in value)
    return np.zeros((count, *value.shape), value.dtype)


def constant(value: Known, type_: Type) -> Value:
    """Return a value that is known before the shader runs."""
    if isinstance(value, Constant):
        assert isinstance(type_, Scalar)
        return np.array([value.value]).astype(DTYPES[type_.name])
    if isinstance(type_, Structure):
        parts = zip(value, type_.members, strict=True)
        return tuple(constant(part, member) for part, (_, member) in parts)
    return _stack([constant(part, _element(type_)) for part in value])


def _element(type_: Type) -> Type:
    match type_:
        case Vector(scalar=scalar):
            return scalar
        case Matrix(rows=rows, scalar=scalar):
            return Vector(rows, scalar)
        case Array(element=element):
            return element
        case _:
            raise TypeError(f"{type_} has no elements")


def _stack(parts: list[Value]) -> Value:
    if isinstance(parts[0], tuple):
        return tuple(_stack(list(column)) for column in zip(*parts, strict=True))
    return np.stack(parts)


def spread(value: Data, count: int) -> Data:
    """Return a value with an entry for each of ``count`` invocations."""
    if value.shape[-1] == count:
        return value
    return np.broadcast_to(value, (*value.shape[:-1], count))


def merge(mask: Data, new: Value, old: Value) -> Value:
    """Return ``new`` where the mask is true, and ``old`` elsewhere."""
    if isinstance(new, tuple):
        return tuple(merge(mask, n, o) for n, o in zip(new, old, strict=True))
    return np.where(mask, new, old)
