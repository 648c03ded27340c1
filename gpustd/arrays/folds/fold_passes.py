"""Folding an axis of an (outer, n, inner) array by an associative operation, in passes.

A pass folds runs of the axis; the next pass folds their results. The length of runs follows from n,
the dtype, inner and the device alone, so that an element of the result is the same in any batch.

The roundings that a pass adds to a sum are at most:

- along columns 34: 31 in a block, 3 between blocks;
- in strips, whose passes fold 64 times as many elements, 40: 6 more between lanes;
- along rows 45: 31 in a lane, 2 in its word, 5 between lanes, 7 between subgroups (8 for a tree of
  all lanes); 77 in rows of 2^27 bytes, with 63 in a lane;
- 44 more where the last workgroup of a row folds the results of up to 8192 runs;
- on CPUs 62: 31 in a block, 31 between blocks.

A sum of n elements errs by at most ``40 p 2^-24`` of the sum of sizes, with p = 1 + log128(n).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, Device, DType, c64, f32, i32, u32
from gpucore.integers import ceil_div
from gpustd.arrays.folds.operator import Operator
from gpustd.arrays.folds.scratch_words import zeroed_words
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import subgroup_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_variant

__all__ = ["Fold", "accumulator", "uses_workgroups", "wide_dtype"]

_COMBINE = {
    "sum": "add",
    "mean": "add",
    "squares": "add",
    "count": "add",
    "prod": "mul",
    "max": "max",
    "min": "max",
    "any": "max",
    "all": "min",
    "where_max": "min",
    "where_min": "min",
}
_KEYED = ("max", "min", "where_max", "where_min")
_FLAGS = ("any", "all", "count")
_BLOCK = 32
# A run of a row on a GPU, in bytes: 16 words of 16 bytes for each of 256 lanes.
_ROW_BYTES = 65536
# In rows of so many bytes fewer workgroups are faster: a run then has so many elements.
_LONG_ROW, _LONG_ROW_RUN = 2**27, 65536
# A run of a column on a GPU, in elements, which still leaves many workgroups.
_COLUMN_RUN = 128
# A run on a CPU, in elements: enough to pay for a lane.
_CPU_RUN = 1024
_SHORT_ROW = 16
# Most runs of a row that its last workgroup folds in the same launch.
_MOST_RUNS_OF_LAST_GROUP = 8192
# Strips of columns are used on a GPU for so many strips, of columns at least so long.
_STRIPS = 128
_STRIP_LEAST = 256
# Lanes of a strip's workgroup, words side by side, and most elements of a column for each lane.
_STRIP_LANES = 512
_ACROSS = 8
_STRIP_RUN = 128
# Neighbouring elements that fill the lines of memory which lanes read together.
_NEAR = 256
_WORKGROUP = 64
_ROWS_WORKGROUP = 256
# On a GPU, words that a lane reads before it uses one: of a row, of a column.
_ROW_AHEAD = 4
_COLUMN_AHEAD = 8
_MOST_LANES = 64


def accumulator(op: str, dtype: type[DType]) -> type[DType]:
    """Return the dtype in which ``op`` folds elements of ``dtype``."""
    if op in _KEYED or op in _FLAGS:
        return u32
    return wide_dtype(dtype)


def uses_workgroups(device: Device) -> bool:
    """Tell whether a workgroup folds a row together, with barriers: on GPUs."""
    return not device.is_cpu or forced_variant("fold") in ("rows", "subgroups", "columns")


def wide_dtype(dtype: type[DType]) -> type[DType]:
    """Return the 32-bit dtype in which numbers of ``dtype`` are computed."""
    return {"f": f32, "c": f32, "i": i32, "u": u32}[dtype.name[0]]


@dataclass(frozen=True)
class Fold:
    """One fold: ``op``, the 32-bit dtypes it folds in and ends in, and f16 where it is ``stored``.

    ``scale`` multiplies means at the end. ``second`` holds a number for each (outer, inner): the
    mean whose distance is squared (``squares``), or the key whose place is sought (``where_max``,
    ``where_min``). ``of_runs`` then holds the keys that `fold_runs` gave for each run of rows: only
    runs with the key are read. ``operator`` is the caller's own, of ``op`` custom.
    """

    op: str
    acc: type[DType]
    target: type[DType]
    scale: float = 1.0
    second: Buffer[Any] | None = None
    of_runs: Buffer[Any] | None = None
    stored: type[DType] | None = None
    operator: Operator | None = None

    def apply(
        self,
        x: Buffer[Any],
        extents: tuple[int, int, int],
        *,
        first: bool = True,
        last: bool = True,
    ) -> Buffer[Any]:
        """Return ``x``, seen as ``extents``, folded to (outer, 1, inner).

        ``first`` is false where ``x`` has been folded along another axis already. ``last`` is false
        where it will be; the result then has the accumulator's dtype.
        """
        outer, n, inner = extents
        parts = self._parts(x, n, inner)
        if parts > 1:
            wide = (outer, n // parts, parts * inner)
            x = self.apply(x, wide, first=first, last=False)
            n, first = parts, False
        while True:
            run = self.run_length(x, n, inner)
            x = self.fold_runs(x, (outer, n, inner), run, first=first, last=last, finish_rows=True)
            n, first = x.shape[1], False
            if n <= 1:
                return x

    def keys(
        self, x: Buffer[Any], extents: tuple[int, int, int]
    ) -> tuple[Buffer[Any], Buffer[Any] | None]:
        """Return the fold in its accumulator's dtype, and for long rows on a GPU that of runs."""
        outer, n, inner = extents
        run = self.run_length(x, n, inner)
        if inner > 1 or n <= run or not uses_workgroups(x.device):
            return self.apply(x, extents, last=False), None
        of_runs = self.fold_runs(x, extents, run, first=True, last=False)
        within = (outer, of_runs.shape[1], 1)
        return self.apply(of_runs, within, first=False, last=False), of_runs

    def _parts(self, x: Buffer[Any], n: int, inner: int) -> int:
        """Return the parts of a long axis to fold side by side first.

        There are several where neighbouring lanes would else read far apart.
        """
        placed = self.second is not None or self.op.startswith("where")
        beside = inner * (2 if x.dtype is c64 else 1)
        if placed or not uses_workgroups(x.device) or not 1 < beside < _NEAR or n < _NEAR:
            return 1
        return math.gcd(n, _NEAR)

    def run_length(self, x: Buffer[Any], n: int, inner: int) -> int:
        """Return the elements of a run of an axis of n."""
        if not uses_workgroups(x.device):
            return _CPU_RUN
        if self._takes_strips(x, n, inner * (2 if x.dtype is c64 else 1)):
            return _STRIP_LANES // _ACROSS * _STRIP_RUN
        if inner > 1 or n <= _SHORT_ROW:
            return _COLUMN_RUN
        itemsize = int(x.dtype.itemsize)
        return _LONG_ROW_RUN if n * itemsize >= _LONG_ROW else _ROW_BYTES // itemsize

    def fold_runs(
        self,
        x: Buffer[Any],
        extents: tuple[int, int, int],
        run: int,
        *,
        first: bool,
        last: bool,
        finish_rows: bool = False,
    ) -> Buffer[Any]:
        """Record one pass: (outer, chunks, inner), a number for each ``run`` elements of the axis.

        With ``finish_rows``, rows of few enough chunks are folded to the end: (outer, 1, 1).
        """
        outer, n, inner = extents
        chunks = max(1, ceil_div(n, run))
        paired = x.dtype is c64
        rows = inner == 1 and not paired and n > _SHORT_ROW and uses_workgroups(x.device)
        meets = finish_rows and rows and 1 < chunks <= _MOST_RUNS_OF_LAST_GROUP
        last = last and (chunks == 1 or meets)
        ends = self.stored or self.target
        target = c64 if paired else ends if last else self.acc
        y: Buffer[Any] = x.device.buffer(target, (outer, 1 if meets else chunks, inner))
        spec: dict[str, Value] = {
            "op": self.op,
            "combine": _COMBINE.get(self.op, ""),
            "kind": "parts" if paired else x.dtype.name,
            "acc": self.acc.name,
            "target": self.target.name,
            "stored": ends.name,
            "family": {"f": "float", "i": "signed", "u": "unsigned"}[self.target.name[0]],
            "first": first,
            "last": last,
            "second": first and self.second is not None,
            "of_runs": first and self.of_runs is not None,
            "meets": meets,
            "ragged": False,
            **(self.operator.spec() if self.operator else {}),
        }
        inner *= 2 if paired else 1
        sizes: dict[str, int | float] = {
            "outer": outer,
            "n": n,
            "inner": inner,
            "chunk": run,
            "chunks": chunks,
            "scale": self.scale,
        }
        given = [b for b in (self.second, self.of_runs) if first and b is not None]
        operands = [x, *given, y]
        if meets:
            operands.append(zeroed_words(x.device, outer * (1 + chunks)))
        if rows:
            self._launch_rows(spec, operands, sizes)
        elif self._takes_strips(x, n, inner):
            self._launch_columns(spec, operands, sizes)
        else:
            self._launch_runs(spec, operands, sizes)
        return y

    def _launch_rows(
        self, spec: dict[str, Value], operands: list[Any], sizes: dict[str, int | float]
    ) -> None:
        """Record a pass over rows, a workgroup or some of its lanes a row."""
        n, word = int(sizes["n"]), 16 // operands[0].dtype.itemsize
        device = operands[0].device
        aligned = n % word == 0 or sizes["outer"] == 1
        # A sum of floats has the order of words in any batch.
        ragged = not aligned and self.acc is f32
        quads = word // 4 if aligned or ragged else 1 if n % 4 == 0 else 0
        each = max(4, 4 * quads * _ROW_AHEAD)
        lanes = min(_ROWS_WORKGROUP, max(32, 1 << (n // each).bit_length() >> 1))
        subgroup = subgroup_lanes(device, "fold", _MOST_LANES)
        spec |= {"lanes": lanes, "quads": quads, "ahead": _ROW_AHEAD, "subgroup": subgroup}
        spec["ragged"] = ragged
        count = int(sizes["outer"] * sizes["chunks"])
        grid = flat_grid(count, _ROWS_WORKGROUP // lanes)
        launch = kernel(device, "arrays/fold_rows.wgsl", **spec)
        launch(*operands, {**sizes, "count": count}, grid=grid)

    def _takes_strips(self, x: Buffer[Any], n: int, inner: int) -> bool:
        """Tell whether long columns give enough strips of a workgroup each, on a GPU."""
        width = _word_width(x, inner)
        many = n >= _STRIP_LEAST and inner >= width * _ACROSS * _STRIPS
        large = x.device.limits["max_compute_invocations_per_workgroup"] >= _STRIP_LANES
        many |= forced_variant("fold") == "columns"
        return uses_workgroups(x.device) and width > 1 and many and large

    def _launch_columns(
        self, spec: dict[str, Value], operands: list[Any], sizes: dict[str, int | float]
    ) -> None:
        """Record a pass over strips of columns, a workgroup each."""
        inner = int(sizes["inner"])
        width = _word_width(operands[0], inner)
        spec |= {"width": width, "block": _BLOCK, "quads": max(1, width // 4)}
        spec |= {"ahead": _COLUMN_AHEAD, "lanes": _STRIP_LANES, "across": _ACROSS}
        strips = ceil_div(inner, width * _ACROSS)
        count = int(sizes["outer"] * sizes["chunks"]) * strips
        launch = kernel(operands[-1].device, "arrays/fold_columns.wgsl", **spec)
        launch(*operands, {**sizes, "count": count}, grid=flat_grid(count, 1))

    def _launch_runs(
        self, spec: dict[str, Value], operands: list[Any], sizes: dict[str, int | float]
    ) -> None:
        """Record a pass over runs, an invocation each."""
        inner = int(sizes["inner"])
        width = _word_width(operands[0], inner)
        ahead = uses_workgroups(operands[0].device) and width > 1
        spec |= {"width": width, "block": _BLOCK, "quads": max(1, width // 4)}
        spec["ahead"] = _COLUMN_AHEAD if ahead else 1
        count = int(sizes["outer"] * sizes["chunks"] * sizes["inner"]) // width
        launch = kernel(operands[-1].device, "arrays/fold_runs.wgsl", **spec)
        launch(*operands, {**sizes, "count": count}, grid=flat_grid(count, _WORKGROUP))


def _word_width(x: Buffer[Any], inner: int) -> int:
    """Return the elements of a word across columns: 16 bytes of them on a GPU, else 4 or 1."""
    word = 16 // x.dtype.itemsize
    if word > 4 and inner % word == 0 and uses_workgroups(x.device):
        return int(word)
    return 4 if inner % 4 == 0 else 1
