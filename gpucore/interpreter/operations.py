"""What translated kernels call: types and built-in functions of WGSL on Python's values.

A u32 is an ``int``, an f32 or f16 a NumPy scalar, and a vector a NumPy array.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

import numpy as np
from numpy.typing import NDArray

__all__ = ["BUILT_INS", "OPERATIONS", "SCALARS", "as_scalar", "dtype_of_type"]

Vector = NDArray[Any]


def u32(value: Any = 0) -> int:
    """Return a value modulo 2^32."""
    return int(value) & 0xFFFFFFFF


SCALARS: dict[str, Callable[..., Any]] = {"u32": u32, "f32": np.float32, "f16": np.float16}


def dtype_of_type(constructor: Callable[..., Any]) -> np.dtype[Any]:
    """Return the NumPy dtype of a WGSL type, given as its constructor."""
    return np.dtype(np.uint32) if constructor is u32 else np.asarray(constructor()).dtype


def wrap(value: Any) -> Any:
    """Return an integer modulo 2^32, as u32 arithmetic is; other values as they are."""
    return value & 0xFFFFFFFF if type(value) is int else value


def divide(a: Any, b: Any) -> Any:
    """Return the quotient, rounded towards zero for u32."""
    return a // b if type(a) is int else a / b


@functools.cache
def vector(width: int, scalar: Callable[..., Any]) -> Callable[..., Vector]:
    """Return the constructor of a vector type: of parts, of one scalar for all, or of nothing."""
    dtype = dtype_of_type(scalar)

    def construct(*parts: Any) -> Vector:
        values = np.concatenate([np.atleast_1d(part) for part in parts or (0,)])
        return np.broadcast_to(values, width).astype(dtype)

    return construct


def structure(**members: Callable[..., Any]) -> Callable[..., SimpleNamespace]:
    """Return the constructor of a structure: of all members' values, or of nothing."""

    def construct(*values: Any) -> SimpleNamespace:
        given = values or [constructor() for constructor in members.values()]
        return SimpleNamespace(**dict(zip(members, given, strict=True)))

    return construct


def member(value: Any, name: str) -> Any:
    """Return a structure's member, or a swizzle of a vector."""
    if not isinstance(value, np.ndarray):
        return getattr(value, name)
    found = value[["xyzw".index(letter) for letter in name]]
    return found if len(name) > 1 else as_scalar(found[0])


def as_scalar(value: Any) -> Any:
    """Return a NumPy u32 as an ``int``; other scalars as they are."""
    return int(value) if isinstance(value, np.uint32) else value


def bitcast(constructor: Callable[..., Any], value: Any) -> Any:
    """Return the bits of a scalar or vector as those of a type of the same shape."""
    bits = np.asarray(value, np.uint32 if type(value) is int else None)
    return as_scalar(bits.view(dtype_of_type(constructor))[()])


def pack2x16float(pair: Vector) -> int:
    """Return two f32 as the f16 halves of a u32."""
    return int(pair.astype(np.float16).view(np.uint32)[0])


def unpack2x16float(word: int) -> Vector:
    """Return the f16 halves of a u32 as two f32."""
    return np.array([word], np.uint32).view(np.float16).astype(np.float32)


BUILT_INS: dict[str, Callable[..., Any]] = {
    "abs": abs,
    "exp": np.exp,
    "fma": lambda a, b, c: a * b + c,
    "max": max,
    "min": min,
    "pack2x16float": pack2x16float,
    "select": lambda otherwise, chosen, condition: chosen if condition else otherwise,
    "unpack2x16float": unpack2x16float,
}
OPERATIONS: dict[str, Callable[..., Any]] = {
    **BUILT_INS,
    **SCALARS,
    "bitcast": bitcast,
    "divide": divide,
    "member": member,
    "structure": structure,
    "vector": vector,
    "wrap": wrap,
}
