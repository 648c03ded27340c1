"""Arithmetic element by element, in f32 whatever the storage type."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gpucore import ArgumentError, Buffer, LimitError, ShapeError, T
from gpustd.flat import float_scalar, launch_flat, width_of, words_of
from gpustd.template import Value

__all__ = ["add", "guidance", "linear_combination", "multiply"]

_MOST_TERMS = 8
_BUFFER_LIMIT = "max_storage_buffers_per_shader_stage"


def add(x: Buffer[T], y: Buffer[T]) -> Buffer[T]:
    """``x + y`` of one shape, f16 or f32. Raises `ShapeError`, `DTypeError`."""
    return _binary("add", "+", x, y)


def multiply(x: Buffer[T], y: Buffer[T]) -> Buffer[T]:
    """``x * y`` of one shape, f16 or f32. Raises `ShapeError`, `DTypeError`."""
    return _binary("multiply", "*", x, y)


def _binary(op: str, operator: str, x: Buffer[T], y: Buffer[T]) -> Buffer[T]:
    _check_shapes(op, [x, y])
    spec: dict[str, Value] = {"scalar": float_scalar(op, x, y), "width": 4, "operator": operator}
    result = x.device.buffer(x.dtype, x.shape)
    launch_flat("elementwise/binary.wgsl", spec, (x, y, result), words_of(x.size))
    return result


def linear_combination(terms: Sequence[tuple[float, Buffer[T]]]) -> Buffer[T]:
    """Sum of coefficient times buffer over 1 to 8 terms of one shape, f16 or f32.

    The sum runs from the first term to the last in f32 and is rounded once. A term whose
    coefficient is 0 still counts: a NaN in it stays. Raises `ArgumentError`, `ShapeError`,
    `DTypeError`, and `LimitError` where the device takes fewer buffers in a kernel.
    """
    if not 1 <= len(terms) <= _MOST_TERMS:
        raise ArgumentError(f"linear_combination: {len(terms)} terms; takes 1 to {_MOST_TERMS}")
    buffers = [buffer for _, buffer in terms]
    _check_shapes("linear_combination", buffers)
    first = buffers[0]
    most = first.device.limits.get(_BUFFER_LIMIT, _MOST_TERMS + 1)
    if len(terms) >= most:
        raise LimitError(
            f"linear_combination: {len(terms)} terms and a result, and {first.device!r} takes "
            f"{most} buffers in a kernel: combine some of them first"
        )
    scalar = float_scalar("linear_combination", *buffers)
    spec: dict[str, Value] = {"scalar": scalar, "width": 4, "terms": len(terms)}
    coefficients = {f"c{i}": float(c) for i, (c, _) in enumerate(terms)}
    y = first.device.buffer(first.dtype, first.shape)
    count = words_of(first.size)
    launch_flat("elementwise/combination.wgsl", spec, (*buffers, y), count, coefficients)
    return y


def guidance(x: Buffer[T], scale: float) -> Buffer[T]:
    """Classifier-free guidance: (2 B, ...), unconditional half first, to (B, ...).

    ``u + scale (c - u)`` of each image of both halves (Ho and Salimans 2022, arXiv 2207.12598),
    f16 or f32. Raises `ShapeError` for an odd batch, `DTypeError`.
    """
    if not x.shape or x.shape[0] % 2:
        raise ShapeError(f"guidance: {x.shape}: wants an even batch, unconditional half first")
    y = x.device.buffer(x.dtype, (x.shape[0] // 2, *x.shape[1:]))
    width = width_of(y.size)
    spec: dict[str, Value] = {"scalar": float_scalar("guidance", x), "width": width}
    sizes = {"scale": float(scale)}
    launch_flat("elementwise/guidance.wgsl", spec, (x, y), y.size // width, sizes)
    return y


def _check_shapes(op: str, buffers: Sequence[Buffer[Any]]) -> None:
    shapes = [b.shape for b in buffers]
    if any(shape != shapes[0] for shape in shapes):
        listed = ", ".join(map(str, shapes))
        raise ShapeError(f"{op}: shapes {listed} differ: nothing is broadcast, make them equal")
