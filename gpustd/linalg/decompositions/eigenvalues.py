"""Eigenvalues and eigenvectors of symmetric matrices by two-sided Jacobi methods."""

from __future__ import annotations

from typing import Literal, overload

from gpucore import Buffer, Device, ShapeError, f32
from gpustd.arrays.moving.transposing import transpose
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant
from gpustd.linalg.decompositions.jacobi import RowTable, Sweeps, least_capacity
from gpustd.linalg.decompositions.qr_factors import as_matrix_batch

__all__ = ["eigh"]

_SWEEPS = 30


@overload
def eigh(
    a: Buffer[f32], lower: bool = True, eigvals_only: Literal[False] = False
) -> tuple[Buffer[f32], Buffer[f32]]: ...
@overload
def eigh(a: Buffer[f32], lower: bool, eigvals_only: Literal[True]) -> Buffer[f32]: ...
@overload
def eigh(a: Buffer[f32], lower: bool = True, *, eigvals_only: Literal[True]) -> Buffer[f32]: ...
def eigh(
    a: Buffer[f32], lower: bool = True, eigvals_only: bool = False
) -> tuple[Buffer[f32], Buffer[f32]] | Buffer[f32]:
    """Return w and orthonormal v with ``a v = v diag(w)`` for symmetric ``a``.

    Args:
        a: (..., N, N), f32, finite; of each matrix one triangle is read.
        lower: read the lower triangle, else the upper.
        eigvals_only: return ``w`` alone.

    As `scipy.linalg.eigh`, w is (..., N), ascending, and v (..., N, N); signs are free. The error
    of a value is some units of rounding of the norm.

    The method is two-sided Jacobi (Golub and Van Loan, Matrix Computations, 4th ed., section 8.5).
    A matrix takes one workgroup where its memory holds it; larger ones are rotated in pairs of
    blocks of 16. Up to 30 sweeps of small and 16 of large matrices are recorded. Once converged,
    the device passes over the others: nothing is read back.

    Raises `ShapeError` where the last two axes are not square, `DTypeError`.

    >>> a = device.buffer_from_array(np.array([[2, 1], [1, 2]], np.float32))
    >>> w, v = linalg.eigh(a)
    >>> np.round(w.read(), 3).tolist()
    [1.0, 3.0]
    >>> np.round(v.read() ** 2, 3).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    flat = as_matrix_batch("eigh", a)
    _, n, columns = flat.shape
    if n != columns:
        raise ShapeError(f"eigh: a must be square matrices (..., N, N), got {a!r}")
    vectors = not eigvals_only
    if not a.size:
        w, v = a.device.buffer(f32, a.shape[:-1]), a.device.buffer(f32, a.shape)
        return (w, v) if vectors else w
    solve = _solve_small if _small_capacity(a.device, n) else _solve_large
    results = solve(flat, lower=lower, vectors=vectors)
    w = results[0].view(a.shape[:-1])
    return (w, results[1].view(a.shape)) if vectors else w


def _solve_small(a: Buffer[f32], *, lower: bool, vectors: bool) -> tuple[Buffer[f32], ...]:
    """Return w, and with ``vectors`` v, of matrices that fit a workgroup's memory."""
    device = a.device
    batch, n, _ = a.shape
    capacity = _small_capacity(device, n)
    spec: dict[str, Value] = {
        "capacity": capacity,
        "sweeps": _SWEEPS,
        "vectors": vectors,
        "threads": min(256, max(32, capacity**2 // 4)),
    }
    w = device.buffer(f32, (batch, n))
    results = [device.buffer(f32, a.shape)] if vectors else []
    launch = kernel(device, "linalg/eigh_small.wgsl", **spec)
    sizes = {"n": n, "batch": batch, "lower": int(bool(lower))}
    launch(a, w, *results, sizes, grid=flat_grid(batch, 1))
    return w, *results


def _solve_large(a: Buffer[f32], *, lower: bool, vectors: bool) -> tuple[Buffer[f32], ...]:
    """Return w, and with ``vectors`` v, by sweeps over pairs of blocks."""
    n = a.shape[-1]
    sweeps = Sweeps(a, triangle=1 if lower else 2)
    matrix = RowTable.empty(a, n)
    matrix.place("symmetric", a, sweeps.peaks, width=matrix.x.shape[2], lower=lower)
    rotated = None
    if vectors:
        rotated = RowTable.empty(a, n, n)
        rotated.place("identity", None, None)
    sweeps.diagonalise(matrix, rotated)
    w, *rows = matrix.collect(sweeps.peaks, rotated, 0, norms=False)
    return w, *(transpose(r, (0, 2, 1)) for r in rows)


def _small_capacity(device: Device, n: int) -> int:
    """Return the side of the kernel for small matrices; 0 for the method of blocks."""
    if forced_variant("eigh") == "large":
        return 0
    return least_capacity(device, n, lambda side: 8 * side**2 + 12 * side + 64)
