"""Folding an axis of an (outer, n, inner) array by an associative operation, in passes.

A pass folds runs of the axis; the next folds what is left of it. How long runs are follows from n,
the dtype and the device alone, so that an element of the result does not depend on its neighbours.
Roundings that a pass adds to a sum, at most: along columns 34 (31 in a block, 3 between blocks);
along rows 45 (31 in f16 rows that words do not fit, else 16, in a lane, 2 in its word, 5 between
lanes, 7 between subgroups; 8 for a tree of all lanes); on CPUs 62 (31 in a block, 31 between). In
all, of n elements a sum errs by ``40 p 2^-24`` times the sum of sizes, with p = 1 + log128(n).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, Device, DType, c64, f32, i32, u32
from gpustd.grid import flat_grid
from gpustd.lanes import subgroup_lanes
from gpustd.rungs import wanted_rung
from gpustd.template import Value, kernel

__all__ = ["Fold", "accumulator", "takes_rows", "widened"]

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
# Of a run: on a GPU bytes of a row, 16 words of 16 for each of 256 lanes, or elements of a column
# that still leave many of them; on a CPU elements enough to pay for a lane.
_ROW_BYTES = 65536
_COLUMN_RUN = 128
_CPU_RUN = 1024
_SHORT_ROW = 16
# Elements side by side that fill the lines of memory which lanes read together.
_NEAR = 256
_WORKGROUP = 64
_ROWS_WORKGROUP = 256
# On a GPU, words that a lane reads before it uses one: of a row, of a column.
_ROW_AHEAD = 4
_COLUMN_AHEAD = 8
_MOST_LANES = 64


def accumulator(op: str, dtype: type[DType]) -> type[DType]:
    """The dtype in which ``op`` folds elements of ``dtype``."""
    if op in _KEYED or op in _FLAGS:
        return u32
    return widened(dtype)


def takes_rows(device: Device) -> bool:
    """Whether a workgroup takes a row, with barriers: on GPUs."""
    return not device.is_cpu or wanted_rung("fold") in ("rows", "subgroups")


def widened(dtype: type[DType]) -> type[DType]:
    """The 32-bit dtype in which numbers of ``dtype`` are computed with."""
    return {"f": f32, "c": f32, "i": i32, "u": u32}[dtype.name[0]]


@dataclass(frozen=True)
class Fold:
    """One fold: ``op``, the 32-bit dtypes it folds in and ends in.

    ``scale`` multiplies means at the end; ``second`` holds, for each (outer, inner), the mean whose
    distance is squared (``squares``) or the key that is sought (``where_max``,
    ``where_min``).
    """

    op: str
    acc: type[DType]
    target: type[DType]
    scale: float = 1.0
    second: Buffer[Any] | None = None

    def over(
        self,
        x: Buffer[Any],
        extents: tuple[int, int, int],
        *,
        first: bool = True,
        last: bool = True,
    ) -> Buffer[Any]:
        """``x`` seen as ``extents``, folded to (outer, 1, inner).

        ``first`` is false where ``x`` has been folded along another axis already, ``last`` where
        it will be; the result is then in the accumulator's dtype.
        """
        outer, n, inner = extents
        side = self._side_by_side(x, n, inner)
        if side > 1:
            wide = (outer, n // side, side * inner)
            x = self.over(x, wide, first=first, last=False)
            n, first = side, False
        begun = False
        while not begun or n > 1:
            run = self.run_of(x, n, inner)
            x = self.runs(x, (outer, n, inner), run, first=first, last=last)
            n = max(1, -(-n // run))
            first, begun = False, True
        return x

    def _side_by_side(self, x: Buffer[Any], n: int, inner: int) -> int:
        """Parts of a long axis to fold side by side first, where lanes would lie far apart."""
        placed = self.second is not None or self.op.startswith("where")
        beside = inner * (2 if x.dtype is c64 else 1)
        if placed or not takes_rows(x.device) or not 1 < beside < _NEAR or n < _NEAR:
            return 1
        return math.gcd(n, _NEAR)

    def run_of(self, x: Buffer[Any], n: int, inner: int) -> int:
        """Elements of a run of an axis of n."""
        if not takes_rows(x.device):
            return _CPU_RUN
        if inner > 1 or n <= _SHORT_ROW:
            return _COLUMN_RUN
        return _ROW_BYTES // int(x.dtype.itemsize)

    def runs(
        self,
        x: Buffer[Any],
        extents: tuple[int, int, int],
        run: int,
        *,
        first: bool,
        last: bool,
    ) -> Buffer[Any]:
        """One pass: (outer, chunks, inner), a number for each ``run`` elements of the axis."""
        outer, n, inner = extents
        chunks = max(1, -(-n // run))
        last = last and chunks == 1
        paired = x.dtype is c64
        target = c64 if paired else self.target if last else self.acc
        y: Buffer[Any] = x.device.buffer(target, (outer, chunks, inner))
        spec: dict[str, Value] = {
            "op": self.op,
            "combine": _COMBINE[self.op],
            "kind": "parts" if paired else x.dtype.name,
            "acc": self.acc.name,
            "target": self.target.name,
            "family": {"f": "float", "i": "signed", "u": "unsigned"}[self.target.name[0]],
            "first": first,
            "last": last,
            "second": first and self.second is not None,
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
        operands = [x, self.second, y] if first and self.second is not None else [x, y]
        if inner == 1 and n > _SHORT_ROW and takes_rows(x.device):
            self._launch_rows(spec, operands, sizes)
        else:
            self._launch_runs(spec, operands, sizes)
        return y

    def _launch_rows(
        self, spec: dict[str, Value], operands: list[Any], sizes: dict[str, int | float]
    ) -> None:
        n, word = int(sizes["n"]), 16 // operands[0].dtype.itemsize
        device = operands[-1].device
        whole = n % word == 0 or sizes["outer"] == 1
        quads = word // 4 if whole else 1 if n % 4 == 0 else 0
        each = max(4, 4 * quads * _ROW_AHEAD)
        lanes = min(_ROWS_WORKGROUP, max(32, 1 << (n // each).bit_length() >> 1))
        subgroup = subgroup_lanes(device, "fold", _MOST_LANES)
        spec |= {"lanes": lanes, "quads": quads, "ahead": _ROW_AHEAD, "subgroup": subgroup}
        spec["enable_subgroups"] = subgroup > 0 and device.info.engine == "dawn"
        count = int(sizes["outer"] * sizes["chunks"])
        grid = flat_grid(count, _ROWS_WORKGROUP // lanes)
        launch = kernel(device, "arrays/fold_rows.wgsl", **spec)
        launch(*operands, {**sizes, "count": count}, grid=grid)

    def _launch_runs(
        self, spec: dict[str, Value], operands: list[Any], sizes: dict[str, int | float]
    ) -> None:
        inner, word = int(sizes["inner"]), 16 // operands[0].dtype.itemsize
        width = 4 if inner % 4 == 0 else 1
        rows = takes_rows(operands[0].device)
        if word > 4 and inner % word == 0 and rows:
            width = word
        spec |= {"width": width, "block": _BLOCK, "quads": max(1, width // 4)}
        spec["ahead"] = _COLUMN_AHEAD if rows and width > 1 else 1
        count = int(sizes["outer"] * sizes["chunks"] * sizes["inner"]) // width
        launch = kernel(operands[-1].device, "arrays/fold_runs.wgsl", **spec)
        launch(*operands, {**sizes, "count": count}, grid=flat_grid(count, _WORKGROUP))
