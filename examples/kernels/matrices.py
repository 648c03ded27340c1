"""Matrices: products, transposes, factors, and systems of equations."""

from __future__ import annotations

import math

import numpy as np

from gpucore import (
    Array,
    Array2,
    Array3,
    Buffer,
    barrier,
    f32,
    global_id,
    gpu_kernel,
    local_id,
    local_index,
    shared,
    u32,
    workgroup_id,
)

__all__ = [
    "cholesky",
    "conjugate_gradient",
    "distance_matrix",
    "floyd_warshall",
    "matmul",
    "sparse_product",
    "transpose",
]

SIDE = 16
LANES = 128


@gpu_kernel(workgroup_size=(SIDE, SIDE))
def matmul(a: Array2[f32], b: Array2[f32], c: Array2[f32]) -> None:
    """Multiply matrices; tiles of both stand in shared memory."""
    left, right = shared(f32, SIDE, SIDE), shared(f32, SIDE, SIDE)
    row, column = global_id.y, global_id.x
    y, x = local_id.y, local_id.x
    total = 0.0
    for first in range(0, a.shape[1], SIDE):
        inside = row < a.shape[0] and first + x < a.shape[1]
        left[y, x] = a[row, first + x] if inside else 0.0
        inside = first + y < b.shape[0] and column < b.shape[1]
        right[y, x] = b[first + y, column] if inside else 0.0
        barrier()
        for k in range(SIDE):
            total += left[y, k] * right[k, x]
        barrier()
    if row < c.shape[0] and column < c.shape[1]:
        c[row, column] = total


@gpu_kernel(workgroup_size=(SIDE, SIDE))
def transpose(x: Array2[f32], y: Array2[f32]) -> None:
    """Turn rows into columns by tiles, so that reads and writes follow rows."""
    tile = shared(f32, SIDE, SIDE + 1)
    row, column = global_id.y, global_id.x
    if row < x.shape[0] and column < x.shape[1]:
        tile[local_id.y, local_id.x] = x[row, column]
    barrier()
    row = workgroup_id.x * SIDE + local_id.y
    column = workgroup_id.y * SIDE + local_id.x
    if row < y.shape[0] and column < y.shape[1]:
        y[row, column] = tile[local_id.x, local_id.y]


@gpu_kernel
def sparse_product(
    starts: Array[u32], columns: Array[u32], values: Array[f32], x: Array[f32], y: Array[f32]
) -> None:
    """Multiply a sparse matrix (CSR: where rows start, columns, values) and a vector."""
    row = global_id.x
    if row < len(y):
        total = 0.0
        for k in range(starts[row], starts[row + 1]):
            total += values[k] * x[columns[k]]
        y[row] = total


@gpu_kernel
def distance_matrix(a: Array2[f32], b: Array2[f32], d: Array2[f32]) -> None:
    """Compute the Euclidean distance of each row of a to each row of b."""
    row, column = global_id.y, global_id.x
    if row < d.shape[0] and column < d.shape[1]:
        total = 0.0
        for k in range(a.shape[1]):
            difference = a[row, k] - b[column, k]
            total += difference * difference
        d[row, column] = math.sqrt(total)


@gpu_kernel
def relax(middle: u32, d: Array2[f32]) -> None:
    """Take the way through one node where it is shorter."""
    row, column = global_id.y, global_id.x
    if row < d.shape[0] and column < d.shape[1]:
        d[row, column] = min(d[row, column], d[row, middle] + d[middle, column])


def floyd_warshall(d: Buffer[f32]) -> None:
    """Compute the shortest ways between all nodes from their distances (n, n), in place."""
    for middle in range(len(d)):
        relax(middle, d)


@gpu_kernel(workgroup_size=64)
def cholesky(a: Array3[f32]) -> None:
    """Factor positive definite matrices (count, n, n) into L Lᵀ, one a workgroup, in place.

    L is the lower triangle; what stands above it stays.
    """
    i, n = workgroup_id.x, a.shape[1]
    for k in range(n):
        if local_index == 0:
            a[i, k, k] = math.sqrt(a[i, k, k])
        barrier()
        for row in range(k + 1 + local_index, n, 64):
            a[i, row, k] /= a[i, k, k]
        barrier()
        for row in range(k + 1 + local_index, n, 64):
            for column in range(k + 1, row + 1):
                a[i, row, column] -= a[i, row, k] * a[i, column, k]
        barrier()


@gpu_kernel(workgroup_size=LANES)
def dot_into(x: Array[f32], y: Array[f32], sums: Array[f32], place: u32) -> None:
    """Write the scalar product of vectors to a place, by one workgroup."""
    tile = shared(f32, LANES)
    own = 0.0
    for i in range(local_index, len(x), LANES):
        own += x[i] * y[i]
    tile[local_index] = own
    reach = LANES // 2
    while reach > 0:
        barrier()
        if local_index < reach:
            tile[local_index] += tile[local_index + reach]
        reach //= 2
    if local_index == 0:
        sums[place] = tile[0]


@gpu_kernel
def improve(sums: Array[f32], p: Array[f32], q: Array[f32], x: Array[f32], r: Array[f32]) -> None:
    """Go along the direction p, of which q is the image, as far as the error falls."""
    i = global_id.x
    if i < len(x):
        step = sums[0] / sums[1] if sums[1] > 0 else 0.0
        x[i] += step * p[i]
        r[i] -= step * q[i]


@gpu_kernel
def turn(sums: Array[f32], r: Array[f32], p: Array[f32]) -> None:
    """Take the next direction, conjugate to the last."""
    i = global_id.x
    if i < len(p):
        p[i] = r[i] + (sums[2] / sums[0] if sums[0] > 0 else 0.0) * p[i]


def conjugate_gradient(
    matrix: tuple[Buffer[u32], Buffer[u32], Buffer[f32]], right: Buffer[f32], rounds: int
) -> Buffer[f32]:
    """Return the solution of a sparse positive definite system (Hestenes and Stiefel 1952).

    ``matrix`` is starts, columns and values as of `sparse_product`. Nothing is read back.
    """
    device, n = right.device, right.size
    r, p, q = (device.buffer(f32, n) for _ in range(3))
    sums = device.buffer(f32, 3)
    x = device.buffer_from_array(np.zeros(n), f32)
    r.copy_from(right)
    p.copy_from(right)
    for _ in range(rounds):
        sparse_product(*matrix, p, q)
        dot_into[1](r, r, sums, 0)
        dot_into[1](p, q, sums, 1)
        improve(sums, p, q, x, r)
        dot_into[1](r, r, sums, 2)
        turn(sums, r, p)
    return x
