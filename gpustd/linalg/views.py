"""`Matrices`: views of matrices inside a buffer, described by a start and steps.

Transposes, blocks, reversed orders and broadcast batches are views, so that one kernel serves them
all. Kernels get starts and steps as 32-bit words; a negative step wraps round, as their sums do.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from gpucore import Buffer, LimitError, ShapeError

__all__ = ["Matrices", "as_matrices", "batch_uniform", "broadcast_batch", "view_uniform"]

_MAX_ELEMENTS = 2**32


@dataclass(frozen=True)
class Matrices:
    """A batch of ``rows`` by ``columns`` matrices in a buffer.

    Element (i, j) of the batch's first matrix is at ``start + i * row_step + j * column_step``.
    ``steps`` lead along the axes of the batch (0 where it is broadcast).
    """

    buffer: Buffer[Any]
    rows: int
    columns: int
    start: int
    row_step: int
    column_step: int
    steps: tuple[int, ...]

    @property
    def T(self) -> Matrices:  # noqa: N802
        """The view with rows and columns exchanged."""
        return replace(
            self,
            rows=self.columns,
            columns=self.rows,
            row_step=self.column_step,
            column_step=self.row_step,
        )

    def block(self, row: int, column: int, rows: int, columns: int) -> Matrices:
        """Return the ``rows`` by ``columns`` block from (row, column) on, within the matrix."""
        start = self.start + row * self.row_step + column * self.column_step
        return replace(self, rows=rows, columns=columns, start=start)

    @property
    def last_rows_first(self) -> Matrices:
        """The view with the order of rows reversed."""
        start = self.start + (max(self.rows, 1) - 1) * self.row_step
        return replace(self, start=start, row_step=-self.row_step)

    @property
    def reversed(self) -> Matrices:
        """The view with both orders reversed: an upper triangle becomes a lower one."""
        return self.last_rows_first.T.last_rows_first.T


def as_matrices(x: Buffer[Any], batch: tuple[int, ...] | None = None) -> Matrices:
    """Return the last two axes of ``x`` (..., M, N) as matrices, the rest broadcast to ``batch``.

    Raises `LimitError` above 2^32 elements, which 32-bit steps cannot reach.
    """
    if x.size > _MAX_ELEMENTS:
        raise LimitError(
            f"linalg: matrices must have at most 2**32 elements, for 32-bit indices, got {x!r}; "
            "split them"
        )
    *lead, rows, columns = x.shape
    batch = tuple(lead) if batch is None else batch
    steps, step = [0] * len(batch), rows * columns
    for axis in range(1, len(lead) + 1):
        steps[-axis] = step if lead[-axis] > 1 else 0
        step *= lead[-axis]
    return Matrices(x, rows, columns, 0, columns, 1, tuple(steps))


def broadcast_batch(op: str, *shapes: Sequence[int]) -> tuple[int, ...]:
    """Return the shape to which leading axes broadcast, as in NumPy. Raises `ShapeError`."""
    ndim = max(map(len, shapes))
    padded = [(1,) * (ndim - len(s)) + tuple(s) for s in shapes]
    extents = []
    for axis in zip(*padded, strict=True):
        distinct = set(axis) - {1}
        if len(distinct) > 1:
            listed = ", ".join(str(tuple(s)) for s in shapes)
            raise ShapeError(f"{op}: batch axes must broadcast, got {listed}")
        extents.append(distinct.pop() if distinct else 1)
    return tuple(extents)


def batch_uniform(
    batch: Sequence[int], views: Mapping[str, Matrices]
) -> tuple[int, dict[str, int]]:
    """Merge neighbouring axes of the batch; return how many are left, and their uniforms.

    At least one axis stays, so that a matrix and a batch share kernels. The uniforms of
    shaders/linalg/batch.wgsl are the extents of axes, and each view's steps.
    """
    axes: list[tuple[int, tuple[int, ...]]] = []
    for i, extent in enumerate(batch):
        steps = tuple(v.steps[i] for v in views.values())
        if extent == 1:
            continue
        if axes and all(s == extent * n for s, n in zip(axes[-1][1], steps, strict=True)):
            axes[-1] = (axes[-1][0] * extent, steps)
        else:
            axes.append((extent, steps))
    axes = axes or [(1, (0,) * len(views))]
    uniforms = {f"extent{i}": extent for i, (extent, _) in enumerate(axes)}
    for i, (_, steps) in enumerate(axes):
        uniforms |= {f"{n}_step{i}": s for n, s in zip(views, steps, strict=True)}
    return len(axes), {"batch": math.prod(batch), **uniforms}


def view_uniform(name: str, view: Matrices) -> dict[str, int]:
    """Return the uniforms of one view: start and steps of rows and columns, as 32-bit words."""
    return {
        f"{name}_start": view.start,
        f"{name}_row": view.row_step % 2**32,
        f"{name}_column": view.column_step % 2**32,
    }
