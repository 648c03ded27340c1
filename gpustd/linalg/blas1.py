"""BLAS 1: vectors (Lawson, Hanson, Kincaid and Krogh 1979, doi 10.1145/355841.355847).

All are bound by memory: the floor is the bytes of their operands and results.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, T, c64, i32
from gpustd.arrays.combination import linear_combination
from gpustd.launch.checks import as_float, require_buffers
from gpustd.launch.elements import float_scalar, launch_each
from gpustd.linalg.reductions import reduce_last

__all__ = [
    "asum",
    "axpy",
    "copy",
    "dot",
    "iamax",
    "nrm2",
    "real_scale",
    "rot",
    "scal",
    "scale",
    "swap",
]


def dot(x: Buffer[T], y: Buffer[T], *, conjugate: bool = False) -> Buffer[T]:
    """``sum(x * y)`` over the last axis; with ``conjugate``, of ``conj(x) * y`` (as np.vecdot).

    ``x`` and ``y`` (..., N) have one shape, in f32, f16 (summed in f32) or c64. Returns (...): for
    vectors a 0-d buffer. N of 0 gives 0. Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> x = Device.auto().buffer_from_array(np.array([1, 2, 3], np.float32))
    >>> print(linalg.dot(x, x).read())
    14.0
    """
    _check_pair("dot", x, y)
    result = x.device.buffer(x.dtype, x.shape[:-1])
    reduce_last("dot", "dot", (x, y), result, conjugate=conjugate)
    return result


def asum(x: Buffer[T]) -> Buffer[T]:
    """Sum of sizes over the last axis: ``sum(|x|)``.

    ``x`` (..., N) is f32 or f16 (summed in f32). Returns (...). Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> x = Device.auto().buffer_from_array(np.array([1, -2, 3], np.float32))
    >>> print(linalg.asum(x).read())
    6.0
    """
    require_buffers("asum", x)
    return _reduced("asum", x, x.dtype)


def nrm2(x: Buffer[T]) -> Buffer[T]:
    """Euclidean length over the last axis, without overflow or underflow of squares.

    ``x`` (..., N) is f32 or f16; scaled sums as in Blue 1978 (doi 10.1145/355769.355771). Numbers
    below 2**-126 may count as 0, as on the device they may be. Returns (...). Raises `ShapeError`,
    `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> x = Device.auto().buffer_from_array(np.array([3, 4], np.float32))
    >>> print(linalg.nrm2(x).read())
    5.0
    """
    require_buffers("nrm2", x)
    return _reduced("nrm2", x, x.dtype)


def iamax(x: Buffer[Any]) -> Buffer[i32]:
    """First index of the largest ``|x|`` over the last axis; a NaN counts as the largest.

    So it is ``np.argmax(np.abs(x), axis=-1)``. ``x`` (..., N), f32 or f16, with N of at least 1.
    Returns i32 (...). Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> x = Device.auto().buffer_from_array(np.array([1, -5, 5], np.float32))
    >>> print(linalg.iamax(x).read())
    1
    """
    require_buffers("iamax", x)
    if x.shape and not x.shape[-1]:
        raise ShapeError(f"iamax: {x.shape}: an empty axis has no largest element")
    return _reduced("iamax", x, i32)


def axpy(x: Buffer[T], y: Buffer[T], a: complex = 1.0) -> Buffer[T]:
    """``a * x + y`` of one shape, f32, f16 or c64 (whose ``a`` may be complex).

    Raises `ShapeError`, `DTypeError`, and `ArgumentError` for a complex ``a`` with real operands.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> x = Device.auto().buffer_from_array(np.array([1, 2], np.float32))
    >>> print(linalg.axpy(x, x, 10.0).read())
    [11. 22.]
    """
    require_buffers("axpy", x, y)
    if x.shape != y.shape:
        raise ShapeError(f"axpy: {x.shape} and {y.shape}: make them equal")
    if x.dtype is c64 or y.dtype is c64:
        return _complex_line("axpy", a, (x, y))
    float_scalar("axpy", x, y)
    return linear_combination([(real_scale("axpy", "a", a), x), (1.0, y)])


def scal(a: complex, x: Buffer[T]) -> Buffer[T]:
    """``a * x``, f32, f16 or c64 (whose ``a`` may be complex).

    Raises `DTypeError`, and `ArgumentError` for a complex ``a`` with a real operand.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> x = Device.auto().buffer_from_array(np.array([1, 2], np.float32))
    >>> print(linalg.scal(3.0, x).read())
    [3. 6.]
    """
    require_buffers("scal", x)
    if x.dtype is c64:
        return _complex_line("scal", a, (x,))
    float_scalar("scal", x)
    return linear_combination([(real_scale("scal", "a", a), x)])


def copy(x: Buffer[T]) -> Buffer[T]:
    """A new buffer with the contents of ``x``, of any shape and dtype.

    Raises `ArgumentError` for what is no buffer.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> x = Device.auto().buffer_from_array(np.array([1, 2], np.int32))
    >>> print(linalg.copy(x).read())
    [1 2]
    """
    require_buffers("copy", x)
    y = x.device.buffer(x.dtype, x.shape)
    y.copy_from(x)
    return y


def swap(x: Buffer[T], y: Buffer[T]) -> tuple[Buffer[T], Buffer[T]]:
    """Exchange the contents of two buffers of one shape and dtype, in place; returns both.

    Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> x = device.buffer_from_array(np.array([1, 2], np.float32))
    >>> y = device.buffer_from_array(np.array([3, 4], np.float32))
    >>> _ = linalg.swap(x, y)
    >>> print(x.read(), y.read())
    [3. 4.] [1. 2.]
    """
    require_buffers("swap", x, y)
    if x.shape != y.shape:
        raise ShapeError(f"swap: {x.shape} and {y.shape}: make them equal")
    if x.dtype is not y.dtype:
        raise DTypeError(f"swap: {x!r} and {y!r}: cast one of them first")
    held = copy(x)
    x.copy_from(y)
    y.copy_from(held)
    return x, y


def rot(x: Buffer[T], y: Buffer[T], c: float, s: float) -> tuple[Buffer[T], Buffer[T]]:
    """A plane rotation: ``c x + s y`` and ``c y - s x`` of one shape, f32 or f16.

    Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> x = device.buffer_from_array(np.array([1, 0], np.float32))
    >>> y = device.buffer_from_array(np.array([0, 1], np.float32))
    >>> x, y = linalg.rot(x, y, 0.0, 1.0)
    >>> print(x.read(), y.read())
    [0. 1.] [-1.  0.]
    """
    float_scalar("rot", x, y)
    c, s = real_scale("rot", "c", c), real_scale("rot", "s", s)
    return linear_combination([(c, x), (s, y)]), linear_combination([(-s, x), (c, y)])


def _reduced(op: str, x: Buffer[Any], dtype: type[T]) -> Buffer[T]:
    if not x.shape:
        raise ShapeError(f"{op}: {x.shape}: wants a last axis")
    if x.dtype is c64:
        raise DTypeError(f"{op}: {x!r}: wants f32 or f16")
    result = x.device.buffer(dtype, x.shape[:-1])
    reduce_last(op, op, (x,), result)
    return result


def _complex_line(op: str, a: complex, operands: tuple[Buffer[Any], ...]) -> Buffer[Any]:
    if any(b.dtype is not c64 for b in operands):
        raise DTypeError(f"{op}: {operands} are of two dtypes: make both c64")
    x = operands[0]
    y = x.device.buffer(c64, x.shape)
    number = scale(op, "a", a)
    sizes = {"re": number.real, "im": number.imag}
    plus = len(operands) > 1
    launch_each("linalg/axpy.wgsl", {"plus": plus}, (*operands, y), x.size, sizes)
    return y


def _check_pair(op: str, x: Buffer[Any], y: Buffer[Any]) -> None:
    require_buffers(op, x, y)
    if not x.shape or x.shape != y.shape:
        raise ShapeError(f"{op}: {x.shape} and {y.shape}: wants two of one shape (..., N)")
    if x.dtype is not y.dtype:
        raise DTypeError(f"{op}: {x!r} and {y!r}: cast one of them first")


def scale(op: str, name: str, a: Any) -> complex:
    """A number, NumPy's too, within f32. Raises `ArgumentError`."""
    if isinstance(a, (complex, np.complexfloating, np.ndarray)) and np.iscomplexobj(a):
        return complex(as_float(op, name, a.real), as_float(op, name, a.imag))
    return complex(as_float(op, name, a))


def real_scale(op: str, name: str, a: complex) -> float:
    """`scale` for real operands. Raises `ArgumentError`."""
    number = scale(op, name, a)
    if number.imag:
        raise ArgumentError(f"{op}: {name} {a!r} is complex, the operands real: make them c64")
    return number.real
