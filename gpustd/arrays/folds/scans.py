"""Running sums, products and extremes along an axis.

On GPUs one launch reads every element once. It scans tiles, and adds the total of the tiles before
each. Rows do this with subgroups where these have 32 lanes (arrays/scan_windows.wgsl), else with a
tree in zeroed memory (arrays/scan_tree.wgsl). Wide arrays along other axes are scanned in strips,
one workgroup each (arrays/scan_strips.wgsl). Software renderers take three passes: totals of runs,
a scan of the totals, and a scan of each run that starts from the total before it.

Floats are summed in f32 (f16 too), in an order that follows from the extents of the axis and of
those behind it. An element errs by at most ``130 p 2^-24`` of the sum of sizes up to it, with
p <= 1 + log128(n). Tiles err by at most ``172 2^-24``; those with subgroups, for n up to 2^29, by
``57 2^-24``: 31 roundings in a tile, 12 in a group, 14 after it. Strips err by at most
``104 2^-24``: 35 roundings in a step, 63 from step to step, 6 at the end. Integers wrap in 32 bits.
``axis`` None takes the flattened array, as NumPy does. All raise `ShapeError` for an axis that is
not there, `DTypeError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from gpucore import Buffer, Device, DType, T, c64, i8, u8, u32
from gpucore.integers import ceil_div
from gpustd.arrays.axes import axis_of, three_extents
from gpustd.arrays.creation import zeros
from gpustd.arrays.elementwise.conversion import cast
from gpustd.arrays.elementwise.operands import ALL, REALS, common_dtype
from gpustd.arrays.folds.fold_passes import Fold, accumulator, wide_dtype
from gpustd.arrays.folds.operator import Operator
from gpustd.arrays.folds.scratch_words import zeroed_words
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import subgroup_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant

__all__ = ["cummax", "cummin", "cumprod", "cumsum"]

_RUN = 128
_SHORT_ROW = 256
_WORKGROUP = 64
# Lanes of a tile, and elements of a tile of a row without subgroups.
_LANES = 256
_ROW_TILE = 4096
# With subgroups, groups of four elements of a lane: in rows of one tile, and in longer rows (with
# more, only one workgroup fits a multiprocessor's registers).
_QUADS = 4, 8, 16
_LONG_QUADS = 18
# Words side by side of a tile of columns; elements of a column for each lane, where there are as
# many words and where there are fewer.
_ACROSS = 16
_COLUMN_TILE = 16
_NARROW_TILE = 8
_MOST_LANES = 32
# Lanes for each tile of a group that a lane looks up; groups whose tiles are looked up one by one.
_LANES_PER_LOOK = 4
_WINDOWS = 2
# From so many strips of columns on, each has a workgroup that moves down: words side by side,
# elements of a lane, most lanes, and most steps, which add to a sum one after the other.
_STRIPS = 128
_STRIP_ACROSS = 16
_STRIP_ROWS = 4
_STRIP_LANES = 1024
_MOST_STEPS = 64
_COMBINE = {"sum": "add", "prod": "mul", "max": "max", "min": "max"}


def cumsum(x: Buffer[T], axis: int | None = None, *, exclusive: bool = False) -> Buffer[Any]:
    """Return the sum of all elements up to each; ``exclusive`` leaves the element itself out.

    Sums of i8 are i32, of u8 u32, else of the dtype of ``x``. Exclusive sums begin with 0.

    >>> x = device.buffer_from_array(np.array([3, 1, 4, 1], np.int32))
    >>> arrays.cumsum(x).read(), arrays.cumsum(x, exclusive=True).read()
    (array([3, 4, 8, 9], dtype=int32), array([0, 3, 4, 8], dtype=int32))
    """
    return _scan("sum", x, axis, exclusive, ALL)


def cumprod(x: Buffer[T], axis: int | None = None, *, exclusive: bool = False) -> Buffer[Any]:
    """Return the product of all elements up to each; ``exclusive`` leaves the element itself out.

    Products of i8 are i32, of u8 u32, else of the dtype of ``x``. Exclusive products begin with 1.

    >>> x = device.buffer_from_array([1, 2, 3, 4], i32)
    >>> print(arrays.cumprod(x).read())
    [ 1  2  6 24]
    """
    return _scan("prod", x, axis, exclusive, REALS)


def cummax(x: Buffer[T], axis: int | None = None) -> Buffer[T]:
    """Return the largest so far, as ``numpy.maximum.accumulate``; NaN after a NaN.

    >>> x = device.buffer_from_array([1, 3, 2, 5], i32)
    >>> print(arrays.cummax(x).read())
    [1 3 3 5]
    """
    return _scan("max", x, axis, False, REALS)


def cummin(x: Buffer[T], axis: int | None = None) -> Buffer[T]:
    """Return the least so far, as ``numpy.minimum.accumulate``; NaN after a NaN.

    >>> x = device.buffer_from_array([4, 3, 5, 1], i32)
    >>> print(arrays.cummin(x).read())
    [4 3 3 1]
    """
    return _scan("min", x, axis, False, REALS)


def _scan(
    op: str, x: Buffer[Any], axis: int | None, exclusive: bool, dtypes: tuple[str, ...]
) -> Buffer[Any]:
    """Return the running fold ``op`` along an axis."""
    name = f"cum{op}"
    common_dtype(name, [x], dtypes)
    flat = x.view((x.size,)) if axis is None else x
    along = 0 if axis is None else axis_of(name, axis, x)
    extents = three_extents(flat.shape, along, along)
    wide = op in ("sum", "prod") and x.dtype in (i8, u8)
    target = wide_dtype(x.dtype) if x.dtype in (i8, u8) else x.dtype
    scan = Scan(op, accumulator(op, x.dtype), target, exclusive)
    y = scan.apply(flat, extents, first=True).view(flat.shape)
    return y if wide or target is x.dtype else cast(y, x.dtype)


@dataclass(frozen=True)
class Scan:
    """One scan: ``op``, the dtype it sums in, and that of the result.

    ``operator`` is the caller's own, of ``op`` custom.
    """

    op: str
    acc: type[DType]
    target: type[DType]
    exclusive: bool
    operator: Operator | None = None

    def apply(self, x: Buffer[Any], extents: tuple[int, int, int], *, first: bool) -> Buffer[Any]:
        """Return ``x``, seen as ``extents``, scanned along the middle axis."""
        outer, n, inner = extents
        y: Buffer[Any] = x.device.buffer(c64 if x.dtype is c64 else self.target, extents)
        if not y.size:
            return y
        tiled = _takes_tiles(x.device)
        if tiled and (inner > 1 or n > _SHORT_ROW or x.dtype is c64):
            Tiles.of(self.spec(x), x, extents).launch(x, y)
            return y
        run = n if tiled else _RUN
        chunks = ceil_div(n, run)
        operands: list[Any] = [x, y]
        if chunks > 1:
            operands.insert(1, self._totals_before(x, extents, run, first=first))
        inner *= 2 if x.dtype is c64 else 1
        width = 4 if inner % 4 == 0 else 1
        spec = self.spec(x) | {"first": first, "many": chunks > 1, "width": width}
        sizes = {"n": n, "inner": inner, "chunk": run, "chunks": chunks}
        sizes["count"] = outer * chunks * inner // width
        launch = kernel(x.device, "arrays/scan_runs.wgsl", **spec)
        launch(*operands, sizes, grid=flat_grid(sizes["count"], _WORKGROUP))
        return y

    def spec(self, x: Buffer[Any]) -> dict[str, Value]:
        """Return the template variables of every kernel that scans ``x``."""
        return {
            "op": self.op,
            "combine": _COMBINE.get(self.op, ""),
            "kind": "parts" if x.dtype is c64 else x.dtype.name,
            "acc": self.acc.name,
            "target": self.target.name,
            "first": True,
            "exclusive": self.exclusive,
            **(self.operator.spec() if self.operator else {}),
        }

    def _totals_before(
        self, x: Buffer[Any], extents: tuple[int, int, int], run: int, *, first: bool
    ) -> Buffer[Any]:
        """Return the totals of all runs before each, (outer, chunks, inner).

        They have the accumulator's dtype.
        """
        outer, _, inner = extents
        fold = Fold(self.op, self.acc, self.acc, operator=self.operator)
        totals = fold.fold_runs(x, extents, run, first=first, last=False)
        within = Scan(self.op, self.acc, self.acc, True, self.operator)
        return within.apply(totals, (outer, totals.shape[1], inner), first=False)


class _TreeTile(NamedTuple):
    """Elements and columns of a tile, elements of a word, and bits of a level of the tree."""

    length: int
    across: int
    width: int
    bits: int


@dataclass(frozen=True)
class Tiles:
    """A scan in one launch: its kernel, its uniforms, and how many zeroed u32 words it needs.

    A kernel that ``cleans`` writes zeros to them again.
    """

    name: str
    spec: dict[str, Value]
    sizes: dict[str, int]
    words: int
    cleans: bool = False

    @classmethod
    def of(cls, spec: dict[str, Value], x: Buffer[Any], extents: tuple[int, int, int]) -> Tiles:
        """Return the tiles of ``x``, seen as ``extents``: rows where the axis is the last."""
        outer, n, inner = extents
        inner *= 2 if x.dtype is c64 else 1
        if inner == 1:
            return cls._rows(spec, x, extents)
        width = 4 if inner % 4 == 0 else 1
        beside = inner // width
        lanes = subgroup_lanes(x.device, "scan", _MOST_LANES)
        if lanes and width == 4 and _takes_strips(n, beside):
            return cls._strips(spec, x, (outer, n, beside), lanes)
        across = min(_ACROSS, 1 << (beside - 1).bit_length())
        rows = _COLUMN_TILE if across == _ACROSS else _NARROW_TILE
        spec = {**spec, "width": width, "rows": rows}
        tile = rows * _LANES // across
        name = "arrays/scan_columns.wgsl"
        return cls._tree(name, spec, (outer, n, beside), _TreeTile(tile, across, width, 3))

    @classmethod
    def _rows(cls, spec: dict[str, Value], x: Buffer[Any], extents: tuple[int, int, int]) -> Tiles:
        """Return the tiles of rows.

        With subgroups, a short row is one tile. In longer rows, one subgroup of a tile looks up the
        tiles before it.
        """
        outer, n, _ = extents
        aligned = outer == 1 or n % (16 // x.dtype.itemsize) == 0
        spec = {**spec, "words": x.dtype.itemsize, "aligned": aligned}
        lanes = subgroup_lanes(x.device, "scan", _MOST_LANES)
        if not lanes:
            tile = _TreeTile(_ROW_TILE, 1, 1, 5)
            return cls._tree("arrays/scan_rows.wgsl", spec, extents, tile)
        most = _LANES // lanes
        quads, groups = next((q for q in _QUADS if n <= 4 * q * _LANES), 0), most
        if not quads:
            in_word = 4 // int(x.dtype.itemsize)
            quads, groups = _LONG_QUADS // in_word * in_word, most - 1
        tiles = ceil_div(n, 4 * quads * lanes * groups)
        spec |= {"lanes": lanes, "quads": quads, "groups": groups, "many": tiles > 1}
        per_lane = max(1, lanes // _LANES_PER_LOOK)
        spec |= {"windows": _WINDOWS, "per_lane": per_lane}
        sizes = {"n": n, "tiles": tiles, "count": outer * tiles}
        sizes["groups"] = ceil_div(tiles, per_lane * lanes)
        halves = 1 if spec["acc"] == "f32" else 2
        words = 1 + halves * outer * (tiles + sizes["groups"]) if tiles > 1 else 0
        return cls("arrays/scan_subgroups.wgsl", spec, sizes, words, cleans=True)

    @classmethod
    def _strips(
        cls, spec: dict[str, Value], x: Buffer[Any], extents: tuple[int, int, int], lanes: int
    ) -> Tiles:
        """Return the strips of columns: a workgroup each, of no more lanes than elements."""
        outer, n, beside = extents
        across = min(_STRIP_ACROSS, lanes // 2)
        down = 1 << (ceil_div(n, _STRIP_ROWS) - 1).bit_length()
        most = min(_STRIP_LANES, x.device.limits["max_compute_invocations_per_workgroup"])
        workgroup = min(most, max(64, across * down))
        spec = {**spec, "lanes": lanes, "across": across, "rows": _STRIP_ROWS}
        spec["workgroup"] = workgroup
        count = outer * ceil_div(beside, across)
        sizes = {"n": n, "beside": beside, "count": count}
        return cls("arrays/scan_strips.wgsl", spec, sizes, 0)

    @classmethod
    def _tree(
        cls, name: str, spec: dict[str, Value], extents: tuple[int, int, int], tile: _TreeTile
    ) -> Tiles:
        """Return tiles whose totals are the leaves of a tree in zeroed memory."""
        outer, n, beside = extents
        tiles = ceil_div(n, tile.length)
        levels = [tiles]
        while tiles > 1 << tile.bits * len(levels):
            levels.append(levels[-1] >> tile.bits)
        count = outer * tiles * ceil_div(beside, tile.across)
        sizes = {"n": n, "tiles": tiles, "levels": len(levels), "beside": beside, "count": count}
        if name == "arrays/scan_columns.wgsl":
            sizes["across"] = tile.across
        nodes = outer * sum(levels) * 2 * tile.width * beside
        return cls(name, {**spec, "many": tiles > 1}, sizes, 1 + nodes if tiles > 1 else 0)

    def launch(self, x: Buffer[Any], y: Buffer[Any]) -> None:
        """Record the scan of ``x`` into ``y``."""
        buffers = [x, y]
        if self.words and self.cleans:
            buffers.append(zeroed_words(x.device, self.words))
        elif self.words:
            buffers.append(zeros(x.device, self.words, u32))
        grid = flat_grid(self.sizes["count"], 1)
        kernel(x.device, self.name, **self.spec)(*buffers, self.sizes, grid=grid)


def _takes_strips(n: int, beside: int) -> bool:
    """Tell whether there are many strips, and none too long."""
    most = _MOST_STEPS * _STRIP_LANES // _STRIP_ACROSS * _STRIP_ROWS
    return n <= most and (beside >= _STRIPS * _STRIP_ACROSS or forced_tile("scan") == "strips")


def _takes_tiles(device: Device) -> bool:
    """Tell whether workgroups take tiles, with barriers: on GPUs."""
    return not device.is_cpu or forced_variant("scan") in ("tiles", "subgroups")
