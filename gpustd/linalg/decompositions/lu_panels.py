"""Panels of an LU factorisation, in place.

One workgroup factors a panel of columns. Its row exchanges are applied to all other columns at
once. The columns right of it take one triangular solve and one matrix product: four launches for
each 64 columns on GPUs.

Beyond 2048 rows, 128 columns are halved down to panels of 32 first (Toledo 1997, doi
10.1137/S0895479896297744): one workgroup has less work, and products are larger. Software renderers
halve all columns so.
"""

from __future__ import annotations

from typing import NamedTuple

from gpucore import Buffer, Device, i32
from gpucore.integers import ceil_div
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant
from gpustd.linalg.triangular import block_rows, substitute_into
from gpustd.linalg.view_matmul import multiply_into
from gpustd.linalg.views import Matrices, batch_uniform, view_uniform

__all__ = ["factor_columns"]

_THREADS = 512
_CPU_THREADS = 8
# Columns of a panel that registers do not hold.
_NARROW = 16
# Rows beyond which panels are narrower, since one workgroup has all their work. _APART columns are
# then factored before the product with those right of them.
_TALL = 2048
_TALL_WIDTH = 32
_APART = 128
_ACROSS = 32
_INVOCATIONS = "max_compute_invocations_per_workgroup"
# Rows of an invocation, at most, that registers hold.
_MAX_ROWS = 16


class _Panel(NamedTuple):
    """The factorisation of a panel: its variant, invocations of a workgroup, most columns.

    ``apart`` columns, which panels make up by halves, are factored before those right of them
    follow.
    """

    variant: str
    threads: int
    width: int
    apart: int


def factor_columns(
    a: Matrices, piv: Buffer[i32], batch: tuple[int, ...], at: int, count: int
) -> None:
    """Record the factorisation of ``count`` columns from ``at`` on, and below its diagonal."""
    n, device = a.rows, a.buffer.device
    while count > (panel := _choose_panel(device, n - at)).width:
        halved = ceil_div(count // 2, panel.width) * panel.width
        half = panel.apart if count > panel.apart else halved
        rest, middle = count - half, at + half
        factor_columns(a, piv, batch, at, half)
        corner, right = a.block(at, at, half, half), a.block(at, middle, half, rest)
        substitute_into(right, corner, batch, lower=True, unit=True)
        below = a.block(middle, at, n - middle, half)
        goal = a.block(middle, middle, n - middle, rest)
        multiply_into(goal, below, right, batch, alpha=-1.0, beta=1.0)
        at, count = middle, rest
    _launch_panel(a, piv, batch, at, count)
    if count < n:
        _launch_exchange(a, piv, batch, at, count)


def _choose_panel(device: Device, rows: int) -> _Panel:
    """Return the panel for so many rows."""
    variant = forced_variant("panel") or ("alone" if device.is_cpu else None)
    forced = forced_tile("panel")
    if variant and isinstance(forced, tuple):
        return _Panel(variant, *forced)
    if variant == "alone":
        return _Panel(variant, _CPU_THREADS, _NARROW, rows)
    limit = min(device.limits[_INVOCATIONS], _THREADS)
    threads = min(limit, max(64, 1 << (rows - 1).bit_length()))
    if rows > _MAX_ROWS * threads:
        return _Panel("panel", limit, _NARROW, _APART)
    if rows > _TALL:
        return _Panel("panel_registers", threads, _TALL_WIDTH, _APART)
    return _Panel("panel_registers", threads, block_rows(device), block_rows(device))


def _launch_panel(
    a: Matrices, piv: Buffer[i32], batch: tuple[int, ...], at: int, count: int
) -> None:
    """Record the factorisation of ``count`` columns from ``at`` on, as one panel."""
    device, rows = a.buffer.device, a.rows - at
    panel = a.block(at, at, rows, count)
    variant, threads, width, _ = _choose_panel(device, rows)
    rank, sizes = batch_uniform(batch, {"a": panel})
    params = {"rows": rows, "columns": count, "n": a.rows, "first_row": at, **sizes}
    params |= view_uniform("a", panel)
    spec: dict[str, Value] = {"rank": rank, "width": width, "threads": threads}
    grid = flat_grid(sizes["batch"], threads if variant == "alone" else 1)
    if variant == "panel_registers":
        rows_held = 1 << (ceil_div(rows, threads) - 1).bit_length()
        words = not any(k % 4 for k in (panel.start, panel.row_step, count, *panel.steps))
        lanes = row_lanes(device)
        lanes = lanes if lanes and threads % lanes == 0 else 0
        spec |= {"rows": rows_held, "sub": 8 if rows_held < _MAX_ROWS else 4}
        spec |= {"unit": 4 if words else 1, "lanes": lanes}
        launch = kernel(device, "linalg/panel_registers.wgsl", **spec)
    else:
        launch = kernel(device, "linalg/panel.wgsl", **spec, alone=variant == "alone")
    launch(a.buffer, piv, params, grid=grid)


def _launch_exchange(
    a: Matrices, piv: Buffer[i32], batch: tuple[int, ...], at: int, count: int
) -> None:
    """Record a panel's row exchanges in all columns but its own."""
    device = a.buffer.device
    rank, sizes = batch_uniform(batch, {"a": a})
    columns = a.columns - count
    params = {"n": a.rows, "columns": columns, "count": count, "first_row": at}
    params |= {"gap_first": at, "gap": count, **sizes, **view_uniform("a", a)}
    width = _choose_panel(device, a.rows - at).width
    grid = flat_grid(sizes["batch"] * ceil_div(columns, _ACROSS), 1)
    launch = kernel(device, "linalg/exchange.wgsl", rank=rank, width=width)
    launch(a.buffer, piv, params, grid=grid)
