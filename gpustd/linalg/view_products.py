"""Products of views, in place: what factorisations, solves and BLAS 3 are made of."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, Device, Work, c64
from gpucore.integers import ceil_div
from gpustd.launch.elements import float_scalar
from gpustd.launch.grid import CORES, flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant
from gpustd.linalg.views import Matrices, launch_batch, view_sizes

__all__ = ["TILES", "BlockTile", "multiply_into", "scalar_kind"]

_PARTS = {"all": 0, "lower": 1, "upper": 2}
_MIRRORED = {"all": "all", "lower": "upper", "upper": "lower"}
_CELL_GROUP = 16
_WORKGROUP_BYTES = "max_compute_workgroup_storage_size"


@dataclass(frozen=True)
class BlockTile:
    """Results of a workgroup (bm, bn, slices of bk) and of an invocation (tm, tn).

    ``rate`` is the speed of full waves relative to other tiles.
    """

    bm: int
    bn: int
    bk: int
    tm: int
    tn: int
    stages: int
    unroll: int
    rate: float = 1.0

    def blocks(self, m: int, n: int) -> int:
        """Workgroups that cover (m, n)."""
        return ceil_div(m, self.bm) * ceil_div(n, self.bn)

    def cost(self, m: int, n: int, count: float) -> float:
        """Relative time of ``count`` products: waves of blocks times work of a block."""
        waves = math.ceil(self.blocks(m, n) * count / CORES)
        return waves * self.bm * self.bn / self.rate

    @property
    def nbytes(self) -> int:
        """Workgroup memory of real operands."""
        return 4 * self.stages * self.bk * (self.bm + self.bn)


TILES = (
    BlockTile(128, 64, 16, 8, 8, stages=2, unroll=16),
    BlockTile(64, 64, 16, 8, 8, stages=1, unroll=16, rate=0.84),
    BlockTile(32, 32, 16, 4, 4, stages=1, unroll=16, rate=0.5),
)
COMPLEX_TILE = BlockTile(32, 64, 16, 4, 4, stages=1, unroll=8)


def scalar_kind(op: str, *buffers: Buffer[Any]) -> str:
    """``f32``, ``f16`` or ``c64``, the one dtype of all buffers. Raises `DTypeError`."""
    if all(b.dtype is c64 for b in buffers):
        return "c64"
    return float_scalar(op, *buffers)


def multiply_into(
    c: Matrices,
    a: Matrices,
    b: Matrices,
    batch: tuple[int, ...],
    *,
    alpha: complex = 1.0,
    beta: complex = 0.0,
    part: str = "all",
    conjugate: tuple[bool, bool] = (False, False),
) -> None:
    """Record ``c = alpha a b + beta c`` over a batch, or only the ``lower`` or ``upper`` triangle.

    With ``beta`` of 0, ``c`` is not read. ``a`` and ``b`` may lie in the buffer of ``c`` where they
    do not overlap it. An element's sum runs over K in order, on every tile.
    """
    if not (c.rows and c.columns and all(batch)):
        return
    if c.column_step != 1 and c.row_step == 1:
        c, a, b = c.T, b.T, a.T
        part, conjugate = _MIRRORED[part], (conjugate[1], conjugate[0])
    rank, sizes = launch_batch(batch, {"a": a, "b": b, "c": c})
    spec: dict[str, Value] = {
        "scalar": scalar_kind("multiply", a.buffer, b.buffer, c.buffer),
        "rank": rank,
        "a_in_c": a.buffer.storage is c.buffer.storage,
        "b_in_c": b.buffer.storage is c.buffer.storage,
        "conjugate_a": conjugate[0],
        "conjugate_b": conjugate[1],
    }
    numbers = {"alpha": complex(alpha), "beta": complex(beta)}
    params: dict[str, float] = {"m": c.rows, "n": c.columns, "k": a.columns}
    params |= {"part": _PARTS[part], **sizes}
    for name, number in numbers.items():
        params |= {name: number.real, f"{name}_im": number.imag}
    for name, view in (("a", a), ("b", b), ("c", c)):
        params |= view_sizes(name, view)
    _launch(c, a, b, spec, params)


def _launch(
    c: Matrices, a: Matrices, b: Matrices, spec: dict[str, Value], params: dict[str, float]
) -> None:
    device = c.buffer.device
    operands = [v.buffer for v, name in ((a, "a"), (b, "b")) if not spec[f"{name}_in_c"]]
    count = int(params["batch"])
    work = Work(2.0 * count * c.rows * c.columns * a.columns, 0)
    variant = forced_variant("multiply") or ("cells" if device.is_cpu else "tiles")
    if variant == "cells":
        cells = count * ceil_div(c.rows, 4) * ceil_div(c.columns, 4)
        launch = kernel(device, "linalg/cells.wgsl", **spec)
        launch(*operands, c.buffer, params, grid=flat_grid(cells, _CELL_GROUP), work=work)
        return
    share = 1.0 if params["part"] == _PARTS["all"] else 0.5
    tile = _best_variant(device, spec["scalar"] == "c64", c.rows, c.columns, count * share)
    spec |= {
        "ragged": a.columns == 0 or a.columns % tile.bk > 0,
        "a_quick": "i" if a.row_step == 1 else "k",
        "b_quick": "k" if b.row_step == 1 and b.column_step != 1 else "j",
        "vector": spec["scalar"] != "c64" and _are_words(c, a, b),
        "bm": tile.bm,
        "bn": tile.bn,
        "bk": tile.bk,
        "tm": tile.tm,
        "tn": tile.tn,
        "stages": tile.stages,
        "unroll": tile.unroll,
    }
    launch = kernel(device, "linalg/tiles.wgsl", **spec)
    grid = flat_grid(count * tile.blocks(c.rows, c.columns), 1)
    launch(*operands, c.buffer, params, grid=grid, work=work)


def _best_variant(device: Device, is_complex: bool, m: int, n: int, count: float) -> BlockTile:
    """The tile that is likely the quickest; all give the same bits."""
    wanted = forced_tile("multiply")
    if isinstance(wanted, BlockTile):
        return wanted
    if is_complex:
        return COMPLEX_TILE
    most = device.limits[_WORKGROUP_BYTES]
    return min((t for t in TILES if t.nbytes <= most), key=lambda t: t.cost(m, n, count))


def _are_words(c: Matrices, a: Matrices, b: Matrices) -> bool:
    """Tell whether every operand may be read in words of four along its quick axis."""
    if c.column_step != 1 or c.columns % 4:
        return False
    for view in (c, a, b):
        quick, slow = (view.columns, view.row_step) if view.column_step == 1 else (0, 0)
        if view.column_step != 1:
            if view.row_step != 1:
                return False
            quick, slow = view.rows, view.column_step
        if any(n % 4 for n in (quick, slow, view.start, *view.steps)):
            return False
    return True
