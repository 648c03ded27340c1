"""BLAS 2: matrices and vectors (Dongarra et al. 1988, doi 10.1145/42288.42291).

Memory limits all of them but trsv. The least time is that of the bytes of the matrix, read once
(for symv twice the triangle). Arguments have the order of `scipy.linalg.blas`; results are new
buffers.
"""

from __future__ import annotations

from gpucore import Buffer, DTypeError, ShapeError, T, f32
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import float_scalar, launch_each, width_of
from gpustd.launch.template import Value
from gpustd.linalg.blas1 import as_real_scale, copy
from gpustd.linalg.gemv_launches import Scales, launch_rows, launch_transposed
from gpustd.linalg.triangular import Trans, is_transposed, require_square, solve_triangular
from gpustd.linalg.views import (
    broadcast_batch,
)

__all__ = ["gemv", "ger", "symv", "trsv"]


def gemv(
    alpha: float,
    a: Buffer[T],
    x: Buffer[T],
    beta: float = 0.0,
    y: Buffer[T] | None = None,
    *,
    trans: Trans = 0,
) -> Buffer[T]:
    """Return ``alpha op(A) x + beta y``, summed in f32.

    Args:
        alpha: the factor of the product.
        a: (..., M, N), f32 or f16.
        x: (..., N), or (..., M) with ``trans``; batch axes broadcast with those of ``a``.
        beta: the factor of ``y``, which is not read where it is 0.
        y: (..., M), or (..., N) with ``trans``; of the result's shape.
        trans: 0 or "N" for A, 1 or "T" (and 2 or "C") for its transpose.

    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [3, 4]], np.float32))
    >>> x = device.buffer_from_array(np.array([1, 10], np.float32))
    >>> print(linalg.gemv(1.0, a, x).read(), linalg.gemv(1.0, a, x, trans=1).read())
    [21. 43.] [31. 42.]
    """
    require_buffers("gemv", a, x)
    alpha, beta = as_real_scale("gemv", "alpha", alpha), as_real_scale("gemv", "beta", beta)
    flipped = is_transposed("gemv", trans)
    if len(a.shape) < 2 or not x.shape or x.shape[-1] != a.shape[-2 if flipped else -1]:
        raise ShapeError(
            f"gemv: inner extents of a and x must agree, got {a.shape} and {x.shape}, trans={trans}"
        )
    batch = broadcast_batch("gemv", a.shape[:-2], x.shape[:-1])
    result = _start_result("gemv", a, (*batch, a.shape[-1 if flipped else -2]), beta, y)
    launch = launch_transposed if flipped else launch_rows
    launch(result, a, x, batch, Scales(alpha, 0.0 if y is None else beta), "all")
    return result


def ger(alpha: float, x: Buffer[T], y: Buffer[T], a: Buffer[T] | None = None) -> Buffer[T]:
    """Return the outer product ``alpha x y^T`` of (..., M) and (..., N), plus ``a`` if given.

    Operands are f32 or f16, and their batch axes are equal. The result is (..., M, N). Raises
    `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array(np.array([1, 2], np.float32))
    >>> print(linalg.ger(10.0, x, x).read().tolist())
    [[10.0, 20.0], [20.0, 40.0]]
    """
    require_buffers("ger", x, y, *(() if a is None else (a,)))
    alpha = as_real_scale("ger", "alpha", alpha)
    if not x.shape or not y.shape or x.shape[:-1] != y.shape[:-1]:
        raise ShapeError(f"ger: x and y must be (..., M) and (..., N), got {x.shape} and {y.shape}")
    m, n = x.shape[-1], y.shape[-1]
    shape = (*x.shape, n)
    if a is not None and a.shape != shape:
        raise ShapeError(f"ger: a must have the shape {shape} of the product, got {a.shape}")
    operands = [x, y] if a is None else [x, y, a]
    width = width_of(n)
    spec: dict[str, Value] = {
        "scalar": float_scalar("ger", *operands),
        "width": width,
        "plus": a is not None,
    }
    result = x.device.buffer(x.dtype, shape)
    sizes = {"m": m, "words": n // width, "alpha": alpha}
    launch_each("linalg/ger.wgsl", spec, (*operands, result), result.size // width, sizes)
    return result


def symv(
    alpha: float,
    a: Buffer[T],
    x: Buffer[T],
    beta: float = 0.0,
    y: Buffer[T] | None = None,
    *,
    lower: bool = False,
) -> Buffer[T]:
    """Return ``alpha A x + beta y`` for a symmetric A, of which one triangle is read.

    ``a`` (..., N, N), ``x`` and ``y`` (..., N), f32; batch axes broadcast. ``lower`` chooses the
    triangle. Raises `ShapeError`, `DTypeError`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [7, 4]], np.float32))
    >>> x = device.buffer_from_array(np.array([1, 10], np.float32))
    >>> print(linalg.symv(1.0, a, x).read())
    [21. 42.]
    """
    require_buffers("symv", a, x)
    alpha, beta = as_real_scale("symv", "alpha", alpha), as_real_scale("symv", "beta", beta)
    square = len(a.shape) >= 2 and a.shape[-1] == a.shape[-2]
    if not square or not x.shape or x.shape[-1] != a.shape[-1]:
        raise ShapeError(
            f"symv: a and x must be (..., N, N) and (..., N), got {a.shape} and {x.shape}"
        )
    if a.dtype is not f32:
        raise DTypeError(f"symv: a must be f32, got {a!r}; cast it")
    batch = broadcast_batch("symv", a.shape[:-2], x.shape[:-1])
    result = _start_result("symv", a, (*batch, a.shape[-1]), beta, y)
    part = "lower" if lower else "upper"
    launch_rows(result, a, x, batch, Scales(alpha, 0.0 if y is None else beta), part)
    launch_transposed(result, a, x, batch, Scales(alpha, 1.0), part)
    return result


def trsv(
    a: Buffer[f32],
    x: Buffer[f32],
    *,
    lower: bool = False,
    trans: Trans = 0,
    unit_diagonal: bool = False,
) -> Buffer[f32]:
    """Solve ``op(A) z = x`` for a triangular A; see `solve_triangular`.

    ``a`` (..., N, N) and ``x`` (..., N), f32. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> a = device.buffer_from_array(np.array([[2, 0], [1, 4]], np.float32))
    >>> x = device.buffer_from_array(np.array([2, 9], np.float32))
    >>> print(linalg.trsv(a, x, lower=True).read())
    [1. 2.]
    """
    require_square("trsv", a)
    require_buffers("trsv", x)
    if not x.shape:
        raise ShapeError(f"trsv: x must be (..., N), got {x!r}")
    column = x.view((*x.shape, 1))
    z = solve_triangular(a, column, trans=trans, lower=lower, unit_diagonal=unit_diagonal)
    return z.view(z.shape[:-1])


def _start_result(
    op: str, a: Buffer[T], shape: tuple[int, ...], beta: float, y: Buffer[T] | None
) -> Buffer[T]:
    """Return the result's buffer: new memory, or a copy of ``y`` to add to.

    Raises `ShapeError`, `DTypeError`.
    """
    float_scalar(op, a)
    if y is None:
        return a.device.buffer(a.dtype, shape)
    require_buffers(op, y)
    if y.shape != shape:
        raise ShapeError(f"{op}: y must have the shape {shape} of the product, got {y.shape}")
    float_scalar(op, a, y)
    return copy(y) if beta else a.device.buffer(a.dtype, shape)
