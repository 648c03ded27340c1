"""Norms of vectors and matrices, as `numpy.linalg.norm`.

Memory limits them: the least time is that of the bytes of x, read once. Axes that are not last are
moved there first, which reads and writes x once more.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, T, c64, f32
from gpustd.arrays.moving.transposing import transpose
from gpustd.launch.checks import as_float, as_int, require_buffers
from gpustd.linalg.decompositions.singular_values import svdvals
from gpustd.linalg.reductions import reduce_last

__all__ = ["as_order", "norm"]

_VECTOR_KINDS = {None: "nrm2", 2: "nrm2", 1: "asum", 0: "count", math.inf: "amax"}
_VECTOR_KINDS[-math.inf] = "amin"
_MATRIX_ORDERS = (1, -1, 2, -2, math.inf, -math.inf, "nuc")


def norm(
    x: Buffer[T],
    ord: float | str | None = None,  # noqa: A002
    axis: int | Sequence[int] | None = None,
    keepdims: bool = False,
) -> Buffer[T]:
    """Return the norm of vectors or matrices, as `numpy.linalg.norm`.

    Args:
        x: any shape, f32 or f16 (summed in f32).
        ord: None for the Euclidean (Frobenius) norm. For vectors: inf, -inf, 0 (how many are not 0)
            or another number p, ``sum(|x|^p)^(1/p)``, whose powers are as exact as the device's.
            For matrices: "fro", 1, -1 (sums of columns), inf, -inf (sums of rows), 2, -2 and "nuc"
            (largest, smallest and sum of the singular values, of f32 alone). Without elements the
            norm is 0, and -inf, -1 and -2 of matrices raise.
        axis: an axis of vectors, two axes of matrices, or None: all of x, which must have one or
            two axes unless ``ord`` is None.
        keepdims: keep the axes, with extent 1.

    The Euclidean norm neither overflows nor underflows before its result does. NaN stays NaN.
    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> x = device.buffer_from_array(np.array([[3, -4], [0, 1]], np.float32))
    >>> print(linalg.norm(x, 1).read(), linalg.norm(x, axis=1).read())
    5.0 [5. 1.]
    """
    require_buffers("norm", x)
    if x.dtype is c64:
        raise DTypeError(f"norm: x must be f32 or f16, got {x!r}")
    order = as_order("norm", "ord", ord)
    axes = _axes(x, order, axis)
    moved = _move_last(x, axes)
    result = _matrix_norm(moved, order) if len(axes) == 2 else _vector_norm(moved, order)
    if keepdims:
        ndim = len(x.shape)
        reduced = {a % ndim for a in axes} if axis is not None else set(range(ndim))
        return result.view(tuple(1 if i in reduced else n for i, n in enumerate(x.shape)))
    return result


def as_order(op: str, name: str, order: Any) -> float | str | None:
    """Return a norm's order, as a Python number where it is one. Raises `ArgumentError`."""
    return order if order is None or isinstance(order, str) else as_float(op, name, order)


def _axes(x: Buffer[Any], order: float | str | None, axis: Any) -> tuple[int, ...]:
    """Return the axes that go: one for vectors, two for matrices, none where all of x is a vector.

    Raises `ShapeError`.
    """
    ndim = len(x.shape)
    if axis is None:
        if order is None:
            return ()
        if ndim not in (1, 2):
            raise ShapeError(
                f"norm: x must have one or two axes for ord {order!r}, got {x!r}; choose with axis"
            )
        return tuple(range(ndim))
    named = axis if isinstance(axis, Sequence) else (axis,)
    axes = tuple(as_int("norm", "axis", a) for a in named)
    if len(axes) not in (1, 2) or any(not -ndim <= a < ndim for a in axes):
        raise ShapeError(f"norm: axis must be one or two of the axes of x, got {axis} of {x!r}")
    if len({a % ndim for a in axes}) != len(axes):
        raise ShapeError(f"norm: axis must not name one axis twice, got {axis}")
    return axes


def _move_last(x: Buffer[T], axes: tuple[int, ...]) -> Buffer[T]:
    """Return ``x`` with ``axes`` last, or flat where there are none."""
    if not axes:
        return x.view((x.size,))
    ndim = len(x.shape)
    last = [a % ndim for a in axes]
    order = [*(a for a in range(ndim) if a not in last), *last]
    return x if order == list(range(ndim)) else transpose(x, order)


def _vector_norm(x: Buffer[T], order: float | str | None) -> Buffer[T]:
    """Return the norm of the last axis. Raises `ArgumentError`, `ShapeError`."""
    if isinstance(order, str):
        raise ArgumentError(f"norm: ord of vectors must be a number or None, got {order!r}")
    kind = _VECTOR_KINDS.get(order, "power")
    if kind == "amin" and not x.shape[-1]:
        raise ShapeError(f"norm: vectors must have elements for ord {order}, got {x!r}")
    return _reduce(kind, x, 1.0 if order is None else order)


def _matrix_norm(x: Buffer[T], order: float | str | None) -> Buffer[T]:
    """Return the norm of the last two axes. Raises `ArgumentError`, `ShapeError`, `DTypeError`."""
    if order is None or order == "fro":
        return _reduce("nrm2", x.view((*x.shape[:-2], x.shape[-2] * x.shape[-1])))
    if order not in _MATRIX_ORDERS:
        raise ArgumentError(
            f"norm: ord of matrices must be one of {_MATRIX_ORDERS} or 'fro', got {order!r}"
        )
    if order == "nuc":
        return _reduce("asum", _singular_values(x))
    ndim = len(x.shape)
    if order in (2, -2):
        sums = _singular_values(x)
    elif order in (1, -1):
        sums = _reduce("asum", transpose(x, (*range(ndim - 2), ndim - 1, ndim - 2)))
    else:
        sums = _reduce("asum", x)
    if not sums.shape[-1] and float(order) < 0:
        raise ShapeError(f"norm: matrices must have elements for ord {order}, got {x!r}")
    return _reduce("amax" if float(order) > 0 else "amin", sums)


def _singular_values(x: Buffer[Any]) -> Buffer[Any]:
    """Return the singular values of f32. Raises `DTypeError`."""
    if x.dtype is not f32:
        raise DTypeError(f"norm: x must be f32 for orders 2, -2 and 'nuc', got {x!r}; cast it")
    return svdvals(x)


def _reduce(kind: str, x: Buffer[T], power: float = 1.0) -> Buffer[T]:
    """Return the reduction ``kind`` of the last axis."""
    result = x.device.buffer(x.dtype, x.shape[:-1])
    reduce_last("norm", kind, (x,), result, power=power)
    return result
