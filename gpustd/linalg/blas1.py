"""BLAS 1: vectors (Lawson, Hanson, Kincaid and Krogh 1979, doi 10.1145/355841.355847).

Memory limits all of them: the least time is that of the bytes of operands and results.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, T, c64, i32
from gpustd.arrays.elementwise.linear_combinations import linear_combination
from gpustd.launch.checks import as_float, require_buffers
from gpustd.launch.elements import float_scalar, launch_each
from gpustd.linalg.reductions import reduce_last

__all__ = [
    "as_real_scale",
    "as_scale",
    "asum",
    "axpy",
    "copy",
    "dot",
    "iamax",
    "nrm2",
    "rot",
    "scal",
    "swap",
]


def dot(x: Buffer[T], y: Buffer[T], *, conjugate: bool = False) -> Buffer[T]:
    """Return ``sum(x * y)`` over the last axis; with ``conjugate``, of ``conj(x) * y``.

    ``x`` and ``y`` (..., N) have one shape, in f32, f16 (summed in f32) or c64. The result is
    (...): for vectors a 0-d buffer. N of 0 gives 0. Raises `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array(np.array([1, 2, 3], np.float32))
    >>> print(linalg.dot(x, x).read())
    14.0
    """
    _require_pair("dot", x, y)
    result = x.device.buffer(x.dtype, x.shape[:-1])
    reduce_last("dot", "dot", (x, y), result, conjugate=conjugate)
    return result


def asum(x: Buffer[T]) -> Buffer[T]:
    """Return the sum of sizes over the last axis: ``sum(|x|)``.

    ``x`` (..., N) is f32 or f16 (summed in f32); the result is (...). Raises `ShapeError`,
    `DTypeError`.

    >>> x = device.buffer_from_array(np.array([1, -2, 3], np.float32))
    >>> print(linalg.asum(x).read())
    6.0
    """
    require_buffers("asum", x)
    return _reduce("asum", x, x.dtype)


def nrm2(x: Buffer[T]) -> Buffer[T]:
    """Return the Euclidean length over the last axis, without overflow or underflow of squares.

    ``x`` (..., N) is f32 or f16; the result is (...). Sums are scaled as in Blue 1978 (doi
    10.1145/355769.355771). Numbers below 2**-126 may count as 0, since a device may flush them.
    Raises `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array(np.array([3, 4], np.float32))
    >>> print(linalg.nrm2(x).read())
    5.0
    """
    require_buffers("nrm2", x)
    return _reduce("nrm2", x, x.dtype)


def iamax(x: Buffer[Any]) -> Buffer[i32]:
    """Return the first index of the largest ``|x|`` over the last axis; a NaN is the largest.

    This is ``np.argmax(np.abs(x), axis=-1)``. ``x`` (..., N) is f32 or f16, with N of at least 1;
    the result is i32 (...). Raises `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array(np.array([1, -5, 5], np.float32))
    >>> print(linalg.iamax(x).read())
    1
    """
    require_buffers("iamax", x)
    if x.shape and not x.shape[-1]:
        raise ShapeError(f"iamax: the last axis of x must not be empty, got {x!r}")
    return _reduce("iamax", x, i32)


def axpy(x: Buffer[T], y: Buffer[T], a: complex = 1.0) -> Buffer[T]:
    """Return ``a * x + y`` of one shape, f32, f16 or c64 (whose ``a`` may be complex).

    Raises `ShapeError`, `DTypeError`, and `ArgumentError` for a complex ``a`` with real operands.

    >>> x = device.buffer_from_array(np.array([1, 2], np.float32))
    >>> print(linalg.axpy(x, x, 10.0).read())
    [11. 22.]
    """
    require_buffers("axpy", x, y)
    if x.shape != y.shape:
        raise ShapeError(f"axpy: x and y must have one shape, got {x.shape} and {y.shape}")
    if x.dtype is c64 or y.dtype is c64:
        return _combine_complex("axpy", a, (x, y))
    float_scalar("axpy", x, y)
    return linear_combination([(as_real_scale("axpy", "a", a), x), (1.0, y)])


def scal(a: complex, x: Buffer[T]) -> Buffer[T]:
    """Return ``a * x``, f32, f16 or c64 (whose ``a`` may be complex).

    Raises `DTypeError`, and `ArgumentError` for a complex ``a`` with a real operand.

    >>> x = device.buffer_from_array(np.array([1, 2], np.float32))
    >>> print(linalg.scal(3.0, x).read())
    [3. 6.]
    """
    require_buffers("scal", x)
    if x.dtype is c64:
        return _combine_complex("scal", a, (x,))
    float_scalar("scal", x)
    return linear_combination([(as_real_scale("scal", "a", a), x)])


def copy(x: Buffer[T]) -> Buffer[T]:
    """Return a new buffer with the contents of ``x``, of any shape and dtype.

    Raises `ArgumentError` unless ``x`` is a buffer.

    >>> x = device.buffer_from_array(np.array([1, 2], np.int32))
    >>> print(linalg.copy(x).read())
    [1 2]
    """
    require_buffers("copy", x)
    y = x.device.buffer(x.dtype, x.shape)
    y.copy_from(x)
    return y


def swap(x: Buffer[T], y: Buffer[T]) -> tuple[Buffer[T], Buffer[T]]:
    """Exchange the contents of two buffers of one shape and dtype, in place; return both.

    Raises `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array(np.array([1, 2], np.float32))
    >>> y = device.buffer_from_array(np.array([3, 4], np.float32))
    >>> _ = linalg.swap(x, y)
    >>> print(x.read(), y.read())
    [3. 4.] [1. 2.]
    """
    require_buffers("swap", x, y)
    if x.shape != y.shape:
        raise ShapeError(f"swap: x and y must have one shape, got {x.shape} and {y.shape}")
    if x.dtype is not y.dtype:
        raise DTypeError(
            f"swap: x and y must have one dtype, got {x!r} and {y!r}; cast one of them"
        )
    old_x = copy(x)
    x.copy_from(y)
    y.copy_from(old_x)
    return x, y


def rot(x: Buffer[T], y: Buffer[T], c: float, s: float) -> tuple[Buffer[T], Buffer[T]]:
    """Return a plane rotation, ``c x + s y`` and ``c y - s x``, of one shape, f32 or f16.

    Raises `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array(np.array([1, 0], np.float32))
    >>> y = device.buffer_from_array(np.array([0, 1], np.float32))
    >>> x, y = linalg.rot(x, y, 0.0, 1.0)
    >>> print(x.read(), y.read())
    [0. 1.] [-1.  0.]
    """
    float_scalar("rot", x, y)
    c, s = as_real_scale("rot", "c", c), as_real_scale("rot", "s", s)
    return linear_combination([(c, x), (s, y)]), linear_combination([(-s, x), (c, y)])


def _reduce(op: str, x: Buffer[Any], dtype: type[T]) -> Buffer[T]:
    """Return the reduction ``op`` of the last axis. Raises `ShapeError`, `DTypeError`."""
    if not x.shape:
        raise ShapeError(f"{op}: x must have a last axis, got {x!r}")
    if x.dtype is c64:
        raise DTypeError(f"{op}: x must be f32 or f16, got {x!r}")
    result = x.device.buffer(dtype, x.shape[:-1])
    reduce_last(op, op, (x,), result)
    return result


def _combine_complex(op: str, a: complex, operands: tuple[Buffer[Any], ...]) -> Buffer[Any]:
    """Return ``a x`` or ``a x + y`` of c64. Raises `DTypeError`, `ArgumentError`."""
    if any(b.dtype is not c64 for b in operands):
        raise DTypeError(f"{op}: operands must all be c64 where one is, got {operands}; cast them")
    x = operands[0]
    y = x.device.buffer(c64, x.shape)
    number = as_scale(op, "a", a)
    sizes = {"re": number.real, "im": number.imag}
    plus = len(operands) > 1
    launch_each("linalg/axpy.wgsl", {"plus": plus}, (*operands, y), x.size, sizes)
    return y


def _require_pair(op: str, x: Buffer[Any], y: Buffer[Any]) -> None:
    """Raise `ShapeError` or `DTypeError` unless both have one shape (..., N) and dtype."""
    require_buffers(op, x, y)
    if not x.shape or x.shape != y.shape:
        raise ShapeError(f"{op}: x and y must have one shape (..., N), got {x.shape} and {y.shape}")
    if x.dtype is not y.dtype:
        raise DTypeError(
            f"{op}: x and y must have one dtype, got {x!r} and {y!r}; cast one of them"
        )


def as_scale(op: str, name: str, a: Any) -> complex:
    """Return a number, NumPy's too, within f32. Raises `ArgumentError`."""
    if isinstance(a, (complex, np.complexfloating, np.ndarray)) and np.iscomplexobj(a):
        return complex(as_float(op, name, a.real), as_float(op, name, a.imag))
    return complex(as_float(op, name, a))


def as_real_scale(op: str, name: str, a: complex) -> float:
    """Return a real number as `as_scale`. Raises `ArgumentError` for a complex one."""
    number = as_scale(op, name, a)
    if number.imag:
        raise ArgumentError(
            f"{op}: {name} must be real for real operands, got {a!r}; cast them to c64"
        )
    return number.real
