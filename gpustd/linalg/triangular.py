"""Triangular systems, by halves: blocks on the diagonal are solved, the rest is matrix products.

N rows and K columns take N² K operations. Below some hundred columns the bytes of the triangle, and
the chain of N / 64 launches, count for more. Up to four columns take a launch for each 256 rows.
"""

from __future__ import annotations

from typing import Any, Literal

from gpucore import ArgumentError, Buffer, Device, DTypeError, ShapeError, f32
from gpucore.integers import ceil_div
from gpustd.launch.checks import require_buffers
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant
from gpustd.linalg.triangles import copy_batch, copy_into
from gpustd.linalg.view_matmul import multiply_into
from gpustd.linalg.views import (
    Matrices,
    as_matrices,
    batch_uniform,
    broadcast_batch,
    view_uniform,
)

__all__ = [
    "Trans",
    "as_columns",
    "block_rows",
    "is_transposed",
    "require_square",
    "solve_triangular",
    "substitute_into",
]

Trans = Literal[0, 1, 2, "N", "T", "C"]

_COLUMNS = 32
_CPU_THREADS = 16
# Columns, at most, that are solved in a row of launches. Of such a launch: blocks of 64 rows, and
# rows of a workgroup below them.
_FEW = 4
_BLOCKS = 4
_BELOW = 32
_WORKGROUP_BYTES = "max_compute_workgroup_storage_size"


def solve_triangular(
    a: Buffer[f32],
    b: Buffer[f32],
    trans: Trans = 0,
    lower: bool = False,
    unit_diagonal: bool = False,
) -> Buffer[f32]:
    """Solve ``op(A) x = b`` for a triangular A, as `scipy.linalg.solve_triangular`.

    Args:
        a: (..., N, N), f32; the other triangle is not read.
        b: (N,), or (..., N, K); batch axes broadcast with those of ``a``.
        trans: 0 or "N" for A, 1 or "T" (and 2 or "C") for its transpose.
        lower: A is lower triangular, else upper.
        unit_diagonal: the diagonal counts as ones and is not read.

    A zero on the diagonal gives infinities and NaN. Nothing is raised for it, since that would wait
    for the device. The method is backward stable by rows of blocks (Higham 2002, Accuracy and
    Stability of Numerical Algorithms, chapter 8). Raises `ShapeError`, `DTypeError`,
    `ArgumentError`.

    >>> a = device.buffer_from_array(np.array([[2, 0], [1, 4]], np.float32))
    >>> b = device.buffer_from_array(np.array([2, 9], np.float32))
    >>> print(linalg.solve_triangular(a, b, lower=True).read())
    [1. 2.]
    """
    flipped = is_transposed("solve_triangular", trans)
    columns = as_columns("solve_triangular", a, b)
    batch = broadcast_batch("solve_triangular", a.shape[:-2], columns.shape[:-2])
    x = copy_batch(columns, batch)
    view = as_matrices(a, batch)
    substitute_into(
        as_matrices(x),
        view.T if flipped else view,
        batch,
        lower=lower != flipped,
        unit=unit_diagonal,
    )
    return x.view((*batch, a.shape[-1])) if len(b.shape) == 1 else x


def substitute_into(
    x: Matrices, a: Matrices, batch: tuple[int, ...], *, lower: bool, unit: bool = False
) -> None:
    """Record ``x = A^-1 x`` in place, for the lower or upper triangle of ``a``."""
    n, rows = a.rows, block_rows(x.buffer.device)
    if not (n and x.columns and all(batch)):
        return
    if n > rows and _has_few_columns(x, a):
        if lower:
            _solve_few_columns(x, a, batch, unit)
        else:
            _solve_few_columns(x.last_rows_first, a.reversed, batch, unit)
        return
    if n <= rows:
        if lower:
            _solve_block(x, a, batch, unit)
        else:
            _solve_block(x.last_rows_first, a.reversed, batch, unit)
        return
    half = ceil_div(n // 2, rows) * rows
    first, second = ((0, half), (half, n - half)) if lower else ((half, n - half), (0, half))
    solved, rest = (x.block(at, 0, size, x.columns) for at, size in (first, second))
    corner = a.block(second[0], first[0], second[1], first[1])
    substitute_into(solved, _diagonal(a, *first), batch, lower=lower, unit=unit)
    multiply_into(rest, corner, solved, batch, alpha=-1.0, beta=1.0)
    substitute_into(rest, _diagonal(a, *second), batch, lower=lower, unit=unit)


def _diagonal(a: Matrices, at: int, size: int) -> Matrices:
    """Return the block of ``size`` on the diagonal at ``at``."""
    return a.block(at, at, size, size)


def _has_few_columns(x: Matrices, a: Matrices) -> bool:
    """Tell whether the columns are solved one by one, in a row of launches."""
    device = x.buffer.device
    separate = a.buffer.storage is not x.buffer.storage
    fits = x.columns <= _FEW and separate and device.limits[_WORKGROUP_BYTES] >= 32768
    return fits and not _runs_alone(device)


def _runs_alone(device: Device) -> bool:
    """Tell whether each invocation works without others: on software renderers."""
    return (forced_variant("substitute") or ("alone" if device.is_cpu else "lanes")) == "alone"


def _solve_few_columns(x: Matrices, a: Matrices, batch: tuple[int, ...], unit: bool) -> None:
    """Record the solution of a few columns for a lower triangle, four blocks a launch."""
    device, step = x.buffer.device, 64 * _BLOCKS
    y = as_matrices(device.buffer(f32, (*batch, x.rows, x.columns)))
    for at in range(0, x.rows, step):
        rest = x.rows - at
        views = {"a": a.block(at, at, rest, rest)}
        views |= {n: v.block(at, 0, rest, x.columns) for n, v in (("x", x), ("y", y))}
        rank, sizes = batch_uniform(batch, views)
        groups = max(1, ceil_div(rest - step, _BELOW))
        params = {"n": rest, "columns": x.columns, "groups": groups, "unit": int(bool(unit))}
        params |= {"a_quick": int(abs(a.column_step) != 1), **sizes}
        for name, view in views.items():
            params |= view_uniform(name, view)
        launch = kernel(device, "linalg/substitute_column.wgsl", rank=rank, blocks=_BLOCKS)
        grid = flat_grid(sizes["batch"] * x.columns * groups, 1)
        launch(a.buffer, x.buffer, y.buffer, params, grid=grid)
    copy_into(x, y, batch)


def _solve_block(x: Matrices, a: Matrices, batch: tuple[int, ...], unit: bool) -> None:
    """Record the solution for one block on the diagonal, a lower one."""
    device = x.buffer.device
    rank, sizes = batch_uniform(batch, {"a": a, "x": x})
    alone = _runs_alone(device)
    rows = block_rows(device)
    # An invocation solves four rows of four columns.
    columns, threads = (1, _CPU_THREADS) if alone else (_COLUMNS, rows * _COLUMNS // 16)
    spec: dict[str, Value] = {
        "rank": rank,
        "a_in_x": a.buffer.storage is x.buffer.storage,
        "alone": alone,
        "nb": rows,
        "columns": columns,
        "threads": threads,
    }
    params = {"n": a.rows, "columns": x.columns, "unit": int(bool(unit)), **sizes}
    params |= {"a_quick": int(abs(a.column_step) != 1)}
    params |= {**view_uniform("a", a), **view_uniform("x", x)}
    operands = [] if spec["a_in_x"] else [a.buffer]
    count = sizes["batch"] * ceil_div(x.columns, columns)
    grid = flat_grid(count, threads if alone else 1)
    kernel(device, "linalg/substitute.wgsl", **spec)(*operands, x.buffer, params, grid=grid)


def block_rows(device: Device) -> int:
    """Return the rows of a block on the diagonal that a workgroup's memory holds."""
    if device.is_cpu:
        return 32
    return 64 if device.limits[_WORKGROUP_BYTES] >= 32768 else 32


def is_transposed(op: str, trans: Trans) -> bool:
    """Tell whether ``trans`` asks for a transpose. Raises `ArgumentError`."""
    if trans not in (0, 1, 2, "N", "T", "C"):
        raise ArgumentError(f"{op}: trans must be one of 0, 1, 2, 'N', 'T', 'C', got {trans!r}")
    return trans not in (0, "N")


def require_square(op: str, a: Buffer[Any]) -> None:
    """Raise `ShapeError` or `DTypeError` unless ``a`` is (..., N, N) in f32."""
    require_buffers(op, a)
    if len(a.shape) < 2 or a.shape[-1] != a.shape[-2]:
        raise ShapeError(f"{op}: a must be square matrices (..., N, N), got {a!r}")
    if a.dtype is not f32:
        raise DTypeError(f"{op}: a must be f32, got {a!r}; cast it")


def as_columns(op: str, a: Buffer[Any], b: Buffer[Any]) -> Buffer[Any]:
    """Return right-hand sides as (..., N, K), a vector as a column. Raises as `require_square`."""
    require_square(op, a)
    require_buffers(op, b)
    if b.dtype is not f32:
        raise DTypeError(f"{op}: b must be f32, got {b!r}; cast it")
    columns = b.view((*b.shape, 1)) if len(b.shape) == 1 else b
    if len(columns.shape) < 2 or columns.shape[-2] != a.shape[-1]:
        raise ShapeError(
            f"{op}: a and b must be (..., N, N) and (..., N, K) or (N,), got {a.shape} and "
            f"{b.shape}"
        )
    return columns
