"""Copies of views, triangles and unit matrices: what decompositions start from and end with."""

from __future__ import annotations

from gpucore import Buffer, T
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.linalg.view_matmul import scalar_kind
from gpustd.linalg.views import Matrices, launch_batch, matrices, view_sizes

__all__ = ["copy_into", "fresh_copy", "mirrored", "triangle"]

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
    """Record ``c = a``: all, or the ``lower`` or ``upper`` triangle with zeros beside it.

    With ``unit`` the diagonal is one; with ``mirror`` the other triangle is the mirror image.
    """
    rank, sizes = launch_batch(batch, {"a": a, "c": c})
    spec: dict[str, Value] = {"scalar": scalar_kind("copy", a.buffer, c.buffer), "rank": rank}
    params = {"m": c.rows, "n": c.columns, "part": _PARTS[part]}
    params |= {"unit": int(unit), "mirror": int(mirror), **sizes}
    params |= {**view_sizes("a", a), **view_sizes("c", c)}
    launch = kernel(c.buffer.device, "linalg/copy.wgsl", **spec)
    grid = flat_grid(sizes["batch"] * c.rows * c.columns, _GROUP)
    launch(a.buffer, c.buffer, params, grid=grid)


def fresh_copy(a: Buffer[T], batch: tuple[int, ...]) -> Buffer[T]:
    """Matrices of ``a`` broadcast to ``batch``, in memory of their own."""
    y = a.device.buffer(a.dtype, (*batch, *a.shape[-2:]))
    if y.size == a.size:
        y.copy_from(a)
    else:
        copy_into(matrices(y), matrices(a, batch), batch)
    return y


def triangle(a: Buffer[T], part: str, *, unit: bool = False) -> Buffer[T]:
    """The ``lower`` or ``upper`` triangle of (..., N, N), zeros beside it."""
    y = a.device.buffer(a.dtype, a.shape)
    copy_into(matrices(y), matrices(a), a.shape[:-2], part=part, unit=unit)
    return y


def mirrored(a: Buffer[T], part: str) -> Buffer[T]:
    """The symmetric matrices whose ``lower`` or ``upper`` triangle ``a`` (..., N, N) holds."""
    y = a.device.buffer(a.dtype, a.shape)
    copy_into(matrices(y), matrices(a), a.shape[:-2], part=part, mirror=True)
    return y
