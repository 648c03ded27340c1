"""Copies of views and of triangles, with which decompositions begin and end."""

from __future__ import annotations

from gpucore import Buffer, T
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.linalg.view_matmul import matrix_scalar
from gpustd.linalg.views import Matrices, as_matrices, batch_uniform, view_uniform

__all__ = ["copy_batch", "copy_into", "copy_triangle", "mirror_triangle"]

_PARTS = {"all": 0, "lower": 1, "upper": 2}
_GROUP = 64


def copy_into(
    c: Matrices,
    a: Matrices,
    batch: tuple[int, ...],
    *,
    part: str = "all",
    unit: bool = False,
    mirror: bool = False,
) -> None:
    """Record ``c = a``: all of it, or the ``lower`` or ``upper`` triangle with zeros beside it.

    With ``unit`` the diagonal is one. With ``mirror`` the other triangle is the mirror image.
    """
    rank, sizes = batch_uniform(batch, {"a": a, "c": c})
    spec: dict[str, Value] = {"scalar": matrix_scalar("copy", a.buffer, c.buffer), "rank": rank}
    params = {"m": c.rows, "n": c.columns, "part": _PARTS[part]}
    params |= {"unit": int(unit), "mirror": int(mirror), **sizes}
    params |= {**view_uniform("a", a), **view_uniform("c", c)}
    launch = kernel(c.buffer.device, "linalg/copy.wgsl", **spec)
    grid = flat_grid(sizes["batch"] * c.rows * c.columns, _GROUP)
    launch(a.buffer, c.buffer, params, grid=grid)


def copy_batch(a: Buffer[T], batch: tuple[int, ...]) -> Buffer[T]:
    """Return a copy of the matrices of ``a``, broadcast to ``batch``."""
    y = a.device.buffer(a.dtype, (*batch, *a.shape[-2:]))
    if y.size == a.size:
        y.copy_from(a)
    else:
        copy_into(as_matrices(y), as_matrices(a, batch), batch)
    return y


def copy_triangle(a: Buffer[T], part: str, *, unit: bool = False) -> Buffer[T]:
    """Return the ``lower`` or ``upper`` triangle of (..., N, N), with zeros beside it."""
    y = a.device.buffer(a.dtype, a.shape)
    copy_into(as_matrices(y), as_matrices(a), a.shape[:-2], part=part, unit=unit)
    return y


def mirror_triangle(a: Buffer[T], part: str) -> Buffer[T]:
    """Return symmetric matrices from their ``lower`` or ``upper`` triangle in ``a`` (..., N, N)."""
    y = a.device.buffer(a.dtype, a.shape)
    copy_into(as_matrices(y), as_matrices(a), a.shape[:-2], part=part, mirror=True)
    return y
