"""BLAS 3: matrix products (Dongarra et al. 1990, doi 10.1145/77626.79170).

Arguments have the order of `scipy.linalg.blas`. Results are new buffers, and axes before the last
two are a batch. A matrix product takes 2 M N K operations (8 M N K in c64, and half of it for
syrk).
"""

from __future__ import annotations

from typing import Any

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, T, c64, f16, f32
from gpustd.arrays.elementwise.linear_combinations import combine_into
from gpustd.arrays.moving.transposing import transpose
from gpustd.launch.checks import require_buffers
from gpustd.linalg.batched_matmul import multiply_matrices
from gpustd.linalg.blas1 import as_real_scale, as_scale
from gpustd.linalg.triangles import copy_batch, mirror_triangle
from gpustd.linalg.triangular import Trans, is_transposed, require_square, substitute_into
from gpustd.linalg.view_matmul import Conjugate, matrix_scalar, multiply_into
from gpustd.linalg.views import as_matrices, broadcast_batch
from gpustd.matmul.dense import gemm as dense_gemm
from gpustd.matmul.dense import wide_gemm

__all__ = ["gemm", "symm", "syrk", "trsm"]


def gemm(
    alpha: complex,
    a: Buffer[T],
    b: Buffer[T],
    beta: complex = 0.0,
    c: Buffer[T] | None = None,
    *,
    trans_a: Trans = 0,
    trans_b: Trans = 0,
) -> Buffer[T]:
    """Return ``alpha op(A) op(B) + beta C`` of each matrix of a batch, summed in f32.

    Args:
        alpha: the factor of the product; real, but for c64.
        a: (..., M, K), or (..., K, M) where transposed; f32, f16 or c64.
        b: (..., K, N), or (..., N, K) where transposed.
        beta: the factor of ``c``, which is not read where it is 0.
        c: (..., M, N). Batch axes of all three broadcast.
        trans_a: 0 or "N" for A, 1 or "T" for its transpose, 2 or "C" for its conjugate transpose.
        trans_b: the same for B.

    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [3, 4]], np.float32))
    >>> print(linalg.gemm(1.0, a, a, -1.0, a, trans_b=1).read().tolist())
    [[4.0, 9.0], [8.0, 21.0]]
    """
    flipped_a, flipped_b = is_transposed("gemm", trans_a), is_transposed("gemm", trans_b)
    _require_product(a, b, flipped_a, flipped_b)
    alpha, beta = _as_scales("gemm", a, alpha, beta)
    added = c if beta else None
    operands = [a, b] if c is None else [a, b, c]
    matrix_scalar("gemm", *operands)
    batch = broadcast_batch("gemm", *(x.shape[:-2] for x in operands))
    if c is not None:
        rows, columns = a.shape[-1 if flipped_a else -2], b.shape[-2 if flipped_b else -1]
        _require_addend("gemm", (*batch, rows, columns), c)
    if _fits_matrix_units(a, b) and batch == a.shape[:-2]:
        return _multiply_on_matrix_units(alpha, a, b, beta, added, flipped_a, flipped_b)
    if alpha == 1 and c is None and not flipped_a and not flipped_b:
        return multiply_matrices("gemm", a, b)
    left, right = as_matrices(a, batch), as_matrices(b, batch)
    left, right = (left.T if flipped_a else left), (right.T if flipped_b else right)
    y = _start_result("gemm", a, (*batch, left.rows, right.columns), c, read=added is not None)
    is_complex = a.dtype is c64
    multiply_into(
        as_matrices(y),
        left,
        right,
        batch,
        alpha=alpha,
        beta=beta if added is not None else 0.0,
        conjugate=Conjugate(is_complex and trans_a in (2, "C"), is_complex and trans_b in (2, "C")),
    )
    return y


def syrk(
    alpha: float,
    a: Buffer[T],
    beta: float = 0.0,
    c: Buffer[T] | None = None,
    *,
    trans: Trans = 0,
    lower: bool = False,
) -> Buffer[T]:
    """Return one triangle of ``alpha A A^T + beta C``; with ``trans``, of ``alpha A^T A + beta C``.

    ``a`` (..., N, K), or (..., K, N) with ``trans``; ``c`` (..., N, N); f32 or f16. The other
    triangle is that of ``c``, or zeros without one. Raises `ShapeError`, `DTypeError`,
    `ArgumentError`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [3, 4]], np.float32))
    >>> print(linalg.syrk(1.0, a, lower=True).read().tolist())
    [[5.0, 0.0], [11.0, 25.0]]
    """
    flipped = is_transposed("syrk", trans)
    require_buffers("syrk", a)
    if len(a.shape) < 2:
        raise ShapeError(f"syrk: a must be (..., N, K), got {a!r}")
    if a.dtype is c64:
        raise DTypeError(f"syrk: a must be f32 or f16, got {a!r}")
    matrix_scalar("syrk", a)
    alpha, beta = as_real_scale("syrk", "alpha", alpha), as_real_scale("syrk", "beta", beta)
    batch = a.shape[:-2]
    view = as_matrices(a).T if flipped else as_matrices(a)
    shape = (*batch, view.rows, view.rows)
    if c is None:
        y = a.device.buffer(a.dtype, shape)
        nothing = view.block(0, 0, view.rows, 0)
        multiply_into(as_matrices(y), nothing, nothing.T, batch)
    else:
        _require_addend("syrk", shape, c)
        y = _start_result("syrk", a, shape, c, read=True)
    part = "lower" if lower else "upper"
    factor = beta if c is not None else 0.0
    multiply_into(as_matrices(y), view, view.T, batch, alpha=alpha, beta=factor, part=part)
    return y


def symm(
    alpha: float,
    a: Buffer[T],
    b: Buffer[T],
    beta: float = 0.0,
    c: Buffer[T] | None = None,
    *,
    side: int = 0,
    lower: bool = False,
) -> Buffer[T]:
    """Return ``alpha A B + beta C`` for a symmetric A of which one triangle is read.

    With ``side`` 1 the product is ``B A``. ``a`` (..., N, N), ``b`` and ``c`` as in `gemm`. The
    triangle is mirrored first, which takes N² numbers of memory. Raises `ShapeError`, `DTypeError`,
    `ArgumentError`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [3, 4]], np.float32))
    >>> print(linalg.symm(1.0, a, a).read().tolist())
    [[7.0, 10.0], [14.0, 20.0]]
    """
    require_buffers("symm", a, b, *(() if c is None else (c,)))
    if len(a.shape) < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"symm: a must be square matrices (..., N, N), got {a!r}")
    _require_side("symm", side)
    matrix_scalar("symm", a, b)
    _as_scales("symm", a, alpha, beta)
    full = mirror_triangle(a, "lower" if lower else "upper")
    return gemm(alpha, b, full, beta, c) if side else gemm(alpha, full, b, beta, c)


def trsm(
    alpha: float,
    a: Buffer[f32],
    b: Buffer[f32],
    *,
    side: int = 0,
    lower: bool = False,
    trans_a: Trans = 0,
    unit_diagonal: bool = False,
) -> Buffer[f32]:
    """Solve ``op(A) X = alpha B`` for a triangular A; with ``side`` 1, ``X op(A) = alpha B``.

    ``a`` (..., N, N), ``b`` (..., N, K), or (..., K, N) with ``side`` 1, in f32; batch axes
    broadcast. Zeros on the diagonal count as in `solve_triangular`. Raises `ShapeError`,
    `DTypeError`, `ArgumentError`.

    >>> a = device.buffer_from_array(np.array([[2, 0], [1, 4]], np.float32))
    >>> b = device.buffer_from_array(np.array([[2, 4], [9, 6]], np.float32))
    >>> print(linalg.trsm(1.0, a, b, lower=True).read().tolist())
    [[1.0, 2.0], [2.0, 1.0]]
    """
    flipped = is_transposed("trsm", trans_a)
    require_square("trsm", a)
    _require_side("trsm", side)
    require_buffers("trsm", b)
    if b.dtype is not f32:
        raise DTypeError(f"trsm: b must be f32, got {b!r}; cast it")
    if len(b.shape) < 2 or b.shape[-1 if side else -2] != a.shape[-1]:
        raise ShapeError(
            f"trsm: extents of a and b must agree, got {a.shape} and {b.shape}, side={side}"
        )
    alpha = as_real_scale("trsm", "alpha", alpha)
    batch = broadcast_batch("trsm", a.shape[:-2], b.shape[:-2])
    x = copy_batch(b, batch)
    if alpha != 1:
        scaled = x.device.buffer(f32, x.shape)
        combine_into(scaled, [(alpha, x)])
        x = scaled
    view, solution = as_matrices(a, batch), as_matrices(x)
    view = view.T if flipped != bool(side) else view
    solution = solution.T if side else solution
    lowered = lower != (flipped != bool(side))
    substitute_into(solution, view, batch, lower=lowered, unit=unit_diagonal)
    return x


def _fits_matrix_units(a: Buffer[Any], b: Buffer[Any]) -> bool:
    """Tell whether matrix units multiply these matrices."""
    fits = a.dtype is f16 and len(b.shape) == 2 and bool(a.size and b.size)
    return fits and a.device.has_matrix_units


def _multiply_on_matrix_units(
    alpha: complex,
    a: Buffer[Any],
    b: Buffer[Any],
    beta: complex,
    c: Buffer[Any] | None,
    flipped_a: bool,
    flipped_b: bool,
) -> Buffer[Any]:
    """Multiply by `gpustd.gemm`, with transposes made first.

    The sum is scaled in f32 and rounded once.
    """
    rank = len(a.shape)
    if flipped_a:
        a = transpose(a, (*range(rank - 2), rank - 1, rank - 2))
    if flipped_b:
        b = transpose(b, (1, 0))
    if alpha == 1 and c is None:
        return dense_gemm(a, b)
    product = wide_gemm(a, b)
    y = a.device.buffer(a.dtype, product.shape)
    if c is None:
        combine_into(y, [(complex(alpha).real, product)])
        return y
    wide = a.device.buffer(f32, product.shape)
    combine_into(wide, [(1.0, _start_result("gemm", a, product.shape, c, read=True))])
    combine_into(y, [(complex(alpha).real, product), (complex(beta).real, wide)])
    return y


def _start_result(
    op: str, a: Buffer[T], shape: tuple[int, ...], c: Buffer[T] | None, *, read: bool
) -> Buffer[T]:
    """Return the result's buffer: new memory, or a copy of ``c`` to add to."""
    if c is None or not read:
        return a.device.buffer(a.dtype, shape)
    matrix_scalar(op, a, c)
    return copy_batch(c, shape[:-2])


def _require_addend(op: str, shape: tuple[int, ...], c: Buffer[Any]) -> None:
    """Raise `ShapeError` unless ``c`` can be added to a product, `ArgumentError` for no buffer."""
    require_buffers(op, c)
    if c.shape[-2:] != shape[-2:] or len(c.shape) > len(shape):
        raise ShapeError(f"{op}: c must have the shape {shape} of the product, got {c.shape}")


def _require_product(a: Buffer[Any], b: Buffer[Any], flipped_a: bool, flipped_b: bool) -> None:
    """Raise `ShapeError` unless inner extents agree, `ArgumentError` for no buffer."""
    require_buffers("gemm", a, b)
    fits = len(a.shape) >= 2 and len(b.shape) >= 2
    if not fits or a.shape[-2 if flipped_a else -1] != b.shape[-1 if flipped_b else -2]:
        raise ShapeError(
            f"gemm: inner extents of a and b must agree, got {a.shape} and {b.shape}, transposed "
            f"{flipped_a} and {flipped_b}"
        )


def _as_scales(op: str, a: Buffer[Any], alpha: complex, beta: complex) -> tuple[complex, complex]:
    """Return both as numbers, real ones for real operands. Raises `ArgumentError`."""
    convert = as_scale if a.dtype is c64 else as_real_scale
    return convert(op, "alpha", alpha), convert(op, "beta", beta)


def _require_side(op: str, side: int) -> None:
    """Raise `ArgumentError` unless ``side`` is 0 or 1."""
    if side not in (0, 1):
        raise ArgumentError(f"{op}: side must be 0 (A on the left) or 1 (right), got {side!r}")
