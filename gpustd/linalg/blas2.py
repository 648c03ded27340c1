"""BLAS 2: matrices and vectors (Dongarra et al. 1988, doi 10.1145/42288.42291).

All but trsv are bound by memory: the floor is the bytes of the matrix, read once (symv: twice the
triangle). Arguments stand as in `scipy.linalg.blas`; results are new buffers.
"""

from __future__ import annotations

from typing import Any

from gpucore import Buffer, DTypeError, ShapeError, T, f32
from gpucore.integers import ceil_div
from gpustd.launch.checks import require_buffers
from gpustd.launch.elements import float_scalar, launch_each, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant
from gpustd.linalg.blas1 import copy, real_scale
from gpustd.linalg.triangular import Trans, check_square, solve_triangular, transposed
from gpustd.linalg.views import (
    Matrices,
    broadcast_batch,
    launch_batch,
    matrices,
    view_sizes,
)

__all__ = ["gemv", "ger", "symv", "trsv"]

_CPU_GROUP = 16
_GROUP = 256
# Rows so few, and so long, that each takes a workgroup.
_FEW_ROWS = 2048
_LONG_ROW = 4096
# Rows of A that a workgroup takes of its columns, at least, and chunks of a column at most.
_LEAST_SPAN = 128
_MOST_CHUNKS = 64


def gemv(
    alpha: float,
    a: Buffer[T],
    x: Buffer[T],
    beta: float = 0.0,
    y: Buffer[T] | None = None,
    *,
    trans: Trans = 0,
) -> Buffer[T]:
    """``alpha op(A) x + beta y``, summed in f32.

    Args:
        alpha: scales the product.
        a: (..., M, N), f32 or f16.
        x: (..., N), or (..., M) with ``trans``; batch axes broadcast with those of ``a``.
        beta: scales ``y``, which is not read where it is 0.
        y: (..., M), or (..., N) with ``trans``; of the result's shape.
        trans: 0 or "N" for A, 1 or "T" (and 2 or "C") for its transpose.

    Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> a = device.buffer_from_array(np.array([[1, 2], [3, 4]], np.float32))
    >>> x = device.buffer_from_array(np.array([1, 10], np.float32))
    >>> print(linalg.gemv(1.0, a, x).read(), linalg.gemv(1.0, a, x, trans=1).read())
    [21. 43.] [31. 42.]
    """
    require_buffers("gemv", a, x)
    alpha, beta = real_scale("gemv", "alpha", alpha), real_scale("gemv", "beta", beta)
    flipped = transposed("gemv", trans)
    if len(a.shape) < 2 or not x.shape or x.shape[-1] != a.shape[-2 if flipped else -1]:
        raise ShapeError(f"gemv: {a.shape} and {x.shape}, trans={trans}: inner extents differ")
    batch = broadcast_batch("gemv", a.shape[:-2], x.shape[:-1])
    result = _start("gemv", a, (*batch, a.shape[-1 if flipped else -2]), beta, y)
    launch = _columns if flipped else _rows
    launch(result, a, x, batch, (alpha, 0.0 if y is None else beta), "all")
    return result


def ger(alpha: float, x: Buffer[T], y: Buffer[T], a: Buffer[T] | None = None) -> Buffer[T]:
    """``alpha x y^T + A`` (without ``a``: no sum): the outer product of (..., M) and (..., N).

    f32 or f16; batch axes of all operands are equal. Returns (..., M, N). Raises `ShapeError`,
    `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> x = Device.auto().buffer_from_array(np.array([1, 2], np.float32))
    >>> print(linalg.ger(10.0, x, x).read().tolist())
    [[10.0, 20.0], [20.0, 40.0]]
    """
    require_buffers("ger", x, y, *(() if a is None else (a,)))
    alpha = real_scale("ger", "alpha", alpha)
    if not x.shape or not y.shape or x.shape[:-1] != y.shape[:-1]:
        raise ShapeError(f"ger: {x.shape} and {y.shape}: wants (..., M) and (..., N)")
    m, n = x.shape[-1], y.shape[-1]
    shape = (*x.shape, n)
    if a is not None and a.shape != shape:
        raise ShapeError(f"ger: a is {a.shape}, the product {shape}: make them equal")
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
    """``alpha A x + beta y`` for a symmetric A, of which one triangle is read.

    ``a`` (..., N, N), ``x`` and ``y`` (..., N), f32; batch axes broadcast. ``lower`` tells the
    triangle. Raises `ShapeError`, `DTypeError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> a = device.buffer_from_array(np.array([[1, 2], [7, 4]], np.float32))
    >>> x = device.buffer_from_array(np.array([1, 10], np.float32))
    >>> print(linalg.symv(1.0, a, x).read())
    [21. 42.]
    """
    require_buffers("symv", a, x)
    alpha, beta = real_scale("symv", "alpha", alpha), real_scale("symv", "beta", beta)
    square = len(a.shape) >= 2 and a.shape[-1] == a.shape[-2]
    if not square or not x.shape or x.shape[-1] != a.shape[-1]:
        raise ShapeError(f"symv: {a.shape} and {x.shape}: wants (..., N, N) and (..., N)")
    if a.dtype is not f32:
        raise DTypeError(f"symv: {a!r}: wants f32; cast it")
    batch = broadcast_batch("symv", a.shape[:-2], x.shape[:-1])
    result = _start("symv", a, (*batch, a.shape[-1]), beta, y)
    part = "lower" if lower else "upper"
    _rows(result, a, x, batch, (alpha, 0.0 if y is None else beta), part)
    _columns(result, a, x, batch, (alpha, 1.0), part)
    return result


def trsv(
    a: Buffer[f32],
    x: Buffer[f32],
    *,
    lower: bool = False,
    trans: Trans = 0,
    unit_diagonal: bool = False,
) -> Buffer[f32]:
    """Solution of ``op(A) z = x`` for a triangular A; see `solve_triangular`.

    ``a`` (..., N, N) and ``x`` (..., N), f32. Raises `ShapeError`, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> a = device.buffer_from_array(np.array([[2, 0], [1, 4]], np.float32))
    >>> x = device.buffer_from_array(np.array([2, 9], np.float32))
    >>> print(linalg.trsv(a, x, lower=True).read())
    [1. 2.]
    """
    check_square("trsv", a)
    require_buffers("trsv", x)
    if not x.shape:
        raise ShapeError(f"trsv: {x.shape}: wants (..., N)")
    column = x.view((*x.shape, 1))
    z = solve_triangular(a, column, trans=trans, lower=lower, unit_diagonal=unit_diagonal)
    return z.view(z.shape[:-1])


def _start(
    op: str, a: Buffer[T], shape: tuple[int, ...], beta: float, y: Buffer[T] | None
) -> Buffer[T]:
    """The result: new memory, or a copy of ``y`` to add to."""
    float_scalar(op, a)
    if y is None:
        return a.device.buffer(a.dtype, shape)
    require_buffers(op, y)
    if y.shape != shape:
        raise ShapeError(f"{op}: y is {y.shape}, the product {shape}: make them equal")
    float_scalar(op, a, y)
    return copy(y) if beta else a.device.buffer(a.dtype, shape)


def _line(x: Buffer[Any], batch: tuple[int, ...]) -> Matrices:
    return matrices(x.view((*x.shape[:-1], 1, x.shape[-1])), batch)


def _rows(
    y: Buffer[Any],
    a: Buffer[Any],
    x: Buffer[Any],
    batch: tuple[int, ...],
    scales: tuple[float, float],
    part: str,
) -> None:
    """Record ``y = alpha A x + beta y``."""
    m, n = a.shape[-2:]
    if not y.size:
        return
    views = {"a": matrices(a, batch), "x": _line(x, batch)}
    rank, sizes = launch_batch(batch, views)
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
    params = {"m": m, "n": n, "alpha": float(scales[0]), "beta": float(scales[1]), **sizes}
    for name, view in views.items():
        params |= view_sizes(name, view)
    launch = kernel(a.device, "linalg/gemv_rows.wgsl", **spec)
    launch(a, x, y, params, grid=flat_grid(sizes["batch"] * ceil_div(m, rows) * lanes, group))


def _columns(
    y: Buffer[Any],
    a: Buffer[Any],
    x: Buffer[Any],
    batch: tuple[int, ...],
    scales: tuple[float, float],
    part: str,
) -> None:
    """Record ``y = alpha A^T x + beta y``; the cuts of a column follow from M alone."""
    m, n = a.shape[-2:]
    if not y.size:
        return
    views = {"a": matrices(a, batch), "x": _line(x, batch)}
    rank, sizes = launch_batch(batch, views)
    span = max(_LEAST_SPAN, ceil_div(m, _MOST_CHUNKS))
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
        params |= view_sizes(name, view)
    if chunks == 1:
        _launch_columns(spec, (a, x, y), params, scales)
        return
    partials = a.device.buffer(f32, (sizes["batch"], chunks, n))
    _launch_columns({**spec, "partial": True}, (a, x, partials), params, scales)
    both = matrices(partials)
    rank, sizes = launch_batch((partials.shape[0],), {"a": both, "x": both})
    params = {"m": chunks, "chunks": 1, "span": chunks, **sizes}
    params |= {**view_sizes("a", both), **view_sizes("x", both)}
    unit = spec["unit"]
    merging: dict[str, Value] = {"scalar": "f32", "unit": unit, "part": "all", "merging": True}
    _launch_columns({**merging, "rank": rank}, (partials, y), params, scales)


def _launch_columns(
    spec: dict[str, Value],
    buffers: tuple[Buffer[Any], ...],
    params: dict[str, float],
    scales: tuple[float, float],
) -> None:
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
    sizes = {**params, "n": n, "alpha": float(scales[0]), "beta": float(scales[1])}
    across = ceil_div(n // int(spec["unit"] or 1), lanes)
    count = int(params["batch"] * params["chunks"]) * across
    launch = kernel(device, "linalg/gemv_columns.wgsl", **full)
    launch(*buffers, sizes, grid=flat_grid(count, 1))
