"""Blocked Householder QR in compact WY form: factors, and their product with other matrices.

A panel of 32 columns is factorised as ``H_1 ... H_32 = I - V T V^T`` (Schreiber and Van Loan 1989,
SIAM J. Sci. Stat. Comput. 10(1)). Two matrix products update the columns to its right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpucore import (
    Array,
    Array4,
    Buffer,
    barrier,
    f32,
    global_id,
    local_index,
    shared,
    u32,
    workgroup_id,
)
from gpustd.launch.grid import MOST_GROUPS, flat_grid
from gpustd.launch.plain_kernels import plain_kernel
from gpustd.linalg.decompositions.qr_panels import WIDTH, factorise_panel, project
from gpustd.linalg.triangles import copy_into
from gpustd.linalg.view_matmul import multiply_into
from gpustd.linalg.views import as_matrices

__all__ = ["Reflectors", "identity"]

# Columns that a workgroup of `weigh_panel` takes.
_WEIGHED = 64


@dataclass(frozen=True)
class Reflectors:
    """The factors of matrices (batch, M, N).

    ``work`` holds R above its diagonal, ``v`` (batch, M, min(M, N)) the unit lower trapezoid, ``t``
    (batch, panels, 32, 32) the triangles.
    """

    work: Buffer[f32]
    v: Buffer[f32]
    t: Buffer[f32]

    @classmethod
    def factorise(cls, a: Buffer[f32]) -> Reflectors:
        """Factorise a copy of ``a`` (batch, M, N), where no extent is 0."""
        device = a.device
        batch, rows, columns = a.shape
        least = min(rows, columns)
        work = device.buffer(f32, a.shape)
        work.copy_from(a)
        v = device.buffer(f32, (batch, rows, least))
        t = device.buffer(f32, (batch, math.ceil(least / WIDTH), WIDTH, WIDTH))
        factors = cls(work, v, t)
        for first in range(0, least, WIDTH):
            factorise_panel(work, v, t, first)
            right = min(first + WIDTH, least)
            if right < columns:
                factors._apply(first, work, right, transposed=True)
        return factors

    def r(self, rows: int) -> Buffer[f32]:
        """Return the triangle (batch, ``rows``, N)."""
        batch, _, columns = self.work.shape
        y = self.work.device.buffer(f32, (batch, rows, columns))
        top = as_matrices(self.work).block(0, 0, rows, columns)
        copy_into(as_matrices(y), top, (batch,), part="upper")
        return y

    def q(self, columns: int) -> Buffer[f32]:
        """Return the first ``columns`` columns of Q (batch, M, M)."""
        batch, rows, least = self.v.shape
        y = identity(self.v, (batch, rows, columns))
        for first in reversed(range(0, least, WIDTH)):
            # Columns to the left are still those of the identity, and zero in these rows.
            self._apply(first, y, first, transposed=False)
        return y

    def _apply(self, first: int, y: Buffer[f32], left: int, *, transposed: bool) -> None:
        """Multiply y from column ``left`` on by ``I - V op(T) V^T`` of the panel at ``first``."""
        device = y.device
        batch, rows, columns = y.shape
        width = min(WIDTH, self.v.shape[2] - first)
        m, n = rows - first, columns - left
        v = as_matrices(self.v).block(first, first, m, width)
        target = as_matrices(y).block(first, left, m, n)
        parts = project(v, target, batch)
        weights = device.buffer(f32, (batch, width, n))
        launch = weigh_panel[flat_grid(math.ceil(n / _WEIGHED) * batch, 1)]
        launch(parts, self.t, weights, width, n, parts.shape[1], first // WIDTH, int(transposed))
        multiply_into(target, v, as_matrices(weights), (batch,), alpha=-1.0, beta=1.0)


@plain_kernel(workgroup_size=256)
def weigh_panel(
    parts: Array[f32],
    t: Array4[f32],
    y: Array[f32],
    width: u32,
    n: u32,
    splits: u32,
    panel: u32,
    transposed: u32,
) -> None:
    """Write op(T) times the sum of the parts (batch, splits, width, n) to y (batch, width, n).

    This is the middle of a product ``(I - V op(T) V^T) C``, of 64 columns a workgroup, whose sums
    wait in 12 KiB of workgroup memory.
    """
    sums = shared(f32, WIDTH * _WEIGHED)
    op = shared(f32, WIDTH * WIDTH)
    blocks = (n + _WEIGHED - 1) // _WEIGHED
    index = workgroup_id.x + workgroup_id.y * MOST_GROUPS
    z = index // blocks
    plane = width * n
    if z * plane >= len(y):
        return
    column = index % blocks * _WEIGHED + local_index % _WEIGHED
    for e in range(local_index, WIDTH * WIDTH, 256):
        row = e // WIDTH
        beside = e % WIDTH
        op[e] = t[z, panel, row, beside] if transposed == 0 else t[z, panel, beside, row]
    for f in range(local_index, WIDTH * _WEIGHED, 256):
        line = f // _WEIGHED
        own = 0.0
        if line < width and column < n:
            first = z * splits * plane + line * n + column
            for s in range(splits):
                own += parts[first + s * plane]
        sums[f] = own
    barrier()
    for k in range(local_index // _WEIGHED, width, 256 // _WEIGHED):
        total = 0.0
        for i in range(width):
            total += op[k * WIDTH + i] * sums[i * _WEIGHED + local_index % _WEIGHED]
        if column < n:
            y[z * plane + k * n + column] = total


def identity(like: Buffer[f32], shape: tuple[int, int, int]) -> Buffer[f32]:
    """Return ones on the diagonals of (batch, rows, columns), on the device of ``like``."""
    y = like.device.buffer(f32, shape)
    if y.size:
        diagonal(y, shape[1], shape[2])
    return y


@plain_kernel()
def diagonal(y: Array[f32], rows: u32, columns: u32) -> None:
    """Write ones on the diagonals of matrices (batch, rows, columns), zeros beside them."""
    i = global_id.x
    if i < len(y):
        row = i // columns
        y[i] = 1 if row % rows == i - row * columns else 0
