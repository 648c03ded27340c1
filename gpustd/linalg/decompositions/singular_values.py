"""Singular value decomposition by one-sided Jacobi methods."""

from __future__ import annotations

import math
from typing import Literal, overload

from gpucore import Buffer, Device, LimitError, f32
from gpustd.arrays.moving.transposing import transpose
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant
from gpustd.linalg.decompositions.jacobi import RowTable, Sweeps, least_capacity
from gpustd.linalg.decompositions.qr_factors import as_matrix_batch
from gpustd.linalg.decompositions.reflectors import Reflectors, identity
from gpustd.linalg.view_matmul import multiply_into
from gpustd.linalg.views import as_matrices

__all__ = ["svd", "svdvals"]

_LANES = 8
_SWEEPS = 30
_STORAGE_LIMIT = "max_compute_workgroup_storage_size"
_MIN_STORAGE = 16384

Parts = tuple[Buffer[f32], Buffer[f32], Buffer[f32]]


@overload
def svd(
    a: Buffer[f32], full_matrices: bool = True, compute_uv: Literal[True] = True
) -> tuple[Buffer[f32], Buffer[f32], Buffer[f32]]: ...
@overload
def svd(a: Buffer[f32], full_matrices: bool, compute_uv: Literal[False]) -> Buffer[f32]: ...
def svd(a: Buffer[f32], full_matrices: bool = True, compute_uv: bool = True) -> Parts | Buffer[f32]:
    """Factor ``a = u diag(s) vh`` with orthonormal columns of ``u`` and rows of ``vh``.

    Args:
        a: (..., M, N), f32, finite; each matrix of the batch is decomposed alone.
        full_matrices: u (..., M, M) and vh (..., N, N); else u (..., M, K) and vh (..., K, N), K =
            min(M, N).
        compute_uv: return u and vh too; else only ``s`` (..., K).

    As `numpy.linalg.svd`, the result is (u, s, vh), with ``s`` descending; signs are free. ``u``
    and ``vh`` are orthonormal whatever the rank. The error of a value is some units of rounding of
    the largest one, as in LAPACK.

    A square matrix of up to 48 or 64 takes one workgroup (Hestenes 1958). Oblong ones are first
    reduced by `qr`. Larger ones are reduced twice, so that the rows to be made orthogonal nearly
    are (Drmac and Veselic 2008, SIAM J. Matrix Anal. Appl. 29), and rotated in blocks. Up to 30
    sweeps of small and 16 of large matrices are recorded. Once converged, the device passes over
    the others: nothing is read back.

    Raises `ShapeError` for fewer than two axes, `DTypeError`.

    >>> a = device.buffer_from_array(np.array([[3, 0], [4, 5]], np.float32))
    >>> u, s, vh = linalg.svd(a)
    >>> np.round(s.read() ** 2).tolist()
    [45.0, 5.0]
    """
    flat = as_matrix_batch("svd", a)
    batch_shape = a.shape[:-2]
    batch, m, n = flat.shape
    k = min(m, n)
    if not compute_uv:
        return _singular_values(flat).view((*batch_shape, k))
    if batch * k:
        u, s, vh = _decompose(flat, full_matrices)
    else:
        sides = (m, n) if full_matrices else (k, k)
        u = identity(flat, (batch, m, sides[0]))
        s = a.device.buffer(f32, (batch, k))
        vh = identity(flat, (batch, sides[1], n))
    return tuple(b.view((*batch_shape, *b.shape[1:])) for b in (u, s, vh))  # type: ignore[return-value]


def svdvals(a: Buffer[f32]) -> Buffer[f32]:
    """Return the singular values (..., min(M, N)) of (..., M, N), descending; see `svd`.

    >>> a = device.buffer_from_array(np.diag([2, -7]).astype(np.float32))
    >>> linalg.svdvals(a).read().tolist()
    [7.0, 2.0]
    """
    as_matrix_batch("svdvals", a)
    return svd(a, False, False)


def _singular_values(a: Buffer[f32]) -> Buffer[f32]:
    """Return the singular values (batch, K) of (batch, M, N)."""
    batch, m, n = a.shape
    if not a.size:
        return a.device.buffer(f32, (batch, min(m, n)))
    if m < n:
        a = transpose(a, (0, 2, 1))
    if m != n:
        a = Reflectors.factorise(a).r(min(m, n))
    if _small_capacity(a.device, a.shape[-1]):
        return _decompose_small(a, vectors=False)[0]
    r = Reflectors.factorise(transpose(Reflectors.factorise(a).r(a.shape[-1]), (0, 2, 1))).r(
        a.shape[-1]
    )
    return _orthogonalise(r, None)[0]


def _decompose(a: Buffer[f32], full: bool) -> Parts:
    """Return u, s and vh of (batch, M, N), where no extent is 0."""
    batch, m, n = a.shape
    if m < n:
        v, s, uh = _decompose(transpose(a, (0, 2, 1)), full)
        return transpose(uh, (0, 2, 1)), s, transpose(v, (0, 2, 1))
    if m == n and _small_capacity(a.device, n):
        s, u, vh = _decompose_small(a, vectors=True)
        return u, s, vh
    factors = Reflectors.factorise(a)
    q, r = factors.q(m if full else n), factors.r(n)
    if _small_capacity(a.device, n):
        s, inner, vh = _decompose_small(r, vectors=True)
        right = as_matrices(inner)
    else:
        s, vh, left = _decompose_large(r)
        right = as_matrices(left).T
    u = a.device.buffer(f32, q.shape)
    if m > n and full:
        u.copy_from(q)
    thin = as_matrices(q).block(0, 0, m, n)
    multiply_into(as_matrices(u).block(0, 0, m, n), thin, right, (batch,))
    return u, s, vh


def _decompose_small(a: Buffer[f32], *, vectors: bool) -> tuple[Buffer[f32], ...]:
    """Return the values of (batch, n, n), and with ``vectors`` u and vh."""
    device = a.device
    batch, n, _ = a.shape
    spec: dict[str, Value] = {
        "capacity": _small_capacity(device, n),
        "lanes": _LANES,
        "sweeps": _SWEEPS,
        "vectors": vectors,
        "subgroups": _can_shuffle(device),
    }
    s = device.buffer(f32, (batch, n))
    results = [device.buffer(f32, a.shape) for _ in range(2 * vectors)]
    sizes = {"n": n, "batch": batch, "tolerance": math.sqrt(n) * 2.0**-23}
    launch = kernel(device, "linalg/svd_small.wgsl", **spec)
    launch(a, s, *results, sizes, grid=flat_grid(batch, 1))
    if vectors:
        _complete_rows(s, results[1])
    return s, *results


def _decompose_large(r: Buffer[f32]) -> Parts:
    """Return s, vh and the transpose of u of (batch, n, n), from the factors of the transpose.

    With ``r^T = q t`` and rotated rows ``j t = s w``: ``r = w^T s (j q^T)``.
    """
    n = r.shape[-1]
    factors = Reflectors.factorise(transpose(r, (0, 2, 1)))
    s, vh, left = _orthogonalise(factors.r(n), factors.q(n))
    _complete_rows(s, left)
    return s, vh, left


def _orthogonalise(t: Buffer[f32], q: Buffer[f32] | None) -> tuple[Buffer[f32], ...]:
    """Return the norms of t's rows (batch, n, n), rotated to be orthogonal, descending.

    With ``q``, also return the rows of its transpose under the same rotations, and t's own, divided
    by their norms.
    """
    n = t.shape[-1]
    sweeps = Sweeps(t)
    rows = RowTable.empty(t, n, 2 * n if q is not None else n)
    rows.place("scaled", t, sweeps.peaks)
    if q is not None:
        rows.place("turned", q, None, first=n)
    sweeps.orthogonalise(rows)
    return rows.collect(sweeps.peaks, rows if q is not None else None, n, norms=True)


def _complete_rows(s: Buffer[f32], vh: Buffer[f32]) -> None:
    """Fill the rows of vh (batch, n, n) that belong to zeros of s. Raises `LimitError`."""
    device = vh.device
    batch, n, _ = vh.shape
    threads = 64 if device.is_cpu or n <= 64 else 256
    capacity = max(64, 1 << (n - 1).bit_length())
    if 4 * capacity + 8 * threads > device.limits.get(_STORAGE_LIMIT, _MIN_STORAGE):
        raise LimitError(
            f"svd: matrices must fit the workgroup memory of {device!r}, got {vh.shape}"
        )
    launch = kernel(device, "linalg/svd_complete.wgsl", threads=threads, capacity=capacity)
    launch(s, vh, {"n": n, "batch": batch}, grid=flat_grid(batch, 1))


def _small_capacity(device: Device, n: int) -> int:
    """Return the side of the kernel for small matrices; 0 for the method of blocks."""
    if forced_variant("svd") == "large":
        return 0
    return least_capacity(device, n, lambda side: 8 * side * (side + _LANES) + 72 * side + 64)


def _can_shuffle(device: Device) -> bool:
    """Tell whether the lanes of a pair may exchange values directly."""
    return row_lanes(device) >= _LANES and forced_variant("svd") != "workgroup"
