"""Matrix products of views, in place: the core of factorisations, solutions and BLAS 3."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from gpucore import Buffer, Device, Work, c64
from gpucore.integers import ceil_div
from gpustd.launch.elements import float_scalar
from gpustd.launch.grid import CORES, flat_grid
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant
from gpustd.linalg.views import Matrices, batch_uniform, view_uniform

__all__ = ["TILES", "BlockTile", "Conjugate", "matrix_scalar", "multiply_into"]

_PARTS = {"all": 0, "lower": 1, "upper": 2}
_MIRRORED = {"all": "all", "lower": "upper", "upper": "lower"}
_CELL_GROUP = 16
_WORKGROUP_BYTES = "max_compute_workgroup_storage_size"


@dataclass(frozen=True)
class BlockTile:
    """The results of a workgroup (bm, bn, slices of bk) and of an invocation (tm, tn).

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
        """Return how many workgroups cover (m, n)."""
        return ceil_div(m, self.bm) * ceil_div(n, self.bn)

    def cost(self, m: int, n: int, count: float) -> float:
        """Return the relative time of ``count`` products: waves of blocks times work of a block."""
        waves = math.ceil(self.blocks(m, n) * count / CORES)
        return waves * self.bm * self.bn / self.rate

    @property
    def nbytes(self) -> int:
        """Workgroup memory of real operands, in bytes."""
        return 4 * self.stages * self.bk * (self.bm + self.bn)


TILES = (
    BlockTile(128, 64, 16, 8, 8, stages=2, unroll=16),
    BlockTile(64, 64, 16, 8, 8, stages=1, unroll=16, rate=0.84),
    BlockTile(32, 32, 16, 4, 4, stages=1, unroll=16, rate=0.5),
)
COMPLEX_TILE = BlockTile(32, 64, 16, 4, 4, stages=1, unroll=8)


class Conjugate(NamedTuple):
    """Which operands of a product are conjugated."""

    a: bool = False
    b: bool = False


def matrix_scalar(op: str, *buffers: Buffer[Any]) -> str:
    """Return the one dtype of all buffers: ``f32``, ``f16`` or ``c64``. Raises `DTypeError`."""
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
    conjugate: Conjugate | None = None,
) -> None:
    """Record ``c = alpha a b + beta c`` over a batch, or only its ``lower`` or ``upper`` triangle.

    With ``beta`` of 0, ``c`` is not read. ``a`` and ``b`` may lie in the buffer of ``c`` where they
    do not overlap it. An element's sum runs over K in order, on every tile.
    """
    if not (c.rows and c.columns and all(batch)):
        return
    conjugate = conjugate or Conjugate()
    if c.column_step != 1 and c.row_step == 1:
        c, a, b = c.T, b.T, a.T
        part, conjugate = _MIRRORED[part], Conjugate(conjugate.b, conjugate.a)
    rank, sizes = batch_uniform(batch, {"a": a, "b": b, "c": c})
    spec: dict[str, Value] = {
        "scalar": matrix_scalar("multiply", a.buffer, b.buffer, c.buffer),
        "rank": rank,
        "a_in_c": a.buffer.storage is c.buffer.storage,
        "b_in_c": b.buffer.storage is c.buffer.storage,
        "conjugate_a": conjugate.a,
        "conjugate_b": conjugate.b,
    }
    numbers = {"alpha": complex(alpha), "beta": complex(beta)}
    params: dict[str, float] = {"m": c.rows, "n": c.columns, "k": a.columns}
    params |= {"part": _PARTS[part], **sizes}
    for name, number in numbers.items():
        params |= {name: number.real, f"{name}_im": number.imag}
    for name, view in (("a", a), ("b", b), ("c", c)):
        params |= view_uniform(name, view)
    _launch(c, a, b, spec, params)


def _launch(
    c: Matrices, a: Matrices, b: Matrices, spec: dict[str, Value], params: dict[str, float]
) -> None:
    """Record ``linalg/cells.wgsl`` or ``linalg/tiles.wgsl``."""
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
    tile = _best_tile(device, spec["scalar"] == "c64", c.rows, c.columns, count * share)
    spec |= {
        "ragged": a.columns == 0 or a.columns % tile.bk > 0,
        "a_quick": "i" if a.row_step == 1 else "k",
        "b_quick": "k" if b.row_step == 1 and b.column_step != 1 else "j",
        "vector": spec["scalar"] != "c64" and _fits_words(c, a, b),
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


def _best_tile(device: Device, is_complex: bool, m: int, n: int, count: float) -> BlockTile:
    """Return the tile that is likely the fastest; all give the same bits."""
    forced = forced_tile("multiply")
    if isinstance(forced, BlockTile):
        return forced
    if is_complex:
        return COMPLEX_TILE
    nbytes = device.limits[_WORKGROUP_BYTES]
    return min((t for t in TILES if t.nbytes <= nbytes), key=lambda t: t.cost(m, n, count))


def _fits_words(c: Matrices, a: Matrices, b: Matrices) -> bool:
    """Tell whether every operand may be read in words of four along its contiguous axis."""
    if c.column_step != 1 or c.columns % 4:
        return False
    for view in (c, a, b):
        extent, stride = (view.columns, view.row_step) if view.column_step == 1 else (0, 0)
        if view.column_step != 1:
            if view.row_step != 1:
                return False
            extent, stride = view.rows, view.column_step
        if any(n % 4 for n in (extent, stride, view.start, *view.steps)):
            return False
    return True
