"""LU with partial pivoting: 2 N³ / 3 operations.

One workgroup factors a panel of columns; its row exchanges are made in all other columns at once,
then the columns right of it want one triangular solve and one product: four launches for each 64
columns on GPUs. With more than 2048 rows, 128 columns are halved down to panels of 32 first (Toledo
1997, doi 10.1137/S0895479896297744): less work for one workgroup, larger products. Software
renderers halve all columns so.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gpucore import ArgumentError, Buffer, Device, DTypeError, ShapeError, f32, i32
from gpucore.integers import ceil_div
from gpustd.launch.checks import require_buffers
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant
from gpustd.linalg.triangles import fresh_copy, triangle
from gpustd.linalg.triangular import (
    Trans,
    as_columns,
    block_rows,
    check_square,
    substitute_into,
    transposed,
)
from gpustd.linalg.view_products import multiply_into
from gpustd.linalg.views import (
    Matrices,
    broadcast_batch,
    launch_batch,
    matrices,
    view_sizes,
)

__all__ = ["LU", "factored", "identity_in_order", "lu", "lu_factor", "lu_solve"]

_THREADS = 512
_CPU_THREADS = 8
# Columns of a panel that registers do not hold.
_NARROW = 16
# Rows beyond which panels are narrower, since one workgroup has all their work, and then how many
# columns are factored before the product with what is right of them.
_TALL = 2048
_TALL_WIDTH = 32
_APART = 128
_GROUP = 64
_ACROSS = 32
_INVOCATIONS = "max_compute_invocations_per_workgroup"
# Rows of an invocation that registers hold, and entries of a permutation that a workgroup holds.
_MOST_ROWS = 16
_MOST_HELD = 4096


class LU(NamedTuple):
    """``lu`` (..., N, N): U, and below its diagonal L without its ones; ``piv`` (..., N), i32.

    Row i was exchanged with row ``piv[i]``, one after the other.
    """

    lu: Buffer[f32]
    piv: Buffer[i32]


def lu_factor(a: Buffer[f32]) -> LU:
    """``P A = L U`` with partial pivoting, as `scipy.linalg.lu_factor`.

    ``a`` (..., N, N), f32. Of equal pivots the first is taken; a NaN counts as the largest. A
    singular matrix has a zero on the diagonal of U; nothing is raised. Error: Higham 2002, theorem
    9.3. Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> a = Device.auto().buffer_from_array(np.array([[1, 2], [4, 4]], np.float32))
    >>> factor, piv = linalg.lu_factor(a)
    >>> print(factor.read().tolist(), piv.read())
    [[4.0, 4.0], [0.25, 1.0]] [1 1]
    """
    check_square("lu_factor", a)
    factor = fresh_copy(a, a.shape[:-2])
    return factored(factor)


def lu_solve(
    lu_and_piv: tuple[Buffer[f32], Buffer[i32]], b: Buffer[f32], trans: Trans = 0
) -> Buffer[f32]:
    """Solution of ``op(A) x = b`` from the factors of A, as `scipy.linalg.lu_solve`.

    Args:
        lu_and_piv: what `lu_factor` returned for (..., N, N).
        b: (N,), or (..., N, K); batch axes broadcast.
        trans: 0 or "N" for A, 1 or "T" (and 2 or "C") for its transpose.

    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> a = device.buffer_from_array(np.array([[1, 2], [4, 4]], np.float32))
    >>> b = device.buffer_from_array(np.array([5, 12], np.float32))
    >>> print(linalg.lu_solve(linalg.lu_factor(a), b).read())
    [1. 2.]
    """
    try:
        factor, piv = lu_and_piv
    except (TypeError, ValueError):
        message = "lu_solve: wants the pair (lu, piv) that lu_factor gives"
        raise ArgumentError(message) from None
    flipped = transposed("lu_solve", trans)
    columns = as_columns("lu_solve", factor, b)
    require_buffers("lu_solve", piv)
    if piv.dtype is not i32:
        raise DTypeError(f"lu_solve: piv is {piv!r}: wants i32, as lu_factor gives it")
    if piv.shape != factor.shape[:-1]:
        raise ShapeError(f"lu_solve: piv is {piv.shape} for factors {factor.shape}")
    batch = broadcast_batch("lu_solve", factor.shape[:-2], columns.shape[:-2])
    order, view = _row_order(piv), matrices(factor, batch)
    if flipped:
        solved = fresh_copy(columns, batch)
        substitute_into(matrices(solved), view.T, batch, lower=True)
        substitute_into(matrices(solved), view.T, batch, lower=False, unit=True)
        x = _permuted_rows(solved, order, batch, inverse=True)
    else:
        x = _permuted_rows(columns, order, batch)
        substitute_into(matrices(x), view, batch, lower=True, unit=True)
        substitute_into(matrices(x), view, batch, lower=False)
    return x.view((*batch, columns.shape[-2])) if len(b.shape) == 1 else x


def lu(a: Buffer[f32]) -> tuple[Buffer[f32], Buffer[f32], Buffer[f32]]:
    """``A = P L U`` as `scipy.linalg.lu`: permutation, unit lower and upper triangle.

    ``a`` (..., N, N), f32; three results of its shape. Raises as `lu_factor`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> a = Device.auto().buffer_from_array(np.array([[1, 2], [4, 4]], np.float32))
    >>> p, l, u = (x.read().tolist() for x in linalg.lu(a))
    >>> print(p, l, u)
    [[0.0, 1.0], [1.0, 0.0]] [[1.0, 0.0], [0.25, 1.0]] [[4.0, 4.0], [0.0, 1.0]]
    """
    check_square("lu", a)
    factor, piv = lu_factor(a)
    p = identity_in_order(piv, inverse=True)
    return p, triangle(factor, "lower", unit=True), triangle(factor, "upper")


def factored(a: Buffer[f32]) -> LU:
    """Factor the matrices of ``a`` in its own memory."""
    piv = a.device.buffer(i32, a.shape[:-1])
    if a.size:
        _factor(matrices(a), piv, a.shape[:-2], 0, a.shape[-1])
    return LU(a, piv)


def _factor(a: Matrices, piv: Buffer[i32], batch: tuple[int, ...], at: int, count: int) -> None:
    """Record the factorisation of ``count`` columns from ``at`` on, and below its diagonal."""
    n, device = a.rows, a.buffer.device
    while count > (panel := _panel(device, n - at)).width:
        halved = ceil_div(count // 2, panel.width) * panel.width
        half = panel.apart if count > panel.apart else halved
        rest, middle = count - half, at + half
        _factor(a, piv, batch, at, half)
        corner, right = a.block(at, at, half, half), a.block(at, middle, half, rest)
        substitute_into(right, corner, batch, lower=True, unit=True)
        below = a.block(middle, at, n - middle, half)
        goal = a.block(middle, middle, n - middle, rest)
        multiply_into(goal, below, right, batch, alpha=-1.0, beta=1.0)
        at, count = middle, rest
    _launch_panel(a, piv, batch, at, count)
    if count < n:
        _launch_exchange(a, piv, batch, at, count)


class _Panel(NamedTuple):
    """How a panel is factored: the variant, invocations of a workgroup, most columns.

    ``apart`` columns, made of panels by halves, are factored before those right of them follow.
    """

    variant: str
    threads: int
    width: int
    apart: int


def _panel(device: Device, rows: int) -> _Panel:
    """What suits a panel of so many rows."""
    variant = forced_variant("panel") or ("alone" if device.is_cpu else None)
    wanted = forced_tile("panel")
    if variant and isinstance(wanted, tuple):
        return _Panel(variant, *wanted)
    if variant == "alone":
        return _Panel(variant, _CPU_THREADS, _NARROW, rows)
    most = min(device.limits[_INVOCATIONS], _THREADS)
    threads = min(most, max(64, 1 << (rows - 1).bit_length()))
    if rows > _MOST_ROWS * threads:
        return _Panel("panel", most, _NARROW, _APART)
    if rows > _TALL:
        return _Panel("panel_registers", threads, _TALL_WIDTH, _APART)
    return _Panel("panel_registers", threads, block_rows(device), block_rows(device))


def _launch_panel(
    a: Matrices, piv: Buffer[i32], batch: tuple[int, ...], at: int, count: int
) -> None:
    device, rows = a.buffer.device, a.rows - at
    panel = a.block(at, at, rows, count)
    variant, threads, width, _ = _panel(device, rows)
    rank, sizes = launch_batch(batch, {"a": panel})
    params = {"rows": rows, "columns": count, "n": a.rows, "first_row": at, **sizes}
    params |= view_sizes("a", panel)
    spec: dict[str, Value] = {"rank": rank, "width": width, "threads": threads}
    grid = flat_grid(sizes["batch"], threads if variant == "alone" else 1)
    if variant == "panel_registers":
        held = 1 << (ceil_div(rows, threads) - 1).bit_length()
        words = not any(k % 4 for k in (panel.start, panel.row_step, count, *panel.steps))
        lanes = row_lanes(device)
        lanes = lanes if lanes and threads % lanes == 0 else 0
        spec |= {"rows": held, "sub": 8 if held < _MOST_ROWS else 4, "unit": 4 if words else 1}
        spec |= {"lanes": lanes, "enable_subgroups": lanes > 0 and device.info.engine == "dawn"}
        launch = kernel(device, "linalg/panel_registers.wgsl", **spec)
    else:
        launch = kernel(device, "linalg/panel.wgsl", **spec, alone=variant == "alone")
    launch(a.buffer, piv, params, grid=grid)


def _launch_exchange(
    a: Matrices, piv: Buffer[i32], batch: tuple[int, ...], at: int, count: int
) -> None:
    """Record a panel's row exchanges in all columns but its own."""
    device = a.buffer.device
    rank, sizes = launch_batch(batch, {"a": a})
    columns = a.columns - count
    params = {"n": a.rows, "columns": columns, "count": count, "first_row": at}
    params |= {"gap_first": at, "gap": count, **sizes, **view_sizes("a", a)}
    width = _panel(device, a.rows - at).width
    grid = flat_grid(sizes["batch"] * ceil_div(columns, _ACROSS), 1)
    launch = kernel(device, "linalg/exchange.wgsl", rank=rank, width=width)
    launch(a.buffer, piv, params, grid=grid)


def _row_order(piv: Buffer[i32]) -> Buffer[i32]:
    """The rows of A in the order of those of ``P A``, from pivots (..., N)."""
    device, n = piv.device, piv.shape[-1]
    order = device.buffer(i32, piv.shape)
    count = piv.size // n if n else 0
    spec: dict[str, Value] = {"held": n <= _MOST_HELD, "most": _MOST_HELD, "threads": _GROUP}
    launch = kernel(device, "linalg/permutation.wgsl", **spec)
    launch(piv, order, {"batch": count, "n": n}, grid=flat_grid(count, 1))
    return order


def identity_in_order(piv: Buffer[i32], *, inverse: bool) -> Buffer[f32]:
    """The matrices P (..., N, N) of pivots (..., N); with ``inverse`` their transposes."""
    y = piv.device.buffer(f32, (*piv.shape, piv.shape[-1]))
    _gather(None, _row_order(piv), y, piv.shape[:-1], inverse=inverse)
    return y


def _permuted_rows(
    x: Buffer[f32], order: Buffer[i32], batch: tuple[int, ...], *, inverse: bool = False
) -> Buffer[f32]:
    """Rows of ``x`` (..., N, K), broadcast to ``batch``, taken (``inverse``: put) in an order."""
    y = x.device.buffer(f32, (*batch, *x.shape[-2:]))
    _gather(x, order, y, batch, inverse=inverse)
    return y


def _gather(
    x: Buffer[f32] | None,
    order: Buffer[i32],
    y: Buffer[f32],
    batch: tuple[int, ...],
    *,
    inverse: bool,
) -> None:
    """Record the permutation of ``x``, of the unit matrix where there is none."""
    lines = order.view((*order.shape[:-1], 1, order.shape[-1]))
    source = matrices(y if x is None else x, batch)
    views = {"a": source, "order": matrices(lines, batch), "c": matrices(y)}
    rank, sizes = launch_batch(batch, views)
    params = {"n": y.shape[-2], "columns": y.shape[-1], "inverse": int(inverse), **sizes}
    for name, view in views.items():
        params |= view_sizes(name, view)
    operands: list[Buffer[Any]] = [order, y] if x is None else [x, order, y]
    launch = kernel(y.device, "linalg/gather_rows.wgsl", rank=rank, eye=x is None)
    launch(*operands, params, grid=flat_grid(y.size, _GROUP))
