"""Operands of elementwise operations: dtypes, numbers, broadcasting, and the launch.

Nothing is promoted: buffers of one operation have one dtype, and a Python number takes it.
"""

from __future__ import annotations

import cmath
import math
import numbers
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from gpucore import ArgumentError, Buffer, DType, DTypeError, ShapeError, T, c64
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import launch_each, require_f16_support, words_of
from gpustd.launch.template import Value

__all__ = [
    "ALL",
    "FLOATS",
    "INTEGERS",
    "NUMBERS",
    "REALS",
    "AccessPlan",
    "Number",
    "Numeric",
    "Operand",
    "access_plan",
    "apply",
    "broadcast_shape",
    "broadcast_strides",
    "common_dtype",
    "elementwise",
    "merge_axes",
    "number_as",
    "operand_sizes",
]

Number = complex
"""A Python number: int, float or complex."""
Operand = Buffer[T] | Number
Numeric = (numbers.Number, np.bool_)
"""The classes of numbers at run time. Values that a dtype does not hold raise later."""

FLOATS = ("f16", "f32")
INTEGERS = ("i8", "i32", "u8", "u32")
REALS = (*FLOATS, *INTEGERS)
NUMBERS = ("c64", *FLOATS)
ALL = ("c64", *REALS)


def elementwise(
    op: str,
    operands: Sequence[Operand[Any]],
    dtypes: tuple[str, ...],
    result: type[DType] | None = None,
) -> Buffer[Any]:
    """Return ``op`` over broadcast operands of one of ``dtypes``.

    ``result`` is the result's dtype, that of the operands if None. Raises `DTypeError`,
    `ShapeError`, `ArgumentError`.
    """
    dtype = common_dtype(op, operands, dtypes)
    return apply(op, operands, [dtype] * len(operands), result or dtype)


def common_dtype(op: str, operands: Sequence[Operand[Any]], dtypes: tuple[str, ...]) -> type[DType]:
    """Return the one dtype of the buffers among ``operands``.

    Raises `DTypeError` unless it is one of ``dtypes``, `ArgumentError`.
    """
    buffers = [each for each in operands if isinstance(each, Buffer)]
    if not buffers and all(isinstance(each, Numeric) for each in operands):
        raise ArgumentError(
            f"{op}: one operand must be a Buffer, got numbers; make one with gpustd.full"
        )
    require_buffers(op, *(each for each in operands if not isinstance(each, Numeric)))
    kinds: set[type[DType]] = {b.dtype for b in buffers}
    listed = ", ".join(repr(b) for b in buffers)
    if len(kinds) != 1:
        raise DTypeError(f"{op}: buffers must have one dtype, got {listed}; cast them first")
    dtype = kinds.pop()
    if dtype.name not in dtypes:
        names = ", ".join(dtypes)
        raise DTypeError(f"{op}: the dtype must be one of {names}, got {listed}; cast it first")
    require_f16_support(op, dtype.name, buffers)
    return dtype


def number_as(op: str, value: Number, dtype: type[DType]) -> Any:
    """Return ``value`` as a number of ``dtype``, for a uniform: exact, or rounded among floats.

    Raises `DTypeError` for a float among integers or a complex number among reals, `ArgumentError`
    for a number that the dtype does not hold.
    """
    if isinstance(value, (bool, int, np.integer, np.bool_)):
        return _integer_as(op, int(value), dtype)
    if isinstance(value, (float, np.floating)) and dtype.name in NUMBERS:
        return _float_as(op, float(value), dtype)
    if dtype is c64 and isinstance(value, Numeric):
        return [_float_as(op, part, dtype)[0] for part in (value.real, value.imag)]
    raise DTypeError(
        f"{op}: the number must be of a kind that {dtype.name} holds, got {value!r}; cast the "
        "buffer or the number first"
    )


def _integer_as(op: str, value: int, dtype: type[DType]) -> Any:
    """Return an integer as a number of ``dtype``. Raises `ArgumentError`."""
    if dtype.name in INTEGERS:
        bits = 8 * dtype.itemsize
        least = 0 if dtype.name[0] == "u" else -(2 ** (bits - 1))
        fits = least <= value < least + 2**bits
    else:
        single = np.float16 if dtype.name == "f16" else np.float32
        most = int(np.finfo(single).max)
        fits = abs(value) <= most and int(single(value)) == value
    if not fits:
        advice = "give a float, or cast" if dtype.name in NUMBERS else "give another, or cast"
        raise ArgumentError(
            f"{op}: the number must be one that {dtype.name} holds, got {value}; {advice}"
        )
    if dtype.name in INTEGERS:
        return value
    return [float(value), 0.0] if dtype is c64 else float(value)


def _float_as(op: str, value: float, dtype: type[DType]) -> Any:
    """Return a float as a number of a float dtype. Raises `ArgumentError`."""
    single = np.float16 if dtype.name == "f16" else np.float32
    with np.errstate(over="ignore"):
        rounded = float(single(value))
    if math.isinf(rounded) and not cmath.isinf(value):
        raise ArgumentError(
            f"{op}: the number must be within the range of {dtype.name}, got {value!r}"
        )
    return [rounded, 0.0] if dtype is c64 else rounded


@dataclass(frozen=True)
class AccessPlan:
    """The way that a kernel reads its operands: modes, merged extents, strides of each operand."""

    modes: list[str]
    extents: list[int]
    strides: list[list[int]]


def apply(
    op: str,
    operands: Sequence[Operand[Any]],
    dtypes: Sequence[type[DType]],
    result: type[DType],
) -> Buffer[Any]:
    """Record ``op`` over checked operands of ``dtypes``; the new buffer is of dtype ``result``."""
    buffers = [each for each in operands if isinstance(each, Buffer)]
    shape = broadcast_shape(op, [b.shape for b in buffers])
    y: Buffer[Any] = buffers[0].device.buffer(result, shape)
    if not y.size:
        return y
    plan = access_plan(operands, shape)
    sizes = operand_sizes(op, operands, dtypes, plan) | {"last": y.size - 1}
    spec: dict[str, Value] = {
        "op": op,
        "kinds": " ".join(d.name for d in (*dtypes, result)),
        "modes": " ".join(plan.modes),
        "rank": len(plan.extents),
    }
    launch_each("arrays/elementwise.wgsl", spec, (*buffers, y), words_of(y.size), sizes)
    return y


def operand_sizes(
    op: str, operands: Sequence[Operand[Any]], dtypes: Sequence[type[DType]], plan: AccessPlan
) -> dict[str, Any]:
    """Return the uniform's fields for operands: extents, numbers of their dtypes, strides."""
    sizes: dict[str, Any] = {f"extent{i}": n for i, n in enumerate(plan.extents)}
    for k, (operand, mode) in enumerate(zip(operands, plan.modes, strict=True)):
        if mode == "number" and not isinstance(operand, Buffer):
            sizes[f"number{k}"] = number_as(op, operand, dtypes[k])
        elif mode in ("row", "column", "each"):
            sizes |= {f"stride{k}_{i}": n for i, n in enumerate(plan.strides[k])}
    return sizes


def broadcast_shape(op: str, shapes: Sequence[tuple[int, ...]]) -> tuple[int, ...]:
    """Return the shape that ``shapes`` broadcast to. Raises `ShapeError`."""
    try:
        return np.broadcast_shapes(*shapes)
    except ValueError:
        listed = ", ".join(map(str, shapes))
        raise ShapeError(
            f"{op}: extents must be equal or 1 to broadcast, got shapes {listed}"
        ) from None


def broadcast_strides(shape: tuple[int, ...], to: tuple[int, ...]) -> list[int]:
    """Return the strides along each axis of ``to``, 0 where ``shape`` is repeated."""
    full = (1,) * (len(to) - len(shape)) + shape
    return [0 if full[i] == 1 else math.prod(full[i + 1 :]) for i in range(len(to))]


def access_plan(operands: Sequence[Operand[Any]], shape: tuple[int, ...]) -> AccessPlan:
    """Return how operands are read for a result of ``shape``."""
    modes = [_simple_mode(each, shape) for each in operands]
    strides: list[list[int]] = [
        broadcast_strides(each.shape, shape) if isinstance(each, Buffer) and not mode else []
        for each, mode in zip(operands, modes, strict=True)
    ]
    if all(modes):
        return AccessPlan(modes, [], strides)
    extents, merged = merge_axes(shape, [s for s in strides if s])
    waiting = iter(merged)
    strides = [next(waiting) if s else [] for s in strides]
    words = extents[-1] % 4 == 0
    for k, mode in enumerate(modes):
        if mode:
            continue
        row = strides[k][-1] == 1
        modes[k] = ("row" if row else "column") if words else "each"
        if words and row:
            strides[k] = [*(n // 4 for n in strides[k][:-1]), 1]
    if words:
        extents[-1] //= 4
    return AccessPlan(modes, extents, strides)


def _simple_mode(operand: Operand[Any], shape: tuple[int, ...]) -> str:
    """Return the mode of an operand that needs no axes; empty where it needs them."""
    if not isinstance(operand, Buffer):
        return "number"
    if operand.shape == shape or operand.size == math.prod(shape):
        return "flat"
    return "single" if operand.size == 1 else ""


def merge_axes(
    shape: Sequence[int], strides: Sequence[Sequence[int]]
) -> tuple[list[int], list[list[int]]]:
    """Return extents and strides without axes of extent 1; neighbours are merged where possible."""
    extents: list[int] = []
    kept: list[list[int]] = [[] for _ in strides]
    for axis, n in enumerate(shape):
        if n == 1:
            continue
        steps = [s[axis] for s in strides]
        if extents and all(k[-1] == step * n for k, step in zip(kept, steps, strict=True)):
            extents[-1] *= n
            for k, step in zip(kept, steps, strict=True):
                k[-1] = step
            continue
        extents.append(n)
        for k, step in zip(kept, steps, strict=True):
            k.append(step)
    return extents, kept
