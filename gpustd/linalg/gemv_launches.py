"""Launches of products of matrices and vectors: by rows, or transposed by columns."""

from __future__ import annotations

from typing import Any, NamedTuple

from gpucore import Buffer, f32
from gpucore.integers import ceil_div
from gpustd.launch.elements import float_scalar, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant
from gpustd.linalg.views import Matrices, as_matrices, batch_uniform, view_uniform

__all__ = ["Scales", "launch_rows", "launch_transposed"]

_CPU_GROUP = 16
_GROUP = 256
# A matrix of fewer rows than the first, at least as long as the second, takes a workgroup a row.
_FEW_ROWS = 2048
_LONG_ROW = 4096
# Rows of a chunk of a column, at least, and chunks of a column, at most.
_MIN_SPAN = 128
_MAX_CHUNKS = 64


class Scales(NamedTuple):
    """The factors of a product, and of the result that it is added to."""

    alpha: float
    beta: float


def _as_row(x: Buffer[Any], batch: tuple[int, ...]) -> Matrices:
    """Return vectors (..., N) as matrices of one row."""
    return as_matrices(x.view((*x.shape[:-1], 1, x.shape[-1])), batch)


def launch_rows(
    y: Buffer[Any],
    a: Buffer[Any],
    x: Buffer[Any],
    batch: tuple[int, ...],
    scales: Scales,
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


def launch_transposed(
    y: Buffer[Any],
    a: Buffer[Any],
    x: Buffer[Any],
    batch: tuple[int, ...],
    scales: Scales,
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
    scales: Scales,
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
