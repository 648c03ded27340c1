"""Least squares, and other results of singular values: pinv, matrix_rank, cond."""

from __future__ import annotations

import math

from gpucore import (
    ArgumentError,
    Array,
    Array2,
    Buffer,
    Const,
    DTypeError,
    ShapeError,
    barrier,
    f32,
    global_id,
    i32,
    local_index,
    shared,
    static_range,
    u32,
    workgroup_id,
)
from gpustd.arrays.elementwise.arithmetic import multiply, reciprocal
from gpustd.arrays.elementwise.logic import equal, greater, isnan, where
from gpustd.launch.checks import as_float, require_buffers
from gpustd.launch.grid import MOST_GROUPS, flat_grid
from gpustd.launch.plain_kernels import plain_kernel
from gpustd.linalg.decompositions.qr_factors import as_matrix_batch
from gpustd.linalg.decompositions.reflectors import identity
from gpustd.linalg.decompositions.singular_values import svd, svdvals
from gpustd.linalg.norms import as_order, norm
from gpustd.linalg.systems import inv
from gpustd.linalg.view_matmul import multiply_into
from gpustd.linalg.views import as_matrices

__all__ = ["cond", "lstsq", "matrix_rank", "pinv"]

_EPS = 2.0**-23
_SIDE = 16

Solution = tuple[Buffer[f32], Buffer[f32], Buffer[i32], Buffer[f32]]


def lstsq(a: Buffer[f32], b: Buffer[f32], cond: float | None = None) -> Solution:
    """Return the ``x`` that makes ``|b - a x|`` least, the shortest one where several do.

    Args:
        a: (..., M, N), f32, finite.
        b: (..., M), or (..., M, K) for K right sides; its leading axes are those of ``a``.
        cond: singular values at most ``cond`` times the largest count as zero; None for 2^-23.

    The result is (x, residues, rank, s), as that of `scipy.linalg.lstsq`:

    - x is (..., N) or (..., N, K).
    - residues (...) or (..., K) are the squared norms of the columns of ``b - a x``, of any rank
      and shape. SciPy's are empty unless the rank is N < M.
    - rank is (...), i32.
    - s (..., min(M, N)) are the singular values, descending.

    The method is `svd`, and nothing is read back. Raises `ShapeError`, `DTypeError`, and
    `ArgumentError` for a negative ``cond``.

    >>> a = device.buffer_from_array(np.array([[1, 0], [1, 1], [1, 2]], np.float32))
    >>> b = device.buffer_from_array(np.array([1, 3, 5], np.float32))
    >>> x, residues, rank, s = linalg.lstsq(a, b)
    >>> np.round(x.read(), 3).tolist()
    [1.0, 2.0]
    >>> int(rank.read())
    2
    """
    flat = as_matrix_batch("lstsq", a)
    require_buffers("lstsq", b)
    batch, m, n = flat.shape
    least = _as_share("lstsq", "cond", _EPS if cond is None else cond)
    axes = len(a.shape) - 1
    vector = len(b.shape) == axes
    if b.shape[:axes] != a.shape[:-1] or len(b.shape) > axes + 1:
        raise ShapeError(
            f"lstsq: a and b must be (..., M, N) and (..., M[, K]), got {a.shape} and {b.shape}"
        )
    if b.dtype is not f32:
        raise DTypeError(f"lstsq: b must be f32, got {b!r}; cast it")
    batch_shape = a.shape[:-2]
    columns: tuple[int, ...] = () if vector else (b.shape[-1],)
    right = b.view((batch, m, 1 if vector else b.shape[-1]))
    x, rank, s = _solve_by_svd(flat, right, least)
    residues = _residues(flat, x, right)
    return (
        x.view((*batch_shape, n, *columns)),
        residues.view((*batch_shape, *columns)),
        rank.view(batch_shape),
        s.view((*batch_shape, min(m, n))),
    )


def pinv(a: Buffer[f32], rtol: float | None = None) -> Buffer[f32]:
    """Return the Moore-Penrose inverse (..., N, M) of (..., M, N), as `scipy.linalg.pinv`.

    Singular values at most ``rtol`` times the largest count as zero; None for max(M, N) 2^-23.
    Raises `ShapeError`, `DTypeError`, and `ArgumentError` for a negative ``rtol``.

    >>> a = device.buffer_from_array(np.array([[2, 0], [0, 0]], np.float32))
    >>> linalg.pinv(a).read().tolist()
    [[0.5, 0.0], [0.0, 0.0]]
    """
    flat = as_matrix_batch("pinv", a)
    batch, m, n = flat.shape
    least = _as_share("pinv", "rtol", _EPS * max(m, n) if rtol is None else rtol)
    y = _solve_by_svd(flat, identity(flat, (batch, m, m)), least)[0]
    return y.view((*a.shape[:-2], n, m))


def matrix_rank(a: Buffer[f32], rtol: float | None = None) -> Buffer[i32]:
    """Count the singular values (...) i32 above ``rtol`` times the largest, of (..., M, N).

    ``rtol`` of None is max(M, N) 2^-23, as in `numpy.linalg.matrix_rank`. Raises `ShapeError`,
    `DTypeError`, and `ArgumentError` for a negative ``rtol``.

    >>> a = device.buffer_from_array(np.ones((3, 4), np.float32))
    >>> int(linalg.matrix_rank(a).read())
    1
    """
    flat = as_matrix_batch("matrix_rank", a)
    _, m, n = flat.shape
    least = _as_share("matrix_rank", "rtol", _EPS * max(m, n) if rtol is None else rtol)
    rank = _divide_by_values(svdvals(flat), None, least)[0]
    return rank.view(a.shape[:-2])


def cond(x: Buffer[f32], p: float | str | None = None) -> Buffer[f32]:
    """Return condition numbers (...) of (..., M, N), as `numpy.linalg.cond`.

    With ``p`` None or 2 this is the largest over the least singular value, infinite where that is
    zero. With -2 it is the inverse, infinite where both are zero. With another order of `norm`,
    matrices are square: it is the norm of the matrix times that of its inverse, infinite where
    there is none. Values above 2^23 say only that they are large. Raises `ShapeError` for fewer
    than two axes, a matrix without elements or one that is not square, `DTypeError`,
    `ArgumentError`.

    >>> float(linalg.cond(device.buffer_from_array(np.diag([2, 8]).astype(np.float32))).read())
    4.0
    """
    flat = as_matrix_batch("cond", x)
    batch, m, n = flat.shape
    if not m * n:
        raise ShapeError(f"cond: matrices must have at least one element, got {x!r}")
    p = as_order("cond", "p", p)
    if p not in (None, 2, -2):
        if m != n:
            raise ShapeError(f"cond: matrices must be square for p {p!r}, got {x!r}; p 2 takes any")
        size, other = (norm(each, p, axis=(-2, -1)) for each in (x, inv(x)))
        y = multiply(size, other)
        return where(greater(isnan(y), isnan(size)), math.inf, y)
    y = x.device.buffer(f32, x.shape[:-2])
    if batch:
        svd_ratio(svdvals(flat), y, math.inf)
    if p != -2:
        return y
    return where(equal(norm(x, axis=(-2, -1)), 0), math.inf, reciprocal(y))


@plain_kernel()
def svd_ratio(s: Array2[f32], y: Array[f32], infinite: f32) -> None:
    """Divide the first of the values s (batch, k), descending, by the last: a matrix each."""
    i = global_id.x
    if i < len(y):
        least = s[i, s.shape[1] - 1]
        ratio = s[i, 0] / least
        y[i] = infinite if least == 0 else ratio


def _solve_by_svd(
    a: Buffer[f32], b: Buffer[f32], cond: float
) -> tuple[Buffer[f32], Buffer[i32], Buffer[f32]]:
    """Return x (batch, N, K), the rank and s: ``x = vh^T (u^T b / s)``."""
    batch, m, n = a.shape
    k, columns = min(m, n), b.shape[2]
    u, s, vh = svd(a, full_matrices=False)
    y = a.device.buffer(f32, (batch, k, columns))
    multiply_into(as_matrices(y), as_matrices(u).T, as_matrices(b), (batch,))
    rank, scaled = _divide_by_values(s, y, cond)
    x = a.device.buffer(f32, (batch, n, columns))
    multiply_into(as_matrices(x), as_matrices(vh).T, as_matrices(scaled), (batch,))
    return x, rank, s


def _divide_by_values(
    s: Buffer[f32], y: Buffer[f32] | None, cond: float
) -> tuple[Buffer[i32], Buffer[f32]]:
    """Count the values of s (batch, k) above ``cond`` times the first; divide y's rows by them."""
    batch, k = s.shape
    rank = s.device.buffer(i32, batch)
    scaled = s if y is None else s.device.buffer(f32, y.shape)
    columns = 0 if y is None else y.shape[2]
    launch = divide_by_values[flat_grid(batch, 1)]
    launch(s, rank, s if y is None else y, scaled, cond, k, columns, y is not None)
    return rank, scaled


@plain_kernel()
def divide_by_values(
    s: Array[f32],
    rank: Array[i32],
    x: Array[f32],
    y: Array[f32],
    cond: f32,
    k: u32,
    columns: u32,
    divide: Const[bool],
) -> None:
    """Write x (batch, k, columns) by s (batch, k) to y: a workgroup each. See _divide_by_values."""
    z = workgroup_id.x + workgroup_id.y * MOST_GROUPS
    if z >= len(rank):
        return
    first = z * k
    least = cond * s[first]
    if local_index == 0:
        kept = 0
        while u32(kept) < k and s[first + u32(kept)] > least:
            kept += 1
        rank[z] = kept
    if divide:
        for e in range(local_index, k * columns, 64):
            value = s[first + e // columns]
            at = first * columns + e
            y[at] = x[at] / value if value > least else 0


def _residues(a: Buffer[f32], x: Buffer[f32], b: Buffer[f32]) -> Buffer[f32]:
    """Return squared norms (batch, K) of the columns of ``b - a x``."""
    device = a.device
    batch, m, _ = a.shape
    columns = b.shape[2]
    left = device.buffer(f32, b.shape)
    left.copy_from(b)
    multiply_into(as_matrices(left), as_matrices(a), as_matrices(x), (batch,), alpha=-1.0, beta=1.0)
    y = device.buffer(f32, (batch, columns))
    square_columns[flat_grid(math.ceil(columns / _SIDE) * batch, 1)](left, y, m, columns)
    return y


@plain_kernel(workgroup_size=_SIDE * _SIDE)
def square_columns(x: Array[f32], y: Array[f32], rows: u32, columns: u32) -> None:
    """Sum squares of the columns of x (batch, rows, columns): a workgroup 16, 16 lanes each."""
    sums = shared(f32, _SIDE * _SIDE)
    t = local_index
    blocks = (columns + _SIDE - 1) // _SIDE
    index = workgroup_id.x + workgroup_id.y * MOST_GROUPS
    z = index // blocks
    if z * columns >= len(y):
        return
    column = index % blocks * _SIDE + t % _SIDE
    total = 0.0
    if column < columns:
        for i in range(t // _SIDE, rows, _SIDE):
            value = x[(z * rows + i) * columns + column]
            total += value * value
    sums[t] = total
    for k in static_range(4):
        barrier()
        if t < 128 >> k:
            sums[t] += sums[t + (128 >> k)]
    if t < _SIDE and column < columns:
        y[z * columns + column] = sums[t]


def _as_share(op: str, name: str, value: float) -> float:
    """Return the share of the largest singular value that counts as zero.

    Raises `ArgumentError`.
    """
    share = as_float(op, name, value)
    if not share >= 0:
        raise ArgumentError(f"{op}: {name} must be 0 or more, got {value}")
    return share
