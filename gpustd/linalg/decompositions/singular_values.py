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
from gpustd.linalg.decompositions.jacobi import Sweeps, Table, least_capacity
from gpustd.linalg.decompositions.qr_factors import checked_matrices
from gpustd.linalg.decompositions.reflectors import Reflectors, identity
from gpustd.linalg.view_products import multiply_into
from gpustd.linalg.views import matrices

__all__ = ["svd", "svdvals"]

_LANES = 8
_SWEEPS = 30
_STORAGE_LIMIT = "max_compute_workgroup_storage_size"
_LEAST_STORAGE = 16384

Parts = tuple[Buffer[f32], Buffer[f32], Buffer[f32]]


@overload
def svd(
    a: Buffer[f32], full_matrices: bool = True, compute_uv: Literal[True] = True
) -> tuple[Buffer[f32], Buffer[f32], Buffer[f32]]: ...
@overload
def svd(a: Buffer[f32], full_matrices: bool, compute_uv: Literal[False]) -> Buffer[f32]: ...
def svd(a: Buffer[f32], full_matrices: bool = True, compute_uv: bool = True) -> Parts | Buffer[f32]:
    """``a = u diag(s) vh`` with orthonormal columns of ``u`` and rows of ``vh``.

    Args:
        a: (..., M, N), f32, finite; each matrix of the batch is decomposed alone.
        full_matrices: u (..., M, M) and vh (..., N, N); else u (..., M, K) and vh (..., K, N),
            K = min(M, N).
        compute_uv: without, only ``s`` (..., K) is returned.

    Returns (u, s, vh) as `numpy.linalg.svd` does, ``s`` descending; signs are free. ``u`` and
    ``vh`` are orthonormal whatever the rank; the error of a value is some units of rounding of the
    largest one, as in LAPACK. Square matrices of up to 48 or 64 are a workgroup's each (Hestenes
    1958); oblong ones are first reduced by `qr`, larger ones twice, so that the rows to be made
    orthogonal nearly are (Drmac and Veselic 2008, SIAM J. Matrix Anal. Appl. 29), and turned in
    blocks. Up to 30 sweeps of small and 16 of large matrices are recorded and, once converged,
    passed over on the device: nothing is read back.

    Raises `ShapeError` for fewer than two axes, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> a = device.buffer_from_array(np.array([[3, 0], [4, 5]], np.float32))
    >>> u, s, vh = linalg.svd(a)
    >>> np.round(s.read() ** 2).tolist()
    [45.0, 5.0]
    """
    flat = checked_matrices("svd", a)
    ahead = a.shape[:-2]
    batch, m, n = flat.shape
    k = min(m, n)
    if not compute_uv:
        return _values(flat).view((*ahead, k))
    if batch * k:
        u, s, vh = _decompose(flat, full_matrices)
    else:
        sides = (m, n) if full_matrices else (k, k)
        u = identity(flat, (batch, m, sides[0]))
        s = a.device.buffer(f32, (batch, k))
        vh = identity(flat, (batch, sides[1], n))
    return tuple(b.view((*ahead, *b.shape[1:])) for b in (u, s, vh))  # type: ignore[return-value]


def svdvals(a: Buffer[f32]) -> Buffer[f32]:
    """Singular values (..., min(M, N)) of (..., M, N), descending; see `svd`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> a = device.buffer_from_array(np.diag([2, -7]).astype(np.float32))
    >>> linalg.svdvals(a).read().tolist()
    [7.0, 2.0]
    """
    checked_matrices("svdvals", a)
    return svd(a, False, False)


def _values(a: Buffer[f32]) -> Buffer[f32]:
    batch, m, n = a.shape
    if not a.size:
        return a.device.buffer(f32, (batch, min(m, n)))
    if m < n:
        a = transpose(a, (0, 2, 1))
    if m != n:
        a = Reflectors.of(a).r(min(m, n))
    if _capacity(a.device, a.shape[-1]):
        return _small(a, vectors=False)[0]
    r = Reflectors.of(transpose(Reflectors.of(a).r(a.shape[-1]), (0, 2, 1))).r(a.shape[-1])
    return _turned(r, None)[0]


def _decompose(a: Buffer[f32], full: bool) -> Parts:
    """Of (batch, M, N), none of them 0."""
    batch, m, n = a.shape
    if m < n:
        v, s, uh = _decompose(transpose(a, (0, 2, 1)), full)
        return transpose(uh, (0, 2, 1)), s, transpose(v, (0, 2, 1))
    if m == n and _capacity(a.device, n):
        s, u, vh = _small(a, vectors=True)
        return u, s, vh
    factors = Reflectors.of(a)
    q, r = factors.q(m if full else n), factors.r(n)
    if _capacity(a.device, n):
        s, inner, vh = _small(r, vectors=True)
        right = matrices(inner)
    else:
        s, vh, left = _large(r)
        right = matrices(left).T
    u = a.device.buffer(f32, q.shape)
    if m > n and full:
        u.copy_from(q)
    thin = matrices(q).block(0, 0, m, n)
    multiply_into(matrices(u).block(0, 0, m, n), thin, right, (batch,))
    return u, s, vh


def _small(a: Buffer[f32], *, vectors: bool) -> tuple[Buffer[f32], ...]:
    """Values of (batch, n, n), and with ``vectors`` u and vh."""
    device = a.device
    batch, n, _ = a.shape
    spec: dict[str, Value] = {
        "capacity": _capacity(device, n),
        "lanes": _LANES,
        "sweeps": _SWEEPS,
        "vectors": vectors,
        "subgroups": _shuffles(device),
        "enable_subgroups": device.info.engine == "dawn",
    }
    s = device.buffer(f32, (batch, n))
    results = [device.buffer(f32, a.shape) for _ in range(2 * vectors)]
    sizes = {"n": n, "batch": batch, "tolerance": math.sqrt(n) * 2.0**-23}
    launch = kernel(device, "linalg/svd_small.wgsl", **spec)
    launch(a, s, *results, sizes, grid=flat_grid(batch, 1))
    if vectors:
        _complete(s, results[1])
    return s, *results


def _large(r: Buffer[f32]) -> Parts:
    """s, vh and the transpose of u of (batch, n, n), by way of the transpose's factors.

    With ``r^T = q t`` and turned rows ``j t = s w``: ``r = w^T s (j q^T)``.
    """
    n = r.shape[-1]
    factors = Reflectors.of(transpose(r, (0, 2, 1)))
    s, vh, left = _turned(factors.r(n), factors.q(n))
    _complete(s, left)
    return s, vh, left


def _turned(t: Buffer[f32], q: Buffer[f32] | None) -> tuple[Buffer[f32], ...]:
    """Norms of t's rows (batch, n, n) once turned to be orthogonal, descending.

    With ``q``, also the rows of its transpose that were turned alike, and t's own, divided by
    their norms.
    """
    n = t.shape[-1]
    sweeps = Sweeps(t)
    rows = Table.empty(t, n, 2 * n if q is not None else n)
    rows.place("scaled", t, sweeps.peaks)
    if q is not None:
        rows.place("turned", q, None, first=n)
    sweeps.orthogonalise(rows)
    return rows.collect(sweeps.peaks, rows if q is not None else None, n, norms=True)


def _complete(s: Buffer[f32], vh: Buffer[f32]) -> None:
    """Fill the rows of vh (batch, n, n) that belong to zeros of s. Raises `LimitError`."""
    device = vh.device
    batch, n, _ = vh.shape
    threads = 64 if device.is_cpu or n <= 64 else 256
    capacity = max(64, 1 << (n - 1).bit_length())
    if 4 * capacity + 8 * threads > device.limits.get(_STORAGE_LIMIT, _LEAST_STORAGE):
        raise LimitError(f"svd: {vh.shape} is more than the workgroup memory of {device!r} takes")
    launch = kernel(device, "linalg/svd_complete.wgsl", threads=threads, capacity=capacity)
    launch(s, vh, {"n": n, "batch": batch}, grid=flat_grid(batch, 1))


def _capacity(device: Device, n: int) -> int:
    """Side of the kernel for small matrices; 0 for the method of blocks."""
    if forced_variant("svd") == "large":
        return 0
    return least_capacity(device, n, lambda side: 8 * side * (side + _LANES) + 72 * side + 64)


def _shuffles(device: Device) -> bool:
    """Whether the lanes of a pair may hand values round."""
    return row_lanes(device) >= _LANES and forced_variant("svd") != "workgroup"
