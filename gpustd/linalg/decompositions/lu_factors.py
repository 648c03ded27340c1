"""LU factorisation with partial pivoting (2 N³ / 3 operations), and solutions from it."""

from __future__ import annotations

from typing import Any, NamedTuple

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, f32, i32
from gpustd.launch.checks import require_buffers
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.linalg.decompositions.lu_panels import factor_columns
from gpustd.linalg.triangles import copy_batch, copy_triangle
from gpustd.linalg.triangular import (
    Trans,
    as_columns,
    is_transposed,
    require_square,
    substitute_into,
)
from gpustd.linalg.views import (
    as_matrices,
    batch_uniform,
    broadcast_batch,
    view_uniform,
)

__all__ = ["LU", "factor_in_place", "lu", "lu_factor", "lu_solve", "permutation_matrix"]

_GROUP = 64
# Entries of a permutation, at most, that a workgroup holds.
_MAX_HELD = 4096


class LU(NamedTuple):
    """The factors of ``P A = L U``.

    ``lu`` (..., N, N) holds U, and below its diagonal L without its ones. ``piv`` (..., N), i32,
    holds the exchanges: row i was exchanged with row ``piv[i]``, one after the other.
    """

    lu: Buffer[f32]
    piv: Buffer[i32]


def lu_factor(a: Buffer[f32]) -> LU:
    """Factor ``P A = L U`` with partial pivoting, as `scipy.linalg.lu_factor`.

    ``a`` is (..., N, N), f32. Of equal pivots the first is taken; a NaN counts as the largest. A
    singular matrix has a zero on the diagonal of U; nothing is raised. For the error see Higham
    2002, theorem 9.3. Raises `ShapeError`, `DTypeError`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [4, 4]], np.float32))
    >>> factor, piv = linalg.lu_factor(a)
    >>> print(factor.read().tolist(), piv.read())
    [[4.0, 4.0], [0.25, 1.0]] [1 1]
    """
    require_square("lu_factor", a)
    factor = copy_batch(a, a.shape[:-2])
    return factor_in_place(factor)


def lu_solve(
    lu_and_piv: tuple[Buffer[f32], Buffer[i32]], b: Buffer[f32], trans: Trans = 0
) -> Buffer[f32]:
    """Solve ``op(A) x = b`` from the factors of A, as `scipy.linalg.lu_solve`.

    Args:
        lu_and_piv: the result of `lu_factor` for (..., N, N).
        b: (N,), or (..., N, K); batch axes broadcast.
        trans: 0 or "N" for A, 1 or "T" (and 2 or "C") for its transpose.

    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [4, 4]], np.float32))
    >>> b = device.buffer_from_array(np.array([5, 12], np.float32))
    >>> print(linalg.lu_solve(linalg.lu_factor(a), b).read())
    [1. 2.]
    """
    pair: object = lu_and_piv
    if not isinstance(pair, tuple | list) or len(pair) != 2:
        raise ArgumentError(
            f"lu_solve: lu_and_piv must be the pair (lu, piv) of lu_factor, got {pair!r}"
        )
    factor, piv = lu_and_piv
    flipped = is_transposed("lu_solve", trans)
    columns = as_columns("lu_solve", factor, b)
    require_buffers("lu_solve", piv)
    if piv.dtype is not i32:
        raise DTypeError(f"lu_solve: piv must be i32, as lu_factor returns it, got {piv!r}")
    if piv.shape != factor.shape[:-1]:
        raise ShapeError(
            f"lu_solve: piv must be {factor.shape[:-1]} for factors {factor.shape}, got {piv.shape}"
        )
    batch = broadcast_batch("lu_solve", factor.shape[:-2], columns.shape[:-2])
    order, view = _row_order(piv), as_matrices(factor, batch)
    if flipped:
        solved = copy_batch(columns, batch)
        substitute_into(as_matrices(solved), view.T, batch, lower=True)
        substitute_into(as_matrices(solved), view.T, batch, lower=False, unit=True)
        x = _permute_rows(solved, order, batch, inverse=True)
    else:
        x = _permute_rows(columns, order, batch)
        substitute_into(as_matrices(x), view, batch, lower=True, unit=True)
        substitute_into(as_matrices(x), view, batch, lower=False)
    return x.view((*batch, columns.shape[-2])) if len(b.shape) == 1 else x


def lu(a: Buffer[f32]) -> tuple[Buffer[f32], Buffer[f32], Buffer[f32]]:
    """Factor ``A = P L U`` into permutation, unit lower and upper triangle, as `scipy.linalg.lu`.

    ``a`` is (..., N, N), f32; the three results have its shape. Raises as `lu_factor`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [4, 4]], np.float32))
    >>> p, l, u = (x.read().tolist() for x in linalg.lu(a))
    >>> print(p, l, u)
    [[0.0, 1.0], [1.0, 0.0]] [[1.0, 0.0], [0.25, 1.0]] [[4.0, 4.0], [0.0, 1.0]]
    """
    require_square("lu", a)
    factor, piv = lu_factor(a)
    p = permutation_matrix(piv, inverse=True)
    return p, copy_triangle(factor, "lower", unit=True), copy_triangle(factor, "upper")


def factor_in_place(a: Buffer[f32]) -> LU:
    """Factor the matrices of ``a`` in its own memory."""
    piv = a.device.buffer(i32, a.shape[:-1])
    if a.size:
        factor_columns(as_matrices(a), piv, a.shape[:-2], 0, a.shape[-1])
    return LU(a, piv)


def _row_order(piv: Buffer[i32]) -> Buffer[i32]:
    """Return the rows of A in the order of those of ``P A``, from pivots (..., N)."""
    device, n = piv.device, piv.shape[-1]
    order = device.buffer(i32, piv.shape)
    count = piv.size // n if n else 0
    spec: dict[str, Value] = {"held": n <= _MAX_HELD, "most": _MAX_HELD, "threads": _GROUP}
    launch = kernel(device, "linalg/permutation.wgsl", **spec)
    launch(piv, order, {"batch": count, "n": n}, grid=flat_grid(count, 1))
    return order


def permutation_matrix(piv: Buffer[i32], *, inverse: bool) -> Buffer[f32]:
    """Return the matrices P (..., N, N) of pivots (..., N); with ``inverse`` their transposes."""
    y = piv.device.buffer(f32, (*piv.shape, piv.shape[-1]))
    _launch_gather(None, _row_order(piv), y, piv.shape[:-1], inverse=inverse)
    return y


def _permute_rows(
    x: Buffer[f32], order: Buffer[i32], batch: tuple[int, ...], *, inverse: bool = False
) -> Buffer[f32]:
    """Return rows of ``x`` (..., N, K), broadcast to ``batch``, in an order or its inverse."""
    y = x.device.buffer(f32, (*batch, *x.shape[-2:]))
    _launch_gather(x, order, y, batch, inverse=inverse)
    return y


def _launch_gather(
    x: Buffer[f32] | None,
    order: Buffer[i32],
    y: Buffer[f32],
    batch: tuple[int, ...],
    *,
    inverse: bool,
) -> None:
    """Record the permutation of ``x``, or of the unit matrix without one."""
    lines = order.view((*order.shape[:-1], 1, order.shape[-1]))
    source = as_matrices(y if x is None else x, batch)
    views = {"a": source, "order": as_matrices(lines, batch), "c": as_matrices(y)}
    rank, sizes = batch_uniform(batch, views)
    params = {"n": y.shape[-2], "columns": y.shape[-1], "inverse": int(inverse), **sizes}
    for name, view in views.items():
        params |= view_uniform(name, view)
    operands: list[Buffer[Any]] = [order, y] if x is None else [x, order, y]
    launch = kernel(y.device, "linalg/gather_rows.wgsl", rank=rank, eye=x is None)
    launch(*operands, params, grid=flat_grid(y.size, _GROUP))
