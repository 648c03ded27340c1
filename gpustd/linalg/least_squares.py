"""Least squares and what else follows from singular values: pinv, matrix_rank, cond."""

from __future__ import annotations

import math

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, f32, i32
from gpustd.arrays.arithmetic import multiply, reciprocal
from gpustd.arrays.logic import equal, greater, isnan, where
from gpustd.launch.checks import as_float, require_buffers
from gpustd.launch.elements import launch_flat
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import kernel
from gpustd.linalg.decompositions.qr_factors import checked_matrices
from gpustd.linalg.decompositions.reflectors import identity
from gpustd.linalg.decompositions.singular_values import svd, svdvals
from gpustd.linalg.norms import norm, order_of
from gpustd.linalg.systems import inv
from gpustd.linalg.view_products import multiply_into
from gpustd.linalg.views import matrices

__all__ = ["cond", "lstsq", "matrix_rank", "pinv"]

_EPS = 2.0**-23
_SIDE = 16

Solution = tuple[Buffer[f32], Buffer[f32], Buffer[i32], Buffer[f32]]


def lstsq(a: Buffer[f32], b: Buffer[f32], cond: float | None = None) -> Solution:
    """``x`` that makes ``|b - a x|`` least, the shortest one where several do.

    Args:
        a: (..., M, N), f32, finite.
        b: (..., M), or (..., M, K) for K right sides; its leading axes are those of ``a``.
        cond: singular values at most ``cond`` times the largest count as zero; None for 2^-23.

    Returns (x, residues, rank, s) as `scipy.linalg.lstsq` does: x (..., N) or (..., N, K); residues
    (...) or (..., K), the squared norms of the columns of ``b - a x`` (of any rank and shape, where
    SciPy's is empty unless the rank is N < M); rank (...) i32; s (..., min(M, N)), descending. By
    `svd`; nothing is read back.

    Raises `ShapeError`, `DTypeError`, and `ArgumentError` for a negative ``cond``.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> a = device.buffer_from_array(np.array([[1, 0], [1, 1], [1, 2]], np.float32))
    >>> b = device.buffer_from_array(np.array([1, 3, 5], np.float32))
    >>> x, residues, rank, s = linalg.lstsq(a, b)
    >>> np.round(x.read(), 3).tolist()
    [1.0, 2.0]
    >>> int(rank.read())
    2
    """
    flat = checked_matrices("lstsq", a)
    require_buffers("lstsq", b)
    batch, m, n = flat.shape
    least = _share("lstsq", "cond", _EPS if cond is None else cond)
    axes = len(a.shape) - 1
    vector = len(b.shape) == axes
    if b.shape[:axes] != a.shape[:-1] or len(b.shape) > axes + 1:
        raise ShapeError(f"lstsq: {a.shape} and {b.shape}: wants (..., M, N) and (..., M[, K])")
    if b.dtype is not f32:
        raise DTypeError(f"lstsq: wants f32, got {b!r}: cast it first")
    ahead = a.shape[:-2]
    ends: tuple[int, ...] = () if vector else (b.shape[-1],)
    right = b.view((batch, m, 1 if vector else b.shape[-1]))
    x, rank, s = _solved(flat, right, least)
    residues = _residues(flat, x, right)
    return (
        x.view((*ahead, n, *ends)),
        residues.view((*ahead, *ends)),
        rank.view(ahead),
        s.view((*ahead, min(m, n))),
    )


def pinv(a: Buffer[f32], rtol: float | None = None) -> Buffer[f32]:
    """The Moore-Penrose inverse (..., N, M) of (..., M, N), as `scipy.linalg.pinv`.

    Singular values at most ``rtol`` times the largest count as zero; None for max(M, N) 2^-23.
    Raises `ShapeError`, `DTypeError`, and `ArgumentError` for a negative ``rtol``.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> a = device.buffer_from_array(np.array([[2, 0], [0, 0]], np.float32))
    >>> linalg.pinv(a).read().tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    flat = checked_matrices("pinv", a)
    batch, m, n = flat.shape
    least = _share("pinv", "rtol", _EPS * max(m, n) if rtol is None else rtol)
    y = _solved(flat, identity(flat, (batch, m, m)), least)[0]
    return y.view((*a.shape[:-2], n, m))


def matrix_rank(a: Buffer[f32], rtol: float | None = None) -> Buffer[i32]:
    """Singular values (...) i32 above ``rtol`` times the largest, of (..., M, N).

    ``rtol`` of None is max(M, N) 2^-23, as in `numpy.linalg.matrix_rank`. Raises `ShapeError`,
    `DTypeError`, and `ArgumentError` for a negative ``rtol``.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> a = device.buffer_from_array(np.ones((3, 4), np.float32))
    >>> int(linalg.matrix_rank(a).read())
    1
    """
    flat = checked_matrices("matrix_rank", a)
    _, m, n = flat.shape
    least = _share("matrix_rank", "rtol", _EPS * max(m, n) if rtol is None else rtol)
    rank = _ranked(svdvals(flat), None, least)[0]
    return rank.view(a.shape[:-2])


def cond(x: Buffer[f32], p: float | str | None = None) -> Buffer[f32]:
    """Condition numbers (...) of (..., M, N), as `numpy.linalg.cond`.

    ``p`` None or 2: the largest over the least singular value, infinite where that is zero; -2 the
    other way round, infinite where both are. Other norms of `norm`, of square matrices: that of the
    matrix times that of its inverse, infinite where there is none. What is above 2^23 says no more
    than that. Raises `ShapeError` for fewer than two axes, a matrix without elements or one that is
    not square, `DTypeError`, `ArgumentError`.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> float(linalg.cond(device.buffer_from_array(np.diag([2, 8]).astype(np.float32))).read())
    4.0
    """
    flat = checked_matrices("cond", x)
    batch, m, n = flat.shape
    if not m * n:
        raise ShapeError(f"cond: {x.shape}: wants matrices of at least one element")
    p = order_of("cond", "p", p)
    if p not in (None, 2, -2):
        if m != n:
            raise ShapeError(f"cond: {x.shape}: p = {p!r} wants square matrices, 2 takes any")
        size, other = (norm(each, p, axis=(-2, -1)) for each in (x, inv(x)))
        y = multiply(size, other)
        return where(greater(isnan(y), isnan(size)), math.inf, y)
    y = x.device.buffer(f32, x.shape[:-2])
    if batch:
        operands = (svdvals(flat), y)
        launch_flat("linalg/svd_ratio.wgsl", {}, operands, batch, {"k": min(m, n)})
    if p != -2:
        return y
    return where(equal(norm(x, axis=(-2, -1)), 0), math.inf, reciprocal(y))


def _solved(
    a: Buffer[f32], b: Buffer[f32], cond: float
) -> tuple[Buffer[f32], Buffer[i32], Buffer[f32]]:
    """x (batch, N, K), the rank and s: ``x = vh^T (u^T b / s)``."""
    batch, m, n = a.shape
    k, columns = min(m, n), b.shape[2]
    u, s, vh = svd(a, full_matrices=False)
    y = a.device.buffer(f32, (batch, k, columns))
    multiply_into(matrices(y), matrices(u).T, matrices(b), (batch,))
    rank, scaled = _ranked(s, y, cond)
    x = a.device.buffer(f32, (batch, n, columns))
    multiply_into(matrices(x), matrices(vh).T, matrices(scaled), (batch,))
    return x, rank, s


def _ranked(s: Buffer[f32], y: Buffer[f32] | None, cond: float) -> tuple[Buffer[i32], Buffer[f32]]:
    """How many of s (batch, k) are above ``cond`` times the first; y's rows divided by those."""
    device = s.device
    batch, k = s.shape
    rank = device.buffer(i32, batch)
    scaled = s if y is None else device.buffer(f32, y.shape)
    columns = 0 if y is None else y.shape[2]
    operands = [] if y is None else [y, scaled]
    sizes = {"k": k, "columns": columns, "batch": batch, "cond": cond}
    launch = kernel(device, "linalg/lstsq_scale.wgsl", divide=y is not None)
    launch(s, rank, *operands, sizes, grid=flat_grid(batch, 1))
    return rank, scaled


def _residues(a: Buffer[f32], x: Buffer[f32], b: Buffer[f32]) -> Buffer[f32]:
    """Squared norms (batch, K) of the columns of ``b - a x``."""
    device = a.device
    batch, m, _ = a.shape
    columns = b.shape[2]
    left = device.buffer(f32, b.shape)
    left.copy_from(b)
    multiply_into(matrices(left), matrices(a), matrices(x), (batch,), alpha=-1.0, beta=1.0)
    y = device.buffer(f32, (batch, columns))
    sizes = {"rows": m, "columns": columns, "batch": batch}
    launch = kernel(device, "linalg/lstsq_residues.wgsl")
    launch(left, y, sizes, grid=flat_grid(math.ceil(columns / _SIDE) * batch, 1))
    return y


def _share(op: str, name: str, value: float) -> float:
    """What of the largest singular value counts as zero. Raises `ArgumentError`."""
    share = as_float(op, name, value)
    if not share >= 0:
        raise ArgumentError(f"{op}: {name} {value} of the largest singular value: wants 0 or more")
    return share
