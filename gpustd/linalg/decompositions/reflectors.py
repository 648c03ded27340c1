"""Blocked Householder QR in compact WY form: factors, and their product with other matrices.

A panel of 32 columns is factorised as ``H_1 ... H_32 = I - V T V^T`` (Schreiber and Van Loan 1989,
SIAM J. Sci. Stat. Comput. 10(1)). Two matrix products update the columns to its right.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from gpucore import Buffer, f32
from gpustd.launch.elements import launch_flat
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import kernel
from gpustd.linalg.decompositions.qr_panels import WIDTH, factorise_panel, project
from gpustd.linalg.triangles import copy_into
from gpustd.linalg.view_matmul import multiply_into
from gpustd.linalg.views import as_matrices

__all__ = ["Reflectors", "identity"]

# Columns that a workgroup of ``linalg/qr_weights.wgsl`` takes.
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
        sizes = {
            "width": width,
            "n": n,
            "splits": parts.shape[1],
            "batch": batch,
            "panel": first // WIDTH,
            "panels": self.t.shape[1],
            "transposed": int(transposed),
        }
        launch = kernel(device, "linalg/qr_weights.wgsl")
        grid = flat_grid(math.ceil(n / _WEIGHED) * batch, 1)
        launch(parts, self.t, weights, sizes, grid=grid)
        multiply_into(target, v, as_matrices(weights), (batch,), alpha=-1.0, beta=1.0)


def identity(like: Buffer[f32], shape: tuple[int, int, int]) -> Buffer[f32]:
    """Return ones on the diagonals of (batch, rows, columns), on the device of ``like``."""
    y = like.device.buffer(f32, shape)
    if y.size:
        sizes = {"rows": shape[1], "columns": shape[2]}
        launch_flat("linalg/identity.wgsl", {}, (y,), y.size, sizes)
    return y
