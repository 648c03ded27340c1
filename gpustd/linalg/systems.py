"""Systems of equations, inverses and determinants, by LU or Cholesky."""

from __future__ import annotations

from typing import NamedTuple

from gpucore import ArgumentError, Buffer, f32
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.linalg.decompositions.cholesky_factor import cho_solve, cholesky
from gpustd.linalg.decompositions.lu_factors import (
    LU,
    factor_in_place,
    lu_factor,
    lu_solve,
    permutation_matrix,
)
from gpustd.linalg.triangles import mirror_triangle
from gpustd.linalg.triangular import require_square, substitute_into
from gpustd.linalg.views import as_matrices, batch_uniform, view_uniform

__all__ = ["SlogDet", "det", "inv", "slogdet", "solve"]

_KINDS = ("gen", "pos", "sym")
_INFINITY_BITS = 0x7F800000
_THREADS = 64
_CPU_THREADS = 8


class SlogDet(NamedTuple):
    """Sign (-1, 0 or 1) and logarithm of the size of determinants, each (...)."""

    sign: Buffer[f32]
    logabsdet: Buffer[f32]


def solve(
    a: Buffer[f32], b: Buffer[f32], *, lower: bool = False, assume_a: str = "gen"
) -> Buffer[f32]:
    """Solve ``A x = b``, as `scipy.linalg.solve`.

    Args:
        a: (..., N, N), f32.
        b: (N,), or (..., N, K); batch axes broadcast.
        lower: for "pos" and "sym": read the lower triangle, else the upper one.
        assume_a: "gen" (LU with partial pivoting), "pos" (Cholesky) or "sym" (the triangle is
            mirrored, then LU).

    A singular matrix gives infinities or NaN, and one that is not positive definite NaN. Nothing is
    raised for them, since that would wait for the device. Raises `ShapeError`, `DTypeError`,
    `ArgumentError`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [4, 4]], np.float32))
    >>> b = device.buffer_from_array(np.array([5, 12], np.float32))
    >>> print(linalg.solve(a, b).read())
    [1. 2.]
    """
    if assume_a not in _KINDS:
        raise ArgumentError(f"solve: assume_a must be one of {_KINDS}, got {assume_a!r}")
    require_square("solve", a)
    if assume_a == "pos":
        return cho_solve((cholesky(a, upper=not lower), lower), b)
    if assume_a == "sym":
        return lu_solve(factor_in_place(mirror_triangle(a, "lower" if lower else "upper")), b)
    return lu_solve(lu_factor(a), b)


def inv(a: Buffer[f32]) -> Buffer[f32]:
    """Return the inverse, as `numpy.linalg.inv`, by LU: 8 N³ / 3 operations.

    ``a`` is (..., N, N), f32. A singular matrix gives infinities or NaN. To solve a system, `solve`
    is faster and more accurate. Raises `ShapeError`, `DTypeError`.

    >>> a = device.buffer_from_array(np.array([[0, 2], [4, 0]], np.float32))
    >>> print(linalg.inv(a).read().tolist())
    [[0.0, 0.25], [0.5, 0.0]]
    """
    require_square("inv", a)
    factor, piv = lu_factor(a)
    x = permutation_matrix(piv, inverse=False)
    batch = a.shape[:-2]
    substitute_into(as_matrices(x), as_matrices(factor), batch, lower=True, unit=True)
    substitute_into(as_matrices(x), as_matrices(factor), batch, lower=False)
    return x


def det(a: Buffer[f32]) -> Buffer[f32]:
    """Return determinants, as `numpy.linalg.det`, by LU.

    ``a`` is (..., N, N), f32; the result is (...), 1 for N of 0. The product has an exponent of its
    own, so only the result can overflow. Raises `ShapeError`, `DTypeError`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [4, 4]], np.float32))
    >>> print(linalg.det(a).read())
    -4.0
    """
    require_square("det", a)
    value = a.device.buffer(f32, a.shape[:-2])
    _launch_determinant(lu_factor(a), value, None)
    return value


def slogdet(a: Buffer[f32]) -> SlogDet:
    """Return sign and logarithm of the size of determinants, as `numpy.linalg.slogdet`, by LU.

    ``a`` is (..., N, N), f32; the results are two buffers (...): 0 and minus infinity for a
    singular matrix. Raises `ShapeError`, `DTypeError`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [4, 4]], np.float32))
    >>> sign, size = linalg.slogdet(a)
    >>> print(sign.read(), size.read().round(4))
    -1.0 1.3863
    """
    require_square("slogdet", a)
    sign, size = (a.device.buffer(f32, a.shape[:-2]) for _ in range(2))
    _launch_determinant(lu_factor(a), sign, size)
    return SlogDet(sign, size)


def _launch_determinant(factors: LU, value: Buffer[f32], size: Buffer[f32] | None) -> None:
    """Record the products of the diagonals; with ``size``, signs and logarithms."""
    view = as_matrices(factors.lu)
    rank, sizes = batch_uniform(value.shape, {"a": view})
    spec: dict[str, Value] = {
        "rank": rank,
        "logarithm": size is not None,
        "threads": _CPU_THREADS if value.device.is_cpu else _THREADS,
    }
    params = {"n": view.rows, "infinity": _INFINITY_BITS, **sizes, **view_uniform("a", view)}
    results = [value] if size is None else [value, size]
    launch = kernel(value.device, "linalg/determinant.wgsl", **spec)
    launch(factors.lu, factors.piv, *results, params, grid=flat_grid(value.size, 1))
