"""Norms of vectors and matrices, as `numpy.linalg.norm`.

Bound by memory: the floor is the bytes of x, read once; axes that are not last are moved there
first, which reads and writes x once more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, T, c64, f32
from gpustd.arrays.layout import transpose
from gpustd.launch.checks import as_float, as_int, require_buffers
from gpustd.linalg.decompositions.singular_values import svdvals
from gpustd.linalg.reductions import reduce_last

__all__ = ["norm", "order_of"]

_VECTOR_KINDS = {None: "nrm2", 2: "nrm2", 1: "asum", 0: "count", math.inf: "amax"}
_VECTOR_KINDS[-math.inf] = "amin"
_MATRIX_ORDERS = (1, -1, 2, -2, math.inf, -math.inf, "nuc")


def norm(
    x: Buffer[T],
    ord: float | str | None = None,  # noqa: A002
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
) -> Buffer[T]:
    """Norm of vectors or matrices, as `numpy.linalg.norm`.

    Args:
        x: any shape, f32 or f16 (summed in f32).
        ord: None for the Euclidean (Frobenius) norm. Of vectors: inf, -inf, 0 (how many are not 0)
            or another number p, ``sum(|x|^p)^(1/p)``, whose powers are as exact as the device's.
            Of matrices: "fro", 1, -1 (sums of columns), inf, -inf (sums of rows), 2, -2 and
            "nuc" (largest, smallest and sum of the singular values, of f32 alone). Of nothing
            it is 0; -inf, -1 and -2 of matrices are refused.
        axis: an axis of vectors, two axes of matrices, or None: all of x, which must have one or
            two axes unless ``ord`` is None.
        keepdims: the axes stay, as 1.

    The Euclidean norm neither overflows nor underflows before its result does. NaN stays NaN.
    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> x = Device.auto().buffer_from_array(np.array([[3, -4], [0, 1]], np.float32))
    >>> print(linalg.norm(x, 1).read(), linalg.norm(x, axis=1).read())
    5.0 [5. 1.]
    """
    require_buffers("norm", x)
    if x.dtype is c64:
        raise DTypeError(f"norm: {x!r}: wants f32 or f16")
    order = order_of("norm", "ord", ord)
    axes = _axes(x, order, axis)
    moved = _moved_last(x, axes)
    result = _of_matrices(moved, order) if len(axes) == 2 else _of_vectors(moved, order)
    if keepdims:
        kept = {a % len(x.shape) for a in axes} if axis is not None else set(range(len(x.shape)))
        return result.view(tuple(1 if i in kept else n for i, n in enumerate(x.shape)))
    return result


def order_of(op: str, name: str, order: Any) -> float | str | None:
    """A norm's order, as a Python number where it is one. Raises `ArgumentError`."""
    return order if order is None or isinstance(order, str) else as_float(op, name, order)


def _axes(x: Buffer[Any], order: float | str | None, axis: Any) -> tuple[int, ...]:
    """The axes that go, one for vectors and two for matrices; none where all of x is a vector."""
    rank = len(x.shape)
    if axis is None:
        if order is None:
            return ()
        if rank not in (1, 2):
            raise ShapeError(f"norm: ord = {order!r} of {x.shape}: tell which axes, by `axis`")
        return tuple(range(rank))
    named = axis if isinstance(axis, Sequence) else (axis,)
    axes = tuple(as_int("norm", "axis", a) for a in named)
    if len(axes) not in (1, 2) or any(not -rank <= a < rank for a in axes):
        raise ShapeError(f"norm: axis = {axis} of {x.shape}: wants one or two of its axes")
    if len({a % rank for a in axes}) != len(axes):
        raise ShapeError(f"norm: axis = {axis}: names one axis twice")
    return axes


def _moved_last(x: Buffer[T], axes: tuple[int, ...]) -> Buffer[T]:
    """``x`` with ``axes`` last; flat where there are none."""
    if not axes:
        return x.view((x.size,))
    rank = len(x.shape)
    last = [a % rank for a in axes]
    order = [*(a for a in range(rank) if a not in last), *last]
    return x if order == list(range(rank)) else transpose(x, order)


def _of_vectors(x: Buffer[T], order: float | str | None) -> Buffer[T]:
    if isinstance(order, str):
        raise ArgumentError(f"norm: ord = {order!r} of vectors: a number, inf, -inf or None")
    kind = _VECTOR_KINDS.get(order, "power")
    if kind == "amin" and not x.shape[-1]:
        raise ShapeError(f"norm: ord = {order} of vectors without elements")
    return _reduced(kind, x, 1.0 if order is None else order)


def _of_matrices(x: Buffer[T], order: float | str | None) -> Buffer[T]:
    if order is None or order == "fro":
        return _reduced("nrm2", x.view((*x.shape[:-2], x.shape[-2] * x.shape[-1])))
    if order not in _MATRIX_ORDERS:
        raise ArgumentError(f"norm: ord = {order!r} of matrices: one of {_MATRIX_ORDERS} or 'fro'")
    if order == "nuc":
        return _reduced("asum", _singular_values(x))
    rank = len(x.shape)
    if order in (2, -2):
        sums = _singular_values(x)
    elif order in (1, -1):
        sums = _reduced("asum", transpose(x, (*range(rank - 2), rank - 1, rank - 2)))
    else:
        sums = _reduced("asum", x)
    if not sums.shape[-1] and float(order) < 0:
        raise ShapeError(f"norm: ord = {order} of matrices {x.shape} without elements")
    return _reduced("amax" if float(order) > 0 else "amin", sums)


def _singular_values(x: Buffer[Any]) -> Buffer[Any]:
    if x.dtype is not f32:
        raise DTypeError(f"norm: {x!r}: orders 2, -2 and 'nuc' want f32; cast it")
    return svdvals(x)


def _reduced(kind: str, x: Buffer[T], power: float = 1.0) -> Buffer[T]:
    result = x.device.buffer(x.dtype, x.shape[:-1])
    reduce_last("norm", kind, (x,), result, power=power)
    return result
