"""Block Jacobi methods for matrices larger than a workgroup holds: of rows, and two-sided.

Rows lie in blocks of 16. A round pairs the blocks off; each pair's 32 by 32 matrix is made diagonal
in a workgroup, and the rotations are applied to its rows as a product. A sweep is as many rounds as
bring every two blocks together once. As many sweeps are recorded as the hardest matrices need; a
matrix that a sweep has not changed is left alone by those after it, which a count on the device
tells: nothing is read back. (Becka, Oksa and Vajtersic 2002, Parallel Computing 28; Golub and Van
Loan, Matrix Computations, 4th ed., sections 8.5 and 8.6.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gpucore import Buffer, Device, Work, f32, u32
from gpustd.launch.elements import launch_flat
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, kernel

__all__ = ["Sweeps", "Table", "least_capacity"]

_CAPACITIES = (8, 16, 32, 48, 64)
_STORAGE_LIMIT = "max_compute_workgroup_storage_size"
_LEAST_STORAGE = 16384

HALF = 16
_SIDE = 2 * HALF
_COLUMNS = 64
_THREADS = 256
_INNER_SWEEPS = 2
_SWEEPS = 16
# Columns of a part of the rows' inner products.
_PART = 256


@dataclass(frozen=True)
class Table:
    """(batch, 16 blocks, pitch): rows to be turned, of matrices with ``n`` rows."""

    x: Buffer[f32]
    n: int

    @classmethod
    def empty(cls, like: Buffer[f32], n: int, pitch: int | None = None) -> Table:
        """For the batch of ``like``, with undefined contents; square without a ``pitch``."""
        rows = _SIDE * max(1, math.ceil(n / _SIDE))
        return cls(like.device.buffer(f32, (like.shape[0], rows, pitch or rows)), n)

    def place(
        self,
        kind: str,
        a: Buffer[f32] | None,
        peaks: Buffer[u32] | None,
        *,
        first: int = 0,
        width: int | None = None,
        lower: bool = True,
    ) -> None:
        """Write columns ``first`` to first + width; see ``jacobi_prepare.wgsl`` for the kinds."""
        batch, rows, pitch = self.x.shape
        width = self.n if width is None else width
        sizes = {
            "n": self.n,
            "rows": rows,
            "pitch": pitch,
            "first": first,
            "width": width,
            "lower": int(lower),
        }
        operands = [b for b in (a, peaks, self.x) if b is not None]
        name = "linalg/jacobi_prepare.wgsl"
        launch_flat(name, {"kind": kind}, operands, batch * rows * width, sizes)

    def collect(
        self, peaks: Buffer[u32], moved: Table | None, first: int, *, norms: bool
    ) -> tuple[Buffer[f32], ...]:
        """Values in order, and with ``moved`` its rows from column ``first`` on in that order.

        Values are the rows' norms, descending, and then the rows divided by them follow as well;
        or the diagonal elements, ascending.
        """
        batch, rows, pitch = self.x.shape
        device, n = self.x.device, self.n
        values, ordered = (device.buffer(f32, (batch, n)) for _ in range(2))
        sizes = {"n": n, "rows": rows, "pitch": pitch, "batch": batch}
        grid = flat_grid(n * batch, 1)
        launch = kernel(device, "linalg/jacobi_values.wgsl", norms=norms)
        launch(self.x, values, sizes, grid=grid)
        spec: dict[str, Value] = {"normalised": norms, "vectors": moved is not None}
        launch = kernel(device, "linalg/jacobi_collect.wgsl", **spec)
        sources, results = [], []
        if moved is not None:
            sources = [moved.x]
            results = [device.buffer(f32, (batch, n, n)) for _ in range(2 if norms else 1)]
            sizes["pitch"] = moved.x.shape[2]
        launch(values, peaks, ordered, *sources, *results, {**sizes, "first": first}, grid=grid)
        return ordered, *results


class Sweeps:
    """Sweeps over the pairs of blocks of one batch of matrices.

    ``peaks`` are the largest elements of ``a`` (batch, n, n), as bits; ``triangle`` 0 is all of
    it, 1 the lower, 2 the upper.
    """

    def __init__(self, a: Buffer[f32], triangle: int = 0) -> None:
        batch, n, _ = a.shape
        device = a.device
        blocks = 2 * max(1, math.ceil(n / _SIDE))
        self.peaks = device.buffer(u32, batch)
        self._leasts = device.buffer(f32, batch)
        self._counts = device.buffer(u32, (_SWEEPS, batch))
        self._turned = device.buffer(f32, (batch, blocks // 2, _SIDE, _SIDE))
        self._sizes = {"n": n, "blocks": blocks, "batch": batch}
        sizes = {"n": n, "batch": batch, "triangle": triangle, "sweeps": _SWEEPS}
        launch = kernel(device, "linalg/jacobi_peak.wgsl")
        launch(a, self.peaks, self._leasts, self._counts, sizes, grid=flat_grid(batch, 1))

    def orthogonalise(self, rows: Table) -> None:
        """Turn the rows until their first n columns are orthogonal."""
        n, batch, blocks = (self._sizes[key] for key in ("n", "batch", "blocks"))
        splits = max(1, n // _PART)
        parts = rows.x.device.buffer(f32, (batch, blocks // 2, splits, _SIDE, _SIDE))
        grid = flat_grid(parts.size // _SIDE**2, 1)
        work = Work(2.0 * batch * blocks * HALF * _SIDE * n, rows.x.nbytes)
        gram = kernel(rows.x.device, "linalg/jacobi_gram.wgsl")
        for at in self._rounds():
            sizes = self._of_table(rows, at) | {"splits": splits}
            gram(rows.x, self._counts, parts, sizes, grid=grid, work=work)
            self._choose(parts, at, gram=True, splits=splits)
            self._turn(rows, at)

    def diagonalise(self, matrix: Table, vectors: Table | None) -> None:
        """Turn rows and columns of the symmetric ``matrix``, and the rows of ``vectors``."""
        other = Table.empty(matrix.x, matrix.n)
        for at in self._rounds():
            self._choose(matrix.x, at, gram=False, splits=1)
            self._turn(matrix, at, other)
            self._turn(other, at, matrix)
            if vectors is not None:
                self._turn(vectors, at)

    def _rounds(self) -> Iterator[dict[str, int]]:
        for sweep in range(_SWEEPS):
            for number in range(self._sizes["blocks"] - 1):
                yield {"round": number, "sweep": sweep}

    def _choose(self, x: Buffer[f32], at: dict[str, int], *, gram: bool, splits: int) -> None:
        """Find the rotations of each pair."""
        spec: dict[str, Value] = {
            "capacity": _SIDE,
            "threads": _THREADS,
            "vectors": True,
            "gram": gram,
            "inner": _INNER_SWEEPS,
        }
        relative = math.sqrt(self._sizes["n"]) * 2.0**-23 if gram else 2.0**-24
        sizes = {key: self._sizes[key] for key in ("blocks", "batch")}
        launch = kernel(x.device, "linalg/jacobi_pair.wgsl", **spec)
        grid = flat_grid(self._turned.size // _SIDE**2, 1)
        uniform = {**sizes, **at, "splits": splits, "relative": relative}
        leasts = [] if gram else [self._leasts]
        launch(x, self._counts, self._turned, *leasts, uniform, grid=grid)

    def _turn(self, rows: Table, at: dict[str, int], to: Table | None = None) -> None:
        """Apply the rotations to all columns, in place or transposed to another table."""
        batch, height, pitch = rows.x.shape
        launch = kernel(rows.x.device, "linalg/jacobi_apply.wgsl", transposed=to is not None)
        tiles = math.ceil(pitch / _COLUMNS) * (height // _SIDE) * batch
        targets = [rows.x] if to is None else [rows.x, to.x]
        sizes = self._of_table(rows, at)
        work = Work(2.0 * _SIDE * rows.x.size, 2 * rows.x.nbytes)
        grid = flat_grid(tiles, 1)
        launch(self._turned, self._counts, *targets, sizes, grid=grid, work=work)

    def _of_table(self, rows: Table, at: dict[str, int]) -> dict[str, int]:
        pitch = rows.x.shape[2]
        return {**self._sizes, **at, "pitch": pitch, "first": 0, "width": pitch, "splits": 1}


def least_capacity(device: Device, n: int, nbytes: Callable[[int], int]) -> int:
    """Least side of the matrices in workgroup memory that hold ``n``; 0 where none does.

    ``nbytes`` is the memory that a kernel takes for a side.
    """
    storage = device.limits.get(_STORAGE_LIMIT, _LEAST_STORAGE)
    sides = (side for side in _CAPACITIES if n <= side and nbytes(side) <= storage)
    return next(sides, 0)
