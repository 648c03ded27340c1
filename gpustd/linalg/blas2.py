"""BLAS 2: matrices and vectors (Dongarra et al. 1988, doi 10.1145/42288.42291).

Memory limits all of them but trsv. The least time is that of the bytes of the matrix, read once
(for symv twice the triangle). Arguments have the order of `scipy.linalg.blas`; results are new
buffers.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from gpucore import Buffer, DTypeError, ShapeError, T, f32
from gpucore.integers import ceil_div
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import float_scalar, launch_each, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant
from gpustd.linalg.blas1 import as_real_scale, copy
from gpustd.linalg.triangular import Trans, is_transposed, require_square, solve_triangular
from gpustd.linalg.views import (
    Matrices,
    as_matrices,
    batch_uniform,
    broadcast_batch,
    view_uniform,
)

__all__ = ["gemv", "ger", "symv", "trsv"]

_CPU_GROUP = 16
_GROUP = 256
# A matrix of fewer rows than this, and of longer ones, takes a workgroup for each row.
_FEW_ROWS = 2048
_LONG_ROW = 4096
# Rows of a chunk of a column, at least, and chunks of a column, at most.
_MIN_SPAN = 128
_MAX_CHUNKS = 64


class _Scales(NamedTuple):
    """The factors of a product, and of the result that it is added to."""

    alpha: float
    beta: float


def gemv(
    alpha: float,
    a: Buffer[T],
    x: Buffer[T],
    beta: float = 0.0,
    y: Buffer[T] | None = None,
    *,
    trans: Trans = 0,
) -> Buffer[T]:
    """Return ``alpha op(A) x + beta y``, summed in f32.

    Args:
        alpha: the factor of the product.
        a: (..., M, N), f32 or f16.
        x: (..., N), or (..., M) with ``trans``; batch axes broadcast with those of ``a``.
        beta: the factor of ``y``, which is not read where it is 0.
        y: (..., M), or (..., N) with ``trans``; of the result's shape.
        trans: 0 or "N" for A, 1 or "T" (and 2 or "C") for its transpose.

    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [3, 4]], np.float32))
    >>> x = device.buffer_from_array(np.array([1, 10], np.float32))
    >>> print(linalg.gemv(1.0, a, x).read(), linalg.gemv(1.0, a, x, trans=1).read())
    [21. 43.] [31. 42.]
    """
    require_buffers("gemv", a, x)
    alpha, beta = as_real_scale("gemv", "alpha", alpha), as_real_scale("gemv", "beta", beta)
    flipped = is_transposed("gemv", trans)
    if len(a.shape) < 2 or not x.shape or x.shape[-1] != a.shape[-2 if flipped else -1]:
        raise ShapeError(
            f"gemv: inner extents of a and x must agree, got {a.shape} and {x.shape}, trans={trans}"
        )
    batch = broadcast_batch("gemv", a.shape[:-2], x.shape[:-1])
    result = _start_result("gemv", a, (*batch, a.shape[-1 if flipped else -2]), beta, y)
    launch = _launch_transposed if flipped else _launch_rows
    launch(result, a, x, batch, _Scales(alpha, 0.0 if y is None else beta), "all")
    return result


def ger(alpha: float, x: Buffer[T], y: Buffer[T], a: Buffer[T] | None = None) -> Buffer[T]:
    """Return the outer product ``alpha x y^T`` of (..., M) and (..., N), plus ``a`` if given.

    Operands are f32 or f16, and their batch axes are equal. The result is (..., M, N). Raises
    `ShapeError`, `DTypeError`.

    >>> x = device.buffer_from_array(np.array([1, 2], np.float32))
    >>> print(linalg.ger(10.0, x, x).read().tolist())
    [[10.0, 20.0], [20.0, 40.0]]
    """
    require_buffers("ger", x, y, *(() if a is None else (a,)))
    alpha = as_real_scale("ger", "alpha", alpha)
    if not x.shape or not y.shape or x.shape[:-1] != y.shape[:-1]:
        raise ShapeError(f"ger: x and y must be (..., M) and (..., N), got {x.shape} and {y.shape}")
    m, n = x.shape[-1], y.shape[-1]
    shape = (*x.shape, n)
    if a is not None and a.shape != shape:
        raise ShapeError(f"ger: a must have the shape {shape} of the product, got {a.shape}")
    operands = [x, y] if a is None else [x, y, a]
    width = width_of(n)
    spec: dict[str, Value] = {
        "scalar": float_scalar("ger", *operands),
        "width": width,
        "plus": a is not None,
    }
    result = x.device.buffer(x.dtype, shape)
    sizes = {"m": m, "words": n // width, "alpha": alpha}
    launch_each("linalg/ger.wgsl", spec, (*operands, result), result.size // width, sizes)
    return result


def symv(
    alpha: float,
    a: Buffer[T],
    x: Buffer[T],
    beta: float = 0.0,
    y: Buffer[T] | None = None,
    *,
    lower: bool = False,
) -> Buffer[T]:
    """Return ``alpha A x + beta y`` for a symmetric A, of which one triangle is read.

    ``a`` (..., N, N), ``x`` and ``y`` (..., N), f32; batch axes broadcast. ``lower`` chooses the
    triangle. Raises `ShapeError`, `DTypeError`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [7, 4]], np.float32))
    >>> x = device.buffer_from_array(np.array([1, 10], np.float32))
    >>> print(linalg.symv(1.0, a, x).read())
    [21. 42.]
    """
    require_buffers("symv", a, x)
    alpha, beta = as_real_scale("symv", "alpha", alpha), as_real_scale("symv", "beta", beta)
    square = len(a.shape) >= 2 and a.shape[-1] == a.shape[-2]
    if not square or not x.shape or x.shape[-1] != a.shape[-1]:
        raise ShapeError(
            f"symv: a and x must be (..., N, N) and (..., N), got {a.shape} and {x.shape}"
        )
    if a.dtype is not f32:
        raise DTypeError(f"symv: a must be f32, got {a!r}; cast it")
    batch = broadcast_batch("symv", a.shape[:-2], x.shape[:-1])
    result = _start_result("symv", a, (*batch, a.shape[-1]), beta, y)
    part = "lower" if lower else "upper"
    _launch_rows(result, a, x, batch, _Scales(alpha, 0.0 if y is None else beta), part)
    _launch_transposed(result, a, x, batch, _Scales(alpha, 1.0), part)
    return result


def trsv(
    a: Buffer[f32],
    x: Buffer[f32],
    *,
    lower: bool = False,
    trans: Trans = 0,
    unit_diagonal: bool = False,
) -> Buffer[f32]:
    """Solve ``op(A) z = x`` for a triangular A; see `solve_triangular`.

    ``a`` (..., N, N) and ``x`` (..., N), f32. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> a = device.buffer_from_array(np.array([[2, 0], [1, 4]], np.float32))
    >>> x = device.buffer_from_array(np.array([2, 9], np.float32))
    >>> print(linalg.trsv(a, x, lower=True).read())
    [1. 2.]
    """
    require_square("trsv", a)
    require_buffers("trsv", x)
    if not x.shape:
        raise ShapeError(f"trsv: x must be (..., N), got {x!r}")
    column = x.view((*x.shape, 1))
    z = solve_triangular(a, column, trans=trans, lower=lower, unit_diagonal=unit_diagonal)
    return z.view(z.shape[:-1])


def _start_result(
    op: str, a: Buffer[T], shape: tuple[int, ...], beta: float, y: Buffer[T] | None
) -> Buffer[T]:
    """Return the result's buffer: new memory, or a copy of ``y`` to add to.

    Raises `ShapeError`, `DTypeError`.
    """
    float_scalar(op, a)
    if y is None:
        return a.device.buffer(a.dtype, shape)
    require_buffers(op, y)
    if y.shape != shape:
        raise ShapeError(f"{op}: y must have the shape {shape} of the product, got {y.shape}")
    float_scalar(op, a, y)
    return copy(y) if beta else a.device.buffer(a.dtype, shape)


def _as_row(x: Buffer[Any], batch: tuple[int, ...]) -> Matrices:
    """Return vectors (..., N) as matrices of one row."""
    return as_matrices(x.view((*x.shape[:-1], 1, x.shape[-1])), batch)


def _launch_rows(
    y: Buffer[Any],
    a: Buffer[Any],
    x: Buffer[Any],
    batch: tuple[int, ...],
    scales: _Scales,
    part: str,
) -> None:
    """Record ``y = alpha A x + beta y``."""
    m, n = a.shape[-2:]
    if not y.size:
        return
    views = {"a": as_matrices(a, batch), "x": _as_row(x, batch)}
    rank, sizes = batch_uniform(batch, views)
    variant = forced_variant("gemv") or ("alone" if a.device.is_cpu else "lanes")
    lanes = 1 if variant == "alone" else _GROUP if m < _FEW_ROWS and n >= _LONG_ROW else 32
    group = _CPU_GROUP if variant == "alone" else _GROUP
    rows = 4 if lanes == 32 and part == "all" else 1
    spec: dict[str, Value] = {
        "scalar": float_scalar("gemv", a, x, y),
        "unit": width_of(n) if part == "all" else 1,
        "part": part,
        "lanes": lanes,
        "group": group,
        "rows": rows,
        "rank": rank,
    }
    params = {"m": m, "n": n, "alpha": float(scales.alpha), "beta": float(scales.beta), **sizes}
    for name, view in views.items():
        params |= view_uniform(name, view)
    launch = kernel(a.device, "linalg/gemv_rows.wgsl", **spec)
    launch(a, x, y, params, grid=flat_grid(sizes["batch"] * ceil_div(m, rows) * lanes, group))


def _launch_transposed(
    y: Buffer[Any],
    a: Buffer[Any],
    x: Buffer[Any],
    batch: tuple[int, ...],
    scales: _Scales,
    part: str,
) -> None:
    """Record ``y = alpha A^T x + beta y``; the cuts of a column depend on M alone."""
    m, n = a.shape[-2:]
    if not y.size:
        return
    views = {"a": as_matrices(a, batch), "x": _as_row(x, batch)}
    rank, sizes = batch_uniform(batch, views)
    span = max(_MIN_SPAN, ceil_div(m, _MAX_CHUNKS))
    chunks = max(ceil_div(m, span), 1)
    spec: dict[str, Value] = {
        "scalar": float_scalar("gemv", a, x, y),
        "unit": width_of(n) if part == "all" else 1,
        "part": part,
        "rank": rank,
        "merging": False,
    }
    params: dict[str, float] = {"m": m, "chunks": chunks, "span": span, **sizes}
    for name, view in views.items():
        params |= view_uniform(name, view)
    if chunks == 1:
        _launch_columns(spec, (a, x, y), params, scales)
        return
    partials = a.device.buffer(f32, (sizes["batch"], chunks, n))
    _launch_columns({**spec, "partial": True}, (a, x, partials), params, scales)
    view = as_matrices(partials)
    rank, sizes = batch_uniform((partials.shape[0],), {"a": view, "x": view})
    params = {"m": chunks, "chunks": 1, "span": chunks, **sizes}
    params |= {**view_uniform("a", view), **view_uniform("x", view)}
    unit = spec["unit"]
    merging: dict[str, Value] = {"scalar": "f32", "unit": unit, "part": "all", "merging": True}
    _launch_columns({**merging, "rank": rank}, (partials, y), params, scales)


def _launch_columns(
    spec: dict[str, Value],
    buffers: tuple[Buffer[Any], ...],
    params: dict[str, float],
    scales: _Scales,
) -> None:
    """Record one pass of ``linalg/gemv_columns.wgsl``."""
    device = buffers[0].device
    variant = forced_variant("gemv") or ("alone" if device.is_cpu else "lanes")
    lanes, group = (_CPU_GROUP, _CPU_GROUP) if variant == "alone" else (32, _GROUP)
    n = buffers[0].shape[-1]
    full: dict[str, Value] = {
        "partial": False,
        **spec,
        "out": buffers[-1].dtype.name,
        "lanes": lanes,
        "group": group,
    }
    sizes = {**params, "n": n, "alpha": float(scales.alpha), "beta": float(scales.beta)}
    across = ceil_div(n // int(spec["unit"] or 1), lanes)
    count = int(params["batch"] * params["chunks"]) * across
    launch = kernel(device, "linalg/gemv_columns.wgsl", **full)
    launch(*buffers, sizes, grid=flat_grid(count, 1))
