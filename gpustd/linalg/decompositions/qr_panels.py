"""Factorisation of a panel of 32 columns into reflectors, by a method that depends on its height.

One workgroup factors short panels, column by column. Longer ones are made orthonormal by their
inner products, twice, and the reflectors follow from the result (see ``qr_cholesky.wgsl``). That is
a few matrix products, where columns would wait for each other.

Some panels are too ill-conditioned for this, as the device finds. They are factored by columns: in
one workgroup, or if they are very long by many, with a launch for each column.
"""

from __future__ import annotations

import math

from gpucore import Buffer, Device, Kernel, Work, f32, u32
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import kernel
from gpustd.linalg.views import Matrices, as_matrices

__all__ = ["WIDTH", "factorise_panel", "project"]

WIDTH = 32
# Columns of a workgroup of `project`, and rows of one of ``qr_rows.wgsl``.
_PROJECTED = 128
_ROWS = 64
# Parts of a long sum, at most, and rows of a part, at least: enough work for a workgroup each.
_MAX_SPLITS = 64
_PART = 256
_FULL_CARD = 256
# Rows from which inner products are faster than one workgroup, and beyond which one workgroup
# takes longer over an ill-conditioned panel than many that wait for each other.
_LONG = 512
_TALL = 8192
_STAGES = ("peaks", "columns", "finish")
_RUN = 256
_MAX_RUNS = 512
_RUN_THREADS = 256
_CPU_THREADS = 64


def factorise_panel(work: Buffer[f32], v: Buffer[f32], t: Buffer[f32], first: int) -> None:
    """Record that the panel of ``work`` (batch, M, N) at ``first`` becomes R, and its v and t."""
    batch, rows, columns = work.shape
    pitch = v.shape[2]
    sizes = {
        "rows": rows,
        "columns": columns,
        "pitch": pitch,
        "first": first,
        "width": min(WIDTH, pitch - first),
        "batch": batch,
        "panel": first // WIDTH,
        "panels": t.shape[1],
    }
    height = rows - first
    guards: list[Buffer[u32]] = []
    if height >= _LONG and sizes["width"] == WIDTH:
        guards = [_factorise_by_products(work, v, t, sizes)]
    if height > _TALL:
        _factorise_by_columns(work, v, t, sizes, guards)
        return
    threads = _threads(work.device, height)
    launch = kernel(work.device, "linalg/qr_panel.wgsl", threads=threads, guarded=bool(guards))
    launch(work, v, t, sizes, *guards, grid=flat_grid(batch, 1))


def project(v: Matrices, c: Matrices, batch: int) -> Buffer[f32]:
    """Return ``v^T c`` as parts (batch, splits, columns of v, columns of c), which must be added.

    ``v`` has up to 32 columns, and the rows of both are contiguous.
    """
    device = v.buffer.device
    m, n, width = c.rows, c.columns, v.columns
    splits = _splits(m, n)
    parts = device.buffer(f32, (batch, splits, width, n))
    sizes = {"m": m, "n": n, "width": width, "splits": splits, "batch": batch}
    for name, view in (("v", v), ("c", c)):
        step = view.steps[0]
        sizes |= {f"{name}_first": view.start, f"{name}_pitch": view.row_step}
        sizes |= {f"{name}_batch": step}
    grid = flat_grid(math.ceil(n / _PROJECTED) * splits * batch, 1)
    work = Work(2.0 * batch * width * n * m, 4 * batch * m * (width + n))
    launch = kernel(device, "linalg/qr_project.wgsl")
    launch(v.buffer, c.buffer, parts, sizes, grid=grid, work=work)
    return parts


def _factorise_by_products(
    work: Buffer[f32], v: Buffer[f32], t: Buffer[f32], sizes: dict[str, int]
) -> Buffer[u32]:
    """Factor by inner products, and return flags: not 0 for matrices that must be done again."""
    device, batch = work.device, sizes["batch"]
    first, height = sizes["first"], sizes["rows"] - sizes["first"]
    names = ("rows", "columns", "pitch", "first", "batch", "panel", "panels")
    known = {name: sizes[name] for name in names}
    small = device.buffer(f32, (batch, 2, WIDTH, WIDTH))
    failed = device.buffer(u32, batch)
    q1 = device.buffer(f32, (batch, height, WIDTH))
    panel = as_matrices(work).block(first, first, height, WIDTH)
    grid = flat_grid(batch, 1)

    parts = project(panel, panel, batch)
    launch = kernel(device, "linalg/qr_cholesky.wgsl", stage="first")
    launch(parts, small, failed, {**known, "splits": parts.shape[1]}, grid=grid)
    uppers = as_matrices(small.view((batch, 2 * WIDTH, WIDTH)))
    _divide_by_triangle(as_matrices(q1), panel, uppers, batch)
    thin = as_matrices(q1)
    parts = project(thin, thin, batch)
    launch = kernel(device, "linalg/qr_cholesky.wgsl", stage="second")
    launch(parts, small, failed, q1, work, v, t, {**known, "splits": parts.shape[1]}, grid=grid)
    if height > WIDTH:
        below = as_matrices(v).block(first + WIDTH, first, height - WIDTH, WIDTH)
        rest = thin.block(WIDTH, 0, height - WIDTH, WIDTH)
        _divide_by_triangle(below, rest, uppers.block(WIDTH, 0, WIDTH, WIDTH), batch)
    return failed


def _divide_by_triangle(x: Matrices, y: Matrices, p: Matrices, batch: int) -> None:
    """Record ``x = y p^-1`` for 32 columns and upper triangular ``p``."""
    device = x.buffer.device
    sizes = {"rows": x.rows, "batch": batch, "p_first": p.start, "p_batch": p.steps[0]}
    for name, view in (("y", y), ("x", x)):
        sizes |= {f"{name}_first": view.start, f"{name}_pitch": view.row_step}
        sizes |= {f"{name}_batch": view.steps[0]}
    grid = flat_grid(math.ceil(x.rows / _ROWS) * batch, 1)
    kernel(device, "linalg/qr_rows.wgsl")(y.buffer, p.buffer, x.buffer, sizes, grid=grid)


def _factorise_by_columns(
    work: Buffer[f32],
    v: Buffer[f32],
    t: Buffer[f32],
    sizes: dict[str, int],
    guards: list[Buffer[u32]],
) -> None:
    """Factor by a launch for each column, whose rows many workgroups share."""
    device, batch = work.device, sizes["batch"]
    groups = min(math.ceil((sizes["rows"] - sizes["first"]) / _RUN), _MAX_RUNS)
    parts = device.buffer(f32, (2, batch, groups, WIDTH))
    state = device.buffer(f32, (batch, WIDTH + 2, WIDTH))
    grid = flat_grid(groups * batch, 1)
    peaks, columns, finish = (_column_kernel(device, s, guards) for s in _STAGES)
    sizes = {**sizes, "groups": groups, "step": 0}
    peaks(work, parts, sizes, *guards, grid=grid)
    for step in range(sizes["width"] + 1):
        columns(work, v, parts, state, {**sizes, "step": step}, *guards, grid=grid)
    finish(v, t, state, sizes, *guards, grid=grid)


def _column_kernel(device: Device, stage: str, guards: list[Buffer[u32]]) -> Kernel:
    """Return the kernel of a stage."""
    threads = _CPU_THREADS if device.is_cpu else _RUN_THREADS
    name = "linalg/qr_column.wgsl"
    return kernel(device, name, threads=threads, stage=stage, guarded=bool(guards))


def _threads(device: Device, rows: int) -> int:
    """Return the invocations of a panel's workgroup, so that each has several rows."""
    if device.is_cpu:
        return _CPU_THREADS
    limit = min(device.limits.get("max_compute_invocations_per_workgroup", 256), 1024)
    return next((n for n in (64, 128, 256, 512) if rows * 8 <= n), limit)


def _splits(m: int, n: int) -> int:
    """Return the parts of a sum over ``m`` rows; they depend on the sizes of one matrix alone."""
    splits = math.ceil(_FULL_CARD / math.ceil(n / _PROJECTED))
    return max(1, min(splits, _MAX_SPLITS, m // _PART))
