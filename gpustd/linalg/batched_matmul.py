"""The function matmul of NumPy over batches, and the choice of its kernels."""

from __future__ import annotations

import itertools
import math

from gpucore import Buffer, ShapeError, T, f16
from gpustd.arrays.moving.blocks import concat, repeat_batch, slice_axis
from gpustd.launch.checks import require_buffers
from gpustd.launch.grid import MOST_GROUPS
from gpustd.launch.variants import forced_variant
from gpustd.linalg.blas1 import dot
from gpustd.linalg.blas2 import gemv
from gpustd.linalg.view_matmul import matrix_scalar, multiply_into
from gpustd.linalg.views import as_matrices, broadcast_batch
from gpustd.matmul.dense import gemm as dense_gemm
from gpustd.matmul.dense import multiply_batch

__all__ = ["fits_dense_gemm", "matmul", "multiply_matrices"]

# Bytes, at most, of copies of a matrix that is multiplied with many.
_MAX_BYTES = 2**30


def matmul(a: Buffer[T], b: Buffer[T]) -> Buffer[T]:
    """Multiply matrices or vectors as `numpy.matmul`, in f32, f16 (summed in f32) or c64.

    ``a`` (..., M, K) or (K,), ``b`` (..., K, N) or (K,); batch axes broadcast. A vector on the left
    is a row, on the right a column, and its axis of 1 is left out of the result. M = N = K = n
    takes 2 n³ operations (8 n³ in c64). Raises `ShapeError`, `DTypeError`.

    >>> a = device.buffer_from_array(np.array([[1, 2], [3, 4]], np.float32))
    >>> print(linalg.matmul(a, a).read().tolist())
    [[7.0, 10.0], [15.0, 22.0]]
    """
    require_buffers("matmul", a, b)
    if not a.shape or not b.shape:
        raise ShapeError(
            f"matmul: both operands must have at least one axis, got {a.shape} @ {b.shape}"
        )
    if a.shape[-1] != b.shape[-min(2, len(b.shape))]:
        raise ShapeError(f"matmul: inner extents must agree, got {a.shape} @ {b.shape}")
    kind = matrix_scalar("matmul", a, b)
    if len(a.shape) == len(b.shape) == 1:
        return dot(a, b)
    if kind != "c64" and len(b.shape) == 1:
        return gemv(1.0, a, b)
    if kind != "c64" and len(a.shape) == 1:
        return gemv(1.0, b, a, trans=1)
    left = a.view((1, *a.shape)) if len(a.shape) == 1 else a
    right = b.view((*b.shape, 1)) if len(b.shape) == 1 else b
    y = multiply_matrices("matmul", left, right)
    lead = y.shape[:-2]
    if len(a.shape) == 1:
        return y.view((*lead, y.shape[-1]))
    return y.view((*lead, y.shape[-2])) if len(b.shape) == 1 else y


def multiply_matrices(op: str, a: Buffer[T], b: Buffer[T]) -> Buffer[T]:
    """Return the matrix products of (..., M, K) and (..., K, N).

    A single right operand of two axes goes through gpustd.gemm. On matrix units all batches take
    the same kernel, so that a matrix product has the same bits in each.
    """
    if fits_dense_gemm(a, b):
        return dense_gemm(a, b)
    batch = broadcast_batch(op, a.shape[:-2], b.shape[:-2])
    if _fits_matrix_units(a, b) and all(batch):
        return _multiply_on_matrix_units(op, a, b, batch)
    y = a.device.buffer(a.dtype, (*batch, a.shape[-2], b.shape[-1]))
    multiply_into(as_matrices(y), as_matrices(a, batch), as_matrices(b, batch), batch)
    return y


def _fits_matrix_units(a: Buffer[T], b: Buffer[T]) -> bool:
    """Tell whether matrix units multiply these matrices."""
    k, n = b.shape[-2:]
    units = a.dtype is f16 and a.device.has_matrix_units and not forced_variant("multiply")
    return units and k % 8 == n % 8 == 0 and n >= 16 and bool(a.size and b.size)


def _multiply_on_matrix_units(
    op: str, a: Buffer[T], b: Buffer[T], batch: tuple[int, ...]
) -> Buffer[T]:
    """Multiply matrices in equal numbers on both sides, or broadcast, on matrix units."""
    shape = (*batch, a.shape[-2], b.shape[-1])
    if a.shape[:-2] == b.shape[:-2]:
        return _multiply_pairs(op, a, b)
    if math.prod(b.shape[:-2]) == 1:
        rows = a.view((1, -1, a.shape[-1]))
        return _multiply_pairs(op, rows, b.view((1, *b.shape[-2:]))).view(shape)
    count = math.prod(batch)
    if math.prod(a.shape[:-2]) == 1 and count * a.nbytes <= _MAX_BYTES:
        copies = repeat_batch(a.view((1, *a.shape[-2:])), count)
        return _multiply_pairs(op, copies, b.view((-1, *b.shape[-2:]))).view(shape)
    return _multiply_one_by_one(op, a, b, batch)


def _multiply_pairs(op: str, a: Buffer[T], b: Buffer[T]) -> Buffer[T]:
    """Multiply equally many matrices, in a launch for each 65 535 of them."""
    left, right = (x.view((-1, *x.shape[-2:])) for x in (a, b))
    products = []
    for first in range(0, len(left), MOST_GROUPS):
        end = min(first + MOST_GROUPS, len(left))
        p, q = (x if end - first == len(x) else slice_axis(x, 0, first, end) for x in (left, right))
        products.append(a.device.buffer(a.dtype, (end - first, p.shape[1], q.shape[2])))
        multiply_batch(op, p, q, products[-1])
    joined = products[0] if len(products) == 1 else concat(products, 0)
    return joined.view((*a.shape[:-1], b.shape[-1]))


def _multiply_one_by_one(op: str, a: Buffer[T], b: Buffer[T], batch: tuple[int, ...]) -> Buffer[T]:
    """Multiply each pair of a batch by itself, and join the results."""
    products = [
        _multiply_pairs(op, _matrix_at(a, place), _matrix_at(b, place))
        for place in itertools.product(*map(range, batch))
    ]
    joined = concat(products, 0)
    return joined.view((*batch, a.shape[-2], b.shape[-1]))


def _matrix_at(x: Buffer[T], place: tuple[int, ...]) -> Buffer[T]:
    """Return the matrix (1, M, N) at a place of the batch to which ``x`` is broadcast."""
    lead = x.shape[:-2]
    index = 0
    for extent, i in zip(lead, place[len(place) - len(lead) :], strict=True):
        index = index * extent + (i if extent > 1 else 0)
    return slice_axis(x.view((-1, *x.shape[-2:])), 0, index, index + 1)


def fits_dense_gemm(a: Buffer[T], b: Buffer[T]) -> bool:
    """Tell whether `gpustd.gemm`, which has the tuned variants, takes these operands.

    Software renderers have a fast variant there for widths of four only.
    """
    fits = len(b.shape) == 2 and matrix_scalar("matmul", a, b) != "c64"
    return fits and not forced_variant("multiply") and (not a.device.is_cpu or b.shape[1] % 4 == 0)
