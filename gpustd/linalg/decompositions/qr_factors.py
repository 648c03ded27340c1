"""QR factorisation by blocked Householder reflections."""

from __future__ import annotations

from typing import Any, Literal, overload

from gpucore import ArgumentError, Buffer, DTypeError, ShapeError, f32
from gpustd.launch.checks import require_buffers
from gpustd.linalg.decompositions.reflectors import Reflectors, identity

__all__ = ["checked_matrices", "qr"]


@overload
def qr(a: Buffer[f32], mode: Literal["r"]) -> tuple[Buffer[f32]]: ...
@overload
def qr(
    a: Buffer[f32], mode: Literal["full", "economic"] = "full"
) -> tuple[Buffer[f32], Buffer[f32]]: ...
def qr(a: Buffer[f32], mode: str = "full") -> tuple[Buffer[f32], ...]:
    """``a = q r`` with orthonormal columns of ``q`` and upper triangular ``r``.

    Args:
        a: (..., M, N), f32, finite; each matrix of the batch is factorised alone.
        mode: ``full``: q (..., M, M) and r (..., M, N); ``economic``: q (..., M, K) and
            r (..., K, N) with K = min(M, N); ``r``: only r (..., M, N), in a tuple of one.

    Returns as `scipy.linalg.qr` without pivoting does; diagonal elements of r may be negative.
    ``q`` is orthonormal to rounding whatever the rank of ``a``: panels of 32 columns by Householder
    reflections, the rest by compact WY products (Golub and Van Loan, Matrix Computations, 4th ed.,
    section 5.2.3). About 2 M N^2 - 2/3 N^3 FLOP, and as many for ``q``. Nothing is read back.

    Raises `ShapeError` for fewer than two axes, `DTypeError`, `ArgumentError` for another mode.

    >>> import numpy as np
    >>> from gpucore import Device
    >>> from gpustd import linalg
    >>> device = Device.auto()
    >>> a = np.array([[3, 1], [4, 2]], np.float32)
    >>> q, r = linalg.qr(device.buffer_from_array(a))
    >>> np.round(r.read(), 3).tolist()
    [[-5.0, -2.200000047683716], [0.0, 0.4000000059604645]]
    >>> np.abs(q.read() @ r.read() - a).max() < 1e-5
    np.True_
    """
    if mode not in ("full", "economic", "r"):
        raise ArgumentError(f"qr: mode {mode!r}: take 'full', 'economic' or 'r'")
    flat = checked_matrices("qr", a)
    batch, m, n = flat.shape
    k = min(m, n)
    ahead = a.shape[:-2]
    rows = k if mode == "economic" else m
    columns = k if mode == "economic" else m
    if not batch * k:
        r = a.device.buffer(f32, (*ahead, rows, n))
        q = identity(a, (batch, m, columns))
    else:
        factors = Reflectors.of(flat)
        r = factors.r(rows)
        if mode == "r":
            return (r.view((*ahead, m, n)),)
        q = factors.q(columns)
    if mode == "r":
        return (r,)
    return q.view((*ahead, m, columns)), r.view((*ahead, rows, n))


def checked_matrices(op: str, a: Buffer[Any]) -> Buffer[f32]:
    """``a`` as (batch, M, N). Raises `ShapeError` or `DTypeError`."""
    require_buffers(op, a)
    if len(a.shape) < 2:
        raise ShapeError(f"{op}: {a.shape}: wants (..., M, N), at least two axes")
    if a.dtype is not f32:
        raise DTypeError(f"{op}: wants f32, got {a!r}: cast it first")
    batch = 1
    for extent in a.shape[:-2]:
        batch *= extent
    return a.view((batch, *a.shape[-2:]))
