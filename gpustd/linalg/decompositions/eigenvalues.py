"""Eigenvalues and eigenvectors of symmetric matrices by two-sided Jacobi methods."""

from __future__ import annotations

from typing import Literal, overload

from gpucore import Buffer, Device, ShapeError, f32
from gpustd.arrays.moving.transposing import transpose
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant
from gpustd.linalg.decompositions.jacobi import Sweeps, Table, least_capacity
from gpustd.linalg.decompositions.qr_factors import checked_matrices

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
    """``a v = v diag(w)`` for symmetric ``a``, with orthonormal columns of ``v``.

    Args:
        a: (..., N, N), f32, finite; of each matrix one triangle is read.
        lower: that is the lower one; else the upper.
        eigvals_only: return ``w`` alone.

    Returns w (..., N), ascending, and v (..., N, N) as `scipy.linalg.eigh` does; signs are free.
    The error of a value is some units of rounding of the norm. Two-sided Jacobi (Golub and Van
    Loan, Matrix Computations, 4th ed., section 8.5): one workgroup a matrix where its memory holds
    it, in pairs of blocks of 16 beyond. Up to 30 sweeps of small and 16 of large matrices are
    recorded and, once converged, passed over on the device: nothing is read back.

    Raises `ShapeError` where the last two axes are not square, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> a = device.buffer_from_array(np.array([[2, 1], [1, 2]], np.float32))
    >>> w, v = linalg.eigh(a)
    >>> np.round(w.read(), 3).tolist()
    [1.0, 3.0]
    >>> np.round(v.read() ** 2, 3).tolist()
    [[0.5, 0.5], [0.5, 0.5]]
    """
    flat = checked_matrices("eigh", a)
    _, n, columns = flat.shape
    if n != columns:
        raise ShapeError(f"eigh: {a.shape}: wants (..., N, N), square matrices")
    vectors = not eigvals_only
    if not a.size:
        w, v = a.device.buffer(f32, a.shape[:-1]), a.device.buffer(f32, a.shape)
        return (w, v) if vectors else w
    method = _small if _capacity(a.device, n) else _large
    found = method(flat, lower=lower, vectors=vectors)
    w = found[0].view(a.shape[:-1])
    return (w, found[1].view(a.shape)) if vectors else w


def _small(a: Buffer[f32], *, lower: bool, vectors: bool) -> tuple[Buffer[f32], ...]:
    device = a.device
    batch, n, _ = a.shape
    capacity = _capacity(device, n)
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


def _large(a: Buffer[f32], *, lower: bool, vectors: bool) -> tuple[Buffer[f32], ...]:
    n = a.shape[-1]
    sweeps = Sweeps(a, triangle=1 if lower else 2)
    matrix = Table.empty(a, n)
    matrix.place("symmetric", a, sweeps.peaks, width=matrix.x.shape[2], lower=lower)
    moved = None
    if vectors:
        moved = Table.empty(a, n, n)
        moved.place("identity", None, None)
    sweeps.diagonalise(matrix, moved)
    w, *rows = matrix.collect(sweeps.peaks, moved, 0, norms=False)
    return w, *(transpose(r, (0, 2, 1)) for r in rows)


def _capacity(device: Device, n: int) -> int:
    """Side of the kernel for small matrices; 0 for the method of blocks."""
    if forced_variant("eigh") == "large":
        return 0
    return least_capacity(device, n, lambda side: 8 * side**2 + 12 * side + 64)
