"""Running sums, products and extremes along an axis.

On GPUs one launch reads every element once: tiles, and what the tiles before each come to, rows in
subgroups, where these have 32 lanes (arrays/scan_windows.wgsl), else behind a launch that zeroes
some bytes (arrays/scan_tree.wgsl); wide arrays along other axes in strips, one workgroup each
(arrays/scan_strips.wgsl). On software renderers, three passes: what each run comes to, those
scanned in turn, each run with what comes before it. Floats are summed in f32 (f16 too), in an order
that the extents of the axis and of those behind it fix: an element errs by at most
``130 p 2^-24`` of the sum of sizes up to it, with p <= 1 + log128(n); tiles by at most
``172 2^-24``, those in subgroups, for n of up to 2^29, by ``57 2^-24``: 31 roundings in a tile, 12
in a group, 14 behind; strips by ``104 2^-24``: 35 roundings in a step, 63 from step to step, 6 at
the end. Integers wrap in 32 bits.
``axis`` None takes the flattened array, as NumPy does. All raise `ShapeError` for an axis that is
not there, `DTypeError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, Device, DType, T, c64, i8, u8, u32
from gpucore.integers import ceil_div
from gpustd.arrays.axes import axis_of, three_extents
from gpustd.arrays.casting import cast
from gpustd.arrays.creation import zeros
from gpustd.arrays.folding import Fold, accumulator, widened
from gpustd.arrays.operands import ALL, REALS, common_dtype
from gpustd.arrays.scratch import clean_words
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import subgroup_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant

__all__ = ["cummax", "cummin", "cumprod", "cumsum"]

_RUN = 128
_SHORT_ROW = 256
_WORKGROUP = 64
# Of a tile: its lanes; elements of a row, with subgroups quads of a lane, of rows of one tile and
# of longer ones (more and only one workgroup fits a multiprocessor's registers); elements of a
# column for each lane, where as many words as _ACROSS are side by side and where fewer are.
_LANES = 256
_ROW_TILE = 4096
_QUADS = 4, 8, 16
_LONG_QUADS = 18
_ACROSS = 16
_COLUMN_TILE = 16
_NARROW_TILE = 8
_MOST_LANES = 32
# Lanes for each tile of a group that one looks at; groups whose tiles are looked at one by one.
_LANES_PER_LOOK = 4
_WINDOWS = 2
# Where as many strips of columns have a workgroup each, these walk down: words side by side,
# elements of a lane, most lanes, most steps, which add to a sum one after the other.
_STRIPS = 128
_STRIP_ACROSS = 16
_STRIP_ROWS = 4
_STRIP_LANES = 1024
_MOST_STEPS = 64
_COMBINE = {"sum": "add", "prod": "mul", "max": "max", "min": "max"}


def cumsum(x: Buffer[T], axis: int | None = None, *, exclusive: bool = False) -> Buffer[Any]:
    """Sums of all up to each element; ``exclusive`` leaves the element itself out, so 0 is first.

    Of i8 in i32, of u8 in u32, else in the dtype of ``x``.

    >>> x = device.buffer_from_array(np.array([3, 1, 4, 1], np.int32))
    >>> arrays.cumsum(x).read(), arrays.cumsum(x, exclusive=True).read()
    (array([3, 4, 8, 9], dtype=int32), array([0, 3, 4, 8], dtype=int32))
    """
    return _scanned("sum", x, axis, exclusive, ALL)


def cumprod(x: Buffer[T], axis: int | None = None, *, exclusive: bool = False) -> Buffer[Any]:
    """Products of all up to each element; ``exclusive`` leaves it out, so 1 is first.

    Of i8 in i32, of u8 in u32, else in the dtype of ``x``.

    >>> x = device.buffer_from_array([1, 2, 3, 4], i32)
    >>> print(arrays.cumprod(x).read())
    [ 1  2  6 24]
    """
    return _scanned("prod", x, axis, exclusive, REALS)


def cummax(x: Buffer[T], axis: int | None = None) -> Buffer[T]:
    """The largest so far, as ``numpy.maximum.accumulate``; NaN from a first one on.

    >>> x = device.buffer_from_array([1, 3, 2, 5], i32)
    >>> print(arrays.cummax(x).read())
    [1 3 3 5]
    """
    return _scanned("max", x, axis, False, REALS)


def cummin(x: Buffer[T], axis: int | None = None) -> Buffer[T]:
    """The least so far, as ``numpy.minimum.accumulate``; NaN from a first one on.

    >>> x = device.buffer_from_array([4, 3, 5, 1], i32)
    >>> print(arrays.cummin(x).read())
    [4 3 3 1]
    """
    return _scanned("min", x, axis, False, REALS)


def _scanned(
    op: str, x: Buffer[Any], axis: int | None, exclusive: bool, takes: tuple[str, ...]
) -> Buffer[Any]:
    name = f"cum{op}"
    common_dtype(name, [x], takes)
    flat = x.view((x.size,)) if axis is None else x
    along = 0 if axis is None else axis_of(name, axis, x)
    extents = three_extents(flat.shape, along, along)
    wide = op in ("sum", "prod") and x.dtype in (i8, u8)
    target = widened(x.dtype) if x.dtype in (i8, u8) else x.dtype
    scan = Scan(op, accumulator(op, x.dtype), target, exclusive)
    y = scan.over(flat, extents, first=True).view(flat.shape)
    return y if wide or target is x.dtype else cast(y, x.dtype)


@dataclass(frozen=True)
class Scan:
    """One scan: ``op``, the dtype it sums in, and that of the result."""

    op: str
    acc: type[DType]
    target: type[DType]
    exclusive: bool

    def over(self, x: Buffer[Any], extents: tuple[int, int, int], *, first: bool) -> Buffer[Any]:
        """``x`` seen as ``extents``, scanned along the middle axis."""
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
            operands.insert(1, self._before(x, extents, run, first=first))
        inner *= 2 if x.dtype is c64 else 1
        width = 4 if inner % 4 == 0 else 1
        spec = self.spec(x) | {"first": first, "many": chunks > 1, "width": width}
        sizes = {"n": n, "inner": inner, "chunk": run, "chunks": chunks}
        sizes["count"] = outer * chunks * inner // width
        launch = kernel(x.device, "arrays/scan_runs.wgsl", **spec)
        launch(*operands, sizes, grid=flat_grid(sizes["count"], _WORKGROUP))
        return y

    def spec(self, x: Buffer[Any]) -> dict[str, Value]:
        """What shapes every kernel that scans ``x``."""
        return {
            "op": self.op,
            "combine": _COMBINE[self.op],
            "kind": "parts" if x.dtype is c64 else x.dtype.name,
            "acc": self.acc.name,
            "target": self.target.name,
            "first": True,
            "exclusive": self.exclusive,
        }

    def _before(
        self, x: Buffer[Any], extents: tuple[int, int, int], run: int, *, first: bool
    ) -> Buffer[Any]:
        """What all runs before each come to, (outer, chunks, inner), in the accumulator's dtype."""
        outer, _, inner = extents
        fold = Fold(self.op, self.acc, self.acc)
        totals = fold.runs(x, extents, run, first=first, last=False)
        within = Scan(self.op, self.acc, self.acc, True)
        return within.over(totals, (outer, totals.shape[1], inner), first=False)


@dataclass(frozen=True)
class Tiles:
    """A scan in one launch: its kernel and uniforms, and how many u32 of it begin as zeros.

    A kernel that ``cleans`` leaves them as zeros.
    """

    name: str
    spec: dict[str, Value]
    sizes: dict[str, int]
    words: int
    cleans: bool = False

    @classmethod
    def of(cls, spec: dict[str, Value], x: Buffer[Any], extents: tuple[int, int, int]) -> Tiles:
        """Tiles of ``x`` seen as ``extents``: of rows where nothing lies behind the axis."""
        outer, n, inner = extents
        inner *= 2 if x.dtype is c64 else 1
        if inner == 1:
            return cls._of_rows(spec, x, extents)
        width = 4 if inner % 4 == 0 else 1
        beside = inner // width
        lanes = subgroup_lanes(x.device, "scan", _MOST_LANES)
        if lanes and width == 4 and _takes_strips(n, beside):
            return cls._of_strips(spec, x, (outer, n, beside), lanes)
        across = min(_ACROSS, 1 << (beside - 1).bit_length())
        rows = _COLUMN_TILE if across == _ACROSS else _NARROW_TILE
        spec = {**spec, "width": width, "rows": rows}
        tile = rows * _LANES // across
        name = "arrays/scan_columns.wgsl"
        return cls._cut(name, spec, (outer, n, beside), (tile, across, width, 3))

    @classmethod
    def _of_rows(
        cls, spec: dict[str, Value], x: Buffer[Any], extents: tuple[int, int, int]
    ) -> Tiles:
        """With subgroups, a short row is one tile, those of long ones leave a subgroup to look."""
        outer, n, _ = extents
        aligned = outer == 1 or n % (16 // x.dtype.itemsize) == 0
        spec = {**spec, "words": x.dtype.itemsize, "aligned": aligned}
        lanes = subgroup_lanes(x.device, "scan", _MOST_LANES)
        if not lanes:
            return cls._cut("arrays/scan_rows.wgsl", spec, extents, (_ROW_TILE, 1, 1, 5))
        most = _LANES // lanes
        alone = next((q for q in _QUADS if n <= 4 * q * _LANES), 0)
        in_word = 4 // int(x.dtype.itemsize)
        quads, groups = (alone, most) if alone else (_LONG_QUADS // in_word * in_word, most - 1)
        tiles = ceil_div(n, 4 * quads * lanes * groups)
        spec |= {"lanes": lanes, "quads": quads, "groups": groups, "many": tiles > 1}
        per_lane = max(1, lanes // _LANES_PER_LOOK)
        spec |= {"windows": _WINDOWS, "per_lane": per_lane}
        spec["enable_subgroups"] = x.device.info.engine == "dawn"
        sizes = {"n": n, "tiles": tiles, "count": outer * tiles}
        sizes["groups"] = ceil_div(tiles, per_lane * lanes)
        halves = 1 if spec["acc"] == "f32" else 2
        words = 1 + halves * outer * (tiles + sizes["groups"]) if tiles > 1 else 0
        return cls("arrays/scan_subgroups.wgsl", spec, sizes, words, cleans=True)

    @classmethod
    def _of_strips(
        cls, spec: dict[str, Value], x: Buffer[Any], extents: tuple[int, int, int], lanes: int
    ) -> Tiles:
        """One workgroup for each strip: no more lanes than there are elements."""
        outer, n, beside = extents
        across = min(_STRIP_ACROSS, lanes // 2)
        down = 1 << (ceil_div(n, _STRIP_ROWS) - 1).bit_length()
        most = min(_STRIP_LANES, x.device.limits["max_compute_invocations_per_workgroup"])
        workgroup = min(most, max(64, across * down))
        spec = {**spec, "lanes": lanes, "across": across, "rows": _STRIP_ROWS}
        spec |= {"workgroup": workgroup, "enable_subgroups": x.device.info.engine == "dawn"}
        count = outer * ceil_div(beside, across)
        sizes = {"n": n, "beside": beside, "count": count}
        return cls("arrays/scan_strips.wgsl", spec, sizes, 0)

    @classmethod
    def _cut(
        cls,
        name: str,
        spec: dict[str, Value],
        extents: tuple[int, int, int],
        cut: tuple[int, int, int, int],
    ) -> Tiles:
        """``cut``: elements and columns of a tile, numbers of a column, bits of a tree's digit."""
        outer, n, beside = extents
        length, across, width, bits = cut
        tiles = ceil_div(n, length)
        levels = [tiles]
        while tiles > 1 << bits * len(levels):
            levels.append(levels[-1] >> bits)
        count = outer * tiles * ceil_div(beside, across)
        sizes = {"n": n, "tiles": tiles, "levels": len(levels), "beside": beside, "count": count}
        if name == "arrays/scan_columns.wgsl":
            sizes["across"] = across
        nodes = outer * sum(levels) * 2 * width * beside
        return cls(name, {**spec, "many": tiles > 1}, sizes, 1 + nodes if tiles > 1 else 0)

    def launch(self, x: Buffer[Any], y: Buffer[Any]) -> None:
        """Record the scan of ``x`` into ``y``."""
        nodes = []
        if self.words:
            make = clean_words if self.cleans else _zeros
            nodes.append(make(x.device, self.words))
        grid = flat_grid(self.sizes["count"], 1)
        kernel(x.device, self.name, **self.spec)(x, y, *nodes, self.sizes, grid=grid)


def _zeros(device: Device, count: int) -> Buffer[u32]:
    return zeros(device, count, u32)


def _takes_strips(n: int, beside: int) -> bool:
    """Whether strips are many and not too long."""
    most = _MOST_STEPS * _STRIP_LANES // _STRIP_ACROSS * _STRIP_ROWS
    return n <= most and (beside >= _STRIPS * _STRIP_ACROSS or forced_tile("scan") == "strips")


def _takes_tiles(device: Device) -> bool:
    """Whether workgroups take tiles, with barriers: on GPUs."""
    return not device.is_cpu or forced_variant("scan") in ("tiles", "subgroups")
