"""Cholesky's factorisation, by blocks: N³ / 3 operations.

On GPUs one launch computes 64 columns, including their update by the first half of their pair. One
more launch subtracts the pair's products from the rest: three launches for each 128 columns. On
software renderers a step factors a block on the diagonal, solves for the panel below and updates
the rest.
"""

from __future__ import annotations

from dataclasses import replace

from gpucore import ArgumentError, Buffer, f32
from gpucore.integers import ceil_div
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import kernel
from gpustd.launch.variants import forced_variant
from gpustd.linalg.triangles import copy_batch, copy_into, copy_triangle
from gpustd.linalg.triangular import as_columns, block_rows, require_square, substitute_into
from gpustd.linalg.view_matmul import multiply_into
from gpustd.linalg.views import (
    Matrices,
    as_matrices,
    batch_uniform,
    broadcast_batch,
    view_uniform,
)

__all__ = ["cho_solve", "cholesky"]

_CPU_THREADS = 8
# In a launch on a GPU: its columns, the columns between updates of the rest, rows of a workgroup.
_WIDTH = 64
_PAIR = 128
_ROWS = 32
_NAN_BITS = 0x7FC00000


def cholesky(a: Buffer[f32], *, upper: bool = False) -> Buffer[f32]:
    """Return the factor L with ``A = L L^T``, or U with ``A = U^T U``, as `numpy.linalg.cholesky`.

    ``a`` (..., N, N), f32, is symmetric and positive definite; only its lower (``upper``: upper)
    triangle is read. The result is (..., N, N) with zeros in the other triangle.

    Where a matrix is not positive definite, the factor's columns (``upper``: rows) are NaN from the
    first pivot that is not above zero. Nothing is raised, since that would wait for the device. For
    the error see Higham 2002, theorem 10.3. Raises `ShapeError`, `DTypeError`.

    >>> a = device.buffer_from_array(np.array([[4, 2], [2, 10]], np.float32))
    >>> print(linalg.cholesky(a).read().round(4).tolist())
    [[2.0, 0.0], [1.0, 3.0]]
    """
    require_square("cholesky", a)
    factor = copy_triangle(a, "upper" if upper else "lower")
    view = as_matrices(factor)
    _factor_into(view.T if upper else view, a.shape[:-2])
    return factor


def cho_solve(c_and_lower: tuple[Buffer[f32], bool], b: Buffer[f32]) -> Buffer[f32]:
    """Solve ``A x = b`` from the factor of A, as `scipy.linalg.cho_solve`.

    Args:
        c_and_lower: the factor (..., N, N) of `cholesky`, and whether it is the lower one.
        b: (N,), or (..., N, K); batch axes broadcast.

    Raises `ShapeError`, `DTypeError`.

    >>> a = device.buffer_from_array(np.array([[4, 2], [2, 10]], np.float32))
    >>> b = device.buffer_from_array(np.array([6, 12], np.float32))
    >>> print(linalg.cho_solve((linalg.cholesky(a), True), b).read().round(4))
    [1. 1.]
    """
    pair: object = c_and_lower
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ArgumentError(
            "cho_solve: c_and_lower must be a pair (c, lower), such as (cholesky(a), True), got "
            f"{pair!r}"
        )
    factor, lower = c_and_lower
    columns = as_columns("cho_solve", factor, b)
    batch = broadcast_batch("cho_solve", factor.shape[:-2], columns.shape[:-2])
    x = copy_batch(columns, batch)
    view = as_matrices(factor, batch) if lower else as_matrices(factor, batch).T
    substitute_into(as_matrices(x), view, batch, lower=True)
    substitute_into(as_matrices(x), view.T, batch, lower=False)
    return x.view((*batch, columns.shape[-2])) if len(b.shape) == 1 else x


def _factor_into(a: Matrices, batch: tuple[int, ...]) -> None:
    """Record the factorisation of the lower triangle of ``a``, in place."""
    if not (a.rows and all(batch)):
        return
    variant = forced_variant("cholesky") or ("alone" if a.buffer.device.is_cpu else "panel")
    if variant == "alone":
        _factor_blocks(a, batch)
    else:
        _factor_panels(a, batch)


def _factor_blocks(a: Matrices, batch: tuple[int, ...]) -> None:
    """Record the factorisation block by block, for software renderers."""
    n, width = a.rows, block_rows(a.buffer.device)
    for k in range(0, n, width):
        size = min(width, n - k)
        rest = n - k - size
        block = a.block(k, k, size, size)
        _launch_block(block, batch)
        if rest:
            panel = a.block(k + size, k, rest, size)
            substitute_into(panel.T, block, batch, lower=True)
            corner = a.block(k + size, k + size, rest, rest)
            multiply_into(corner, panel, panel.T, batch, alpha=-1.0, beta=1.0, part="lower")


def _launch_block(a: Matrices, batch: tuple[int, ...]) -> None:
    """Record the factorisation of one block on the diagonal."""
    rank, sizes = batch_uniform(batch, {"a": a})
    params = {"n": a.rows, "nan": _NAN_BITS, **sizes, **view_uniform("a", a)}
    launch = kernel(a.buffer.device, "linalg/cholesky.wgsl", rank=rank, threads=_CPU_THREADS)
    launch(a.buffer, params, grid=flat_grid(sizes["batch"], _CPU_THREADS))


def _factor_panels(a: Matrices, batch: tuple[int, ...]) -> None:
    """Record the factorisation in panels of 64 columns, for GPUs."""
    n, blocks = a.rows, (a.rows - 1) // _WIDTH
    side = as_matrices(a.buffer.device.buffer(f32, (*batch, blocks * _WIDTH, _WIDTH)))
    for k in range(0, n, _WIDTH):
        left, size = k % _PAIR, min(_WIDTH, n - k)
        end, rest = k + size, n - k - size
        panel = a.block(k, k - left, n - k, left + size)
        _launch_panel(panel, side.block(k, 0, _WIDTH, _WIDTH) if rest else None, size, batch)
        if rest and end % _PAIR == 0:
            below = a.block(end, end - _PAIR, rest, _PAIR)
            corner = a.block(end, end, rest, rest)
            multiply_into(corner, below, below.T, batch, alpha=-1.0, beta=1.0, part="lower")
    if blocks:
        step = _WIDTH * (a.row_step + a.column_step)
        diagonal = replace(a.block(0, 0, _WIDTH, _WIDTH), steps=(*a.steps, step))
        factors = replace(side.block(0, 0, _WIDTH, _WIDTH), steps=(*side.steps, _WIDTH * _WIDTH))
        copy_into(diagonal, factors, (*batch, blocks))


def _launch_panel(a: Matrices, side: Matrices | None, size: int, batch: tuple[int, ...]) -> None:
    """Record ``size`` columns, the last of ``a``; their factored block goes to ``side``."""
    views = {"a": a} if side is None else {"a": a, "side": side}
    rank, sizes = batch_uniform(batch, views)
    groups = max(1, ceil_div(a.rows - size, _ROWS))
    params = {"rows": a.rows, "size": size, "k": a.columns - size, "groups": groups}
    params |= {"a_quick": int(abs(a.column_step) != 1), "nan": _NAN_BITS, **sizes}
    for name, view in views.items():
        params |= view_uniform(name, view)
    operands = [view.buffer for view in views.values()]
    launch = kernel(
        a.buffer.device, "linalg/cholesky_panel.wgsl", rank=rank, aside=side is not None
    )
    launch(*operands, params, grid=flat_grid(sizes["batch"] * groups, 1))
