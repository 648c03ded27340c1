"""Block Jacobi methods for matrices larger than a workgroup holds: of rows, and two-sided.

Rows lie in blocks of 16. A round pairs the blocks. Each pair's 32 by 32 matrix is made diagonal in
a workgroup, and the rotations are applied to its rows as a matrix product. A sweep has as many
rounds as bring every two blocks together once.

As many sweeps are recorded as the hardest matrices need. Once a sweep has not changed a matrix,
later ones skip it, by a count on the device: nothing is read back. (Becka, Oksa and Vajtersic 2002,
Parallel Computing 28; Golub and Van Loan, Matrix Computations, 4th ed., sections 8.5 and 8.6.)
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from gpucore import (
    Array,
    Array2,
    Buffer,
    Const,
    Device,
    Work,
    barrier,
    bitcast,
    f32,
    local_index,
    shared,
    static_range,
    u32,
    workgroup_id,
)
from gpustd.launch.elements import launch_flat
from gpustd.launch.grid import MOST_GROUPS, flat_grid
from gpustd.launch.plain_kernels import plain_kernel
from gpustd.launch.template import Value, kernel

__all__ = ["RowTable", "Sweeps", "least_capacity"]

_CAPACITIES = (8, 16, 32, 48, 64)
_STORAGE_LIMIT = "max_compute_workgroup_storage_size"
_MIN_STORAGE = 16384

HALF = 16
_SIDE = 2 * HALF
_COLUMNS = 64
_THREADS = 256
_INNER_SWEEPS = 2
_SWEEPS = 16
_LEAST = 2.0**-25
# Columns of a part of the rows' inner products.
_PART = 256


@dataclass(frozen=True)
class RowTable:
    """Rows to be rotated, (batch, 16 blocks, pitch), of matrices with ``n`` rows."""

    x: Buffer[f32]
    n: int

    @classmethod
    def empty(cls, like: Buffer[f32], n: int, pitch: int | None = None) -> RowTable:
        """Return a table for the batch of ``like``, with undefined contents.

        It is square without a ``pitch``.
        """
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
        self, peaks: Buffer[u32], rotated: RowTable | None, first: int, *, norms: bool
    ) -> tuple[Buffer[f32], ...]:
        """Return values in order, and with ``rotated`` its rows from column ``first`` on.

        Rows are in the order of the values. With ``norms``, values are the rows' norms, descending,
        and the rows divided by them follow as well. Otherwise they are the diagonal elements,
        ascending.
        """
        batch, rows, pitch = self.x.shape
        device, n = self.x.device, self.n
        values, ordered = (device.buffer(f32, (batch, n)) for _ in range(2))
        sizes = {"n": n, "rows": rows, "pitch": pitch, "batch": batch}
        grid = flat_grid(n * batch, 1)
        jacobi_values[grid](self.x, values, n, rows, pitch, norms)
        spec: dict[str, Value] = {"normalised": norms, "vectors": rotated is not None}
        launch = kernel(device, "linalg/jacobi_collect.wgsl", **spec)
        sources, results = [], []
        if rotated is not None:
            sources = [rotated.x]
            results = [device.buffer(f32, (batch, n, n)) for _ in range(2 if norms else 1)]
            sizes["pitch"] = rotated.x.shape[2]
        launch(values, peaks, ordered, *sources, *results, {**sizes, "first": first}, grid=grid)
        return ordered, *results


@plain_kernel()
def jacobi_values(
    x: Array[f32], y: Array[f32], n: u32, rows: u32, pitch: u32, norms: Const[bool]
) -> None:
    """Write norms, or diagonal elements, of the first n columns and rows of x: a workgroup each."""
    sums = shared(f32, 64)
    t = local_index
    index = workgroup_id.x + workgroup_id.y * MOST_GROUPS
    if index >= len(y):
        return
    i = index % n
    first = (index // n * rows + i) * pitch
    if not norms:
        if t == 0:
            y[index] = x[first + i]
        return
    total = 0.0
    for j in range(t, n, 64):
        total += x[first + j] * x[first + j]
    sums[t] = total
    for k in static_range(6):
        barrier()
        if t < 32 >> k:
            sums[t] += sums[t + (32 >> k)]
    if t == 0:
        y[index] = math.sqrt(sums[0])


@plain_kernel(workgroup_size=256)
def find_peaks(
    a: Array[f32],
    peaks: Array[u32],
    leasts: Array[f32],
    counts: Array2[u32],
    n: u32,
    triangle: u32,
) -> None:
    """Write the bits of the largest size in each of a (batch, n, n), and what does not count.

    That is 2^-25 / sqrt(n) of the Frobenius norm once the largest element is 1 to 2, so that all
    smaller elements together change no eigenvalue by n 2^-25 of the norm. The counts (sweeps,
    batch) become 0. One workgroup takes a matrix: all of it, or triangle 1 (lower), 2 (upper).
    """
    values = shared(f32, 256)
    t = local_index
    z = workgroup_id.x + workgroup_id.y * MOST_GROUPS
    if z >= len(peaks):
        return
    peak = 0.0
    for i in range(n):
        first = (i if triangle == 2 else u32(0)) + t
        for j in range(first, i + 1 if triangle == 1 else n, 256):
            peak = max(peak, abs(a[(z * n + i) * n + j]))
    values[t] = peak
    barrier()
    for e in range(256):
        peak = max(peak, values[e])
    barrier()
    bits = bitcast(u32, peak)
    exponent = 127 if bits == 0 else min(max(bits >> 23, 2), 252)
    scale = bitcast(f32, (254 - exponent) << 23)
    total = 0.0
    for row in range(n):
        start = (row if triangle == 2 else u32(0)) + t
        for column in range(start, row + 1 if triangle == 1 else n, 256):
            x = a[(z * n + row) * n + column] * scale
            total += x * x * (2.0 if triangle != 0 and row != column else 1.0)
    values[t] = total
    barrier()
    if t == 0:
        for lane in range(1, 256):
            total += values[lane]
        peaks[z] = bits
        leasts[z] = _LEAST * math.sqrt(total / f32(n))
    for s in range(t, counts.shape[0], 256):
        counts[s, z] = 0


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
        self._rotations = device.buffer(f32, (batch, blocks // 2, _SIDE, _SIDE))
        self._sizes = {"n": n, "blocks": blocks, "batch": batch}
        launch = find_peaks[flat_grid(batch, 1)]
        launch(a, self.peaks, self._leasts, self._counts, n, triangle)

    def orthogonalise(self, rows: RowTable) -> None:
        """Rotate the rows until their first n columns are orthogonal."""
        n, batch, blocks = (self._sizes[key] for key in ("n", "batch", "blocks"))
        splits = max(1, n // _PART)
        parts = rows.x.device.buffer(f32, (batch, blocks // 2, splits, _SIDE, _SIDE))
        grid = flat_grid(parts.size // _SIDE**2, 1)
        work = Work(2.0 * batch * blocks * HALF * _SIDE * n, rows.x.nbytes)
        gram = kernel(rows.x.device, "linalg/jacobi_gram.wgsl")
        for at in self._rounds():
            sizes = self._table_uniform(rows, at) | {"splits": splits}
            gram(rows.x, self._counts, parts, sizes, grid=grid, work=work)
            self._find_rotations(parts, at, gram=True, splits=splits)
            self._apply_rotations(rows, at)

    def diagonalise(self, matrix: RowTable, vectors: RowTable | None) -> None:
        """Rotate rows and columns of the symmetric ``matrix``, and the rows of ``vectors``."""
        other = RowTable.empty(matrix.x, matrix.n)
        for at in self._rounds():
            self._find_rotations(matrix.x, at, gram=False, splits=1)
            self._apply_rotations(matrix, at, other)
            self._apply_rotations(other, at, matrix)
            if vectors is not None:
                self._apply_rotations(vectors, at)

    def _rounds(self) -> Iterator[dict[str, int]]:
        """Yield the numbers of all rounds and sweeps."""
        for sweep in range(_SWEEPS):
            for number in range(self._sizes["blocks"] - 1):
                yield {"round": number, "sweep": sweep}

    def _find_rotations(
        self, x: Buffer[f32], at: dict[str, int], *, gram: bool, splits: int
    ) -> None:
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
        grid = flat_grid(self._rotations.size // _SIDE**2, 1)
        uniform = {**sizes, **at, "splits": splits, "relative": relative}
        leasts = [] if gram else [self._leasts]
        launch(x, self._counts, self._rotations, *leasts, uniform, grid=grid)

    def _apply_rotations(
        self, rows: RowTable, at: dict[str, int], to: RowTable | None = None
    ) -> None:
        """Apply the rotations to all columns, in place or transposed to another table."""
        batch, height, pitch = rows.x.shape
        launch = kernel(rows.x.device, "linalg/jacobi_apply.wgsl", transposed=to is not None)
        tiles = math.ceil(pitch / _COLUMNS) * (height // _SIDE) * batch
        targets = [rows.x] if to is None else [rows.x, to.x]
        sizes = self._table_uniform(rows, at)
        work = Work(2.0 * _SIDE * rows.x.size, 2 * rows.x.nbytes)
        grid = flat_grid(tiles, 1)
        launch(self._rotations, self._counts, *targets, sizes, grid=grid, work=work)

    def _table_uniform(self, rows: RowTable, at: dict[str, int]) -> dict[str, int]:
        """Return the uniform of a launch over all columns of a table."""
        pitch = rows.x.shape[2]
        return {**self._sizes, **at, "pitch": pitch, "first": 0, "width": pitch, "splits": 1}


def least_capacity(device: Device, n: int, nbytes: Callable[[int], int]) -> int:
    """Return the least side of the matrices in workgroup memory that hold ``n``; 0 if none does.

    ``nbytes`` gives the memory that a kernel takes for a side.
    """
    storage = device.limits.get(_STORAGE_LIMIT, _MIN_STORAGE)
    sides = (side for side in _CAPACITIES if n <= side and nbytes(side) <= storage)
    return next(sides, 0)
