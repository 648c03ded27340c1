"""Cholesky's factorisation, by blocks, right-looking: N³ / 3 operations.

A step factors a block on the diagonal in one workgroup, solves for the panel below and subtracts
the panel's product from the rest: three launches for each 64 rows.
"""

from __future__ import annotations

from gpucore import Buffer, f32
from gpustd.grid import flat_grid
from gpustd.linalg.products import multiply_into
from gpustd.linalg.triangles import fresh_copy, triangle
from gpustd.linalg.triangular import as_columns, block_rows, check_square, substitute_into
from gpustd.linalg.views import (
    Matrices,
    broadcast_batch,
    launch_batch,
    matrices,
    view_sizes,
)
from gpustd.rungs import wanted_rung
from gpustd.template import Value, kernel

__all__ = ["cho_solve", "cholesky"]

_THREADS = 1024
_CPU_THREADS = 8
_INVOCATIONS = "max_compute_invocations_per_workgroup"
_NAN_BITS = 0x7FC00000


def cholesky(a: Buffer[f32], *, upper: bool = False) -> Buffer[f32]:
    """The factor L with ``A = L L^T``, or U with ``A = U^T U``, as `numpy.linalg.cholesky`.

    ``a`` (..., N, N), f32, symmetric and positive definite; only its lower (``upper``: upper)
    triangle is read. Returns (..., N, N) with zeros in the other triangle. Where a matrix is not
    positive definite, the factor's columns (``upper``: rows) are NaN from the first pivot that is
    not above zero; nothing is raised, since that would wait for the device. Error: Higham 2002,
    theorem 10.3. Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> a = Device.auto().buffer_from_array(np.array([[4, 2], [2, 10]], np.float32))
    >>> print(linalg.cholesky(a).read().round(4).tolist())
    [[2.0, 0.0], [1.0, 3.0]]
    """
    check_square("cholesky", a)
    factor = triangle(a, "upper" if upper else "lower")
    view = matrices(factor)
    _factor_into(view.T if upper else view, a.shape[:-2])
    return factor


def cho_solve(c_and_lower: tuple[Buffer[f32], bool], b: Buffer[f32]) -> Buffer[f32]:
    """Solution of ``A x = b`` from the factor of A, as `scipy.linalg.cho_solve`.

    Args:
        c_and_lower: the factor (..., N, N) of `cholesky`, and whether it is the lower one.
        b: (N,), or (..., N, K); batch axes broadcast.

    Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> a = device.buffer_from_array(np.array([[4, 2], [2, 10]], np.float32))
    >>> b = device.buffer_from_array(np.array([6, 12], np.float32))
    >>> print(linalg.cho_solve((linalg.cholesky(a), True), b).read().round(4))
    [1. 1.]
    """
    factor, lower = c_and_lower
    columns = as_columns("cho_solve", factor, b)
    batch = broadcast_batch("cho_solve", factor.shape[:-2], columns.shape[:-2])
    x = fresh_copy(columns, batch)
    view = matrices(factor, batch) if lower else matrices(factor, batch).T
    substitute_into(matrices(x), view, batch, lower=True)
    substitute_into(matrices(x), view.T, batch, lower=False)
    return x.view((*batch, columns.shape[-2])) if len(b.shape) == 1 else x


def _factor_into(a: Matrices, batch: tuple[int, ...]) -> None:
    """Record the factorisation of the lower triangle of ``a``, in place."""
    n, most = a.rows, block_rows(a.buffer.device)
    if not (n and all(batch)):
        return
    for k in range(0, n, most):
        size = min(most, n - k)
        rest = n - k - size
        block = a.block(k, k, size, size)
        _launch(block, batch)
        if rest:
            panel = a.block(k + size, k, rest, size)
            substitute_into(panel.T, block, batch, lower=True)
            corner = a.block(k + size, k + size, rest, rest)
            multiply_into(corner, panel, panel.T, batch, alpha=-1.0, beta=1.0, part="lower")


def _launch(a: Matrices, batch: tuple[int, ...]) -> None:
    """Record the factorisation of one block on the diagonal."""
    device = a.buffer.device
    rank, sizes = launch_batch(batch, {"a": a})
    alone = (wanted_rung("cholesky") or ("alone" if device.is_cpu else "lanes")) == "alone"
    threads = _CPU_THREADS if alone else min(_THREADS, device.limits[_INVOCATIONS])
    spec: dict[str, Value] = {
        "rank": rank,
        "alone": alone,
        "nb": block_rows(device),
        "threads": threads,
    }
    params = {"n": a.rows, "nan": _NAN_BITS, **sizes}
    params |= view_sizes("a", a)
    grid = flat_grid(sizes["batch"], threads if alone else 1)
    kernel(device, "linalg/cholesky.wgsl", **spec)(a.buffer, params, grid=grid)
