"""QR factorisation by blocked Householder reflections."""

from __future__ import annotations

from typing import Any, Literal, overload

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, f32
from gpustd.launch.checks import require_buffers
from gpustd.linalg.decompositions.reflectors import Reflectors, identity

__all__ = ["as_matrix_batch", "qr"]


@overload
def qr(a: Buffer[f32], mode: Literal["r"]) -> tuple[Buffer[f32]]: ...
@overload
def qr(
    a: Buffer[f32], mode: Literal["full", "economic"] = "full"
) -> tuple[Buffer[f32], Buffer[f32]]: ...
def qr(a: Buffer[f32], mode: str = "full") -> tuple[Buffer[f32], ...]:
    """Factor ``a = q r`` with orthonormal columns of ``q`` and upper triangular ``r``.

    Args:
        a: (..., M, N), f32, finite; each matrix of the batch is factorised alone.
        mode: ``full``: q (..., M, M) and r (..., M, N); ``economic``: q (..., M, K) and r (..., K,
            N) with K = min(M, N); ``r``: only r (..., M, N), in a tuple of one.

    Results are those of `scipy.linalg.qr` without pivoting; diagonal elements of r may be negative.
    ``q`` is orthonormal to rounding whatever the rank of ``a``. Panels of 32 columns take
    Householder reflections, and the rest compact WY products (Golub and Van Loan, Matrix
    Computations, 4th ed., section 5.2.3). That is about 2 M N^2 - 2/3 N^3 FLOP, and as many for
    ``q``. Nothing is read back.

    Raises `ShapeError` for fewer than two axes, `DTypeError`, `ArgumentError` for another mode.

    >>> a = np.array([[3, 1], [4, 2]], np.float32)
    >>> q, r = linalg.qr(device.buffer_from_array(a))
    >>> np.round(r.read(), 3).tolist()
    [[-5.0, -2.200000047683716], [0.0, 0.4000000059604645]]
    >>> np.abs(q.read() @ r.read() - a).max() < 1e-5
    np.True_
    """
    if mode not in ("full", "economic", "r"):
        raise ArgumentError(f"qr: mode must be 'full', 'economic' or 'r', got {mode!r}")
    flat = as_matrix_batch("qr", a)
    batch, m, n = flat.shape
    k = min(m, n)
    batch_shape = a.shape[:-2]
    rows = k if mode == "economic" else m
    columns = k if mode == "economic" else m
    if not batch * k:
        r = a.device.buffer(f32, (*batch_shape, rows, n))
        q = identity(a, (batch, m, columns))
    else:
        factors = Reflectors.factorise(flat)
        r = factors.r(rows)
        if mode == "r":
            return (r.view((*batch_shape, m, n)),)
        q = factors.q(columns)
    if mode == "r":
        return (r,)
    return q.view((*batch_shape, m, columns)), r.view((*batch_shape, rows, n))


def as_matrix_batch(op: str, a: Buffer[Any]) -> Buffer[f32]:
    """Return ``a`` as (batch, M, N). Raises `ShapeError` or `DTypeError`."""
    require_buffers(op, a)
    if len(a.shape) < 2:
        raise ShapeError(f"{op}: matrices must be (..., M, N), at least two axes, got {a!r}")
    if a.dtype is not f32:
        raise DTypeError(f"{op}: matrices must be f32, got {a!r}; cast them")
    batch = 1
    for extent in a.shape[:-2]:
        batch *= extent
    return a.view((batch, *a.shape[-2:]))
