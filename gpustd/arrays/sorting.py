"""Sorting along an axis: stable, NaN last in both directions.

A radix sort of keys (Knuth 5.2.5): a pass reads the keys twice and writes them once, four passes
for 32 bits on a GPU with subgroups; short rows are sorted in registers. ``axis`` None takes
the flattened array. All raise `ShapeError` for an axis that is not there, `DTypeError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpucore import ArgumentError, Buffer, Device, T, f32, i32, u32
from gpucore.integers import ceil_div
from gpustd.arrays.axes import axis_of, three_extents
from gpustd.arrays.creation import zeros
from gpustd.arrays.moving import transpose
from gpustd.arrays.operands import REALS, apply, common_dtype
from gpustd.arrays.row_sorts import longest_row, sorted_rows
from gpustd.arrays.scans import cumsum
from gpustd.launch.checks import require_buffers
from gpustd.launch.grid import flat_grid
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant

__all__ = ["argsort", "searchsorted", "sort"]

_DIRECT = ("f32", "i32", "u32")
_TILE = 4096
_LANES = 512
_MOST_GROUPS = 16
_PLAIN_TILE = 256
_MEMORY = "max_compute_workgroup_storage_size"


def sort(x: Buffer[T], axis: int | None = -1, *, descending: bool = False) -> Buffer[T]:
    """Elements along an axis in rising or falling order; -0 comes before 0 where it rises.

    >>> import numpy as np; from gpucore import Device; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array(np.array([[3, 1, 2], [9, 7, 8]], np.uint8))
    >>> arrays.sort(x, descending=True).read()
    array([[3, 2, 1],
           [9, 8, 7]], dtype=uint8)
    """
    kind = common_dtype("sort", [x], REALS).name
    rows, back = _as_rows("sort", x, axis)
    return back.of(_Radix(x.device, kind, places=False, descending=descending).over(rows))


def argsort(x: Buffer[Any], axis: int | None = -1, *, descending: bool = False) -> Buffer[i32]:
    """Places of the elements along an axis in rising or falling order, stable.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([30, 10, 20], i32)
    >>> print(arrays.argsort(x).read())
    [1 2 0]
    """
    kind = common_dtype("argsort", [x], REALS).name
    rows, back = _as_rows("argsort", x, axis)
    return back.of(_Radix(x.device, kind, places=True, descending=descending).over(rows))


def searchsorted(a: Buffer[T], v: Buffer[T], side: str = "left") -> Buffer[i32]:
    """Where each of ``v`` would go in ``a``, of one axis and in rising order: before its equals.

    ``side`` "right" goes behind them. Raises `ArgumentError` for another side.

    >>> from gpucore import Device, i32; from gpustd import arrays
    >>> x = Device.auto().buffer_from_array([1, 3, 5], i32)
    >>> v = x.device.buffer_from_array([3, 4], i32)
    >>> print(arrays.searchsorted(x, v).read())
    [1 2]
    """
    require_buffers("searchsorted", a, v)
    kind = common_dtype("searchsorted", [a, v], ("f32", "i32", "u32")).name
    if side not in ("left", "right") or len(a.shape) != 1:
        raise ArgumentError(f"searchsorted: side {side!r} of {a.shape}: left or right, one axis")
    y = v.device.buffer(i32, v.shape)
    spec: dict[str, Value] = {"kind": kind, "right": side == "right"}
    if not a.size:
        return zeros(v.device, v.shape, i32)
    launch = kernel(v.device, "arrays/search.wgsl", **spec)
    launch(a, v, y, {"count": v.size, "n": a.size}, grid=flat_grid(v.size, 64))
    return y


def _as_rows(op: str, x: Buffer[T], axis: int | None) -> tuple[Buffer[T], _Shape]:
    """``x`` as (rows, n) with the axis last, and how to come back."""
    flat = x.view((x.size,)) if axis is None else x
    along = axis_of(op, 0 if axis is None else axis, flat)
    outer, n, inner = three_extents(flat.shape, along, along)
    if inner != 1:
        turned = transpose(flat.view((outer, n, inner)), (0, 2, 1))
        return turned.view((outer * inner, n)), _Shape(flat.shape, (outer, inner, n))
    return flat.view((outer, n)), _Shape(flat.shape, None)


@dataclass(frozen=True)
class _Shape:
    """The shape of a result, and what its sorted rows are to be turned back from, if at all."""

    shape: tuple[int, ...]
    turned: tuple[int, int, int] | None

    def of(self, rows: Buffer[Any]) -> Buffer[Any]:
        """Sorted rows in that shape."""
        if self.turned is None:
            return rows.view(self.shape)
        return transpose(rows.view(self.turned), (0, 2, 1)).view(self.shape)


@dataclass(frozen=True)
class _Radix:
    """A sort of rows of numbers of a dtype; with ``places`` their places come out, else they."""

    device: Device
    kind: str
    places: bool
    descending: bool

    def over(self, x: Buffer[Any]) -> Buffer[Any]:
        """``x``, (rows, n), sorted; by keys of u32 where the kernels do not read the dtype."""
        n = x.shape[1]
        if not x.size:
            return self.device.buffer(i32 if self.places else x.dtype, x.shape)
        variant = forced_variant("sort") or self._variant(n)
        if self.kind in _DIRECT:
            return self._moved(x, variant, self.descending)
        if variant == "rows" and n % 4 == 0:
            return sorted_rows(x, places=self.places, descending=self.descending)
        down = "_down" if self.descending else ""
        key = f"key_places{down}" if self.places else f"key{down}"
        found = self._moved(apply(key, [x], [x.dtype], u32), variant, False)
        return found if self.places else apply(f"number{down}", [found], [u32], x.dtype)

    def _moved(self, x: Buffer[Any], variant: str, descending: bool) -> Buffer[Any]:
        """Numbers that the kernels read, or keys, in order."""
        if variant == "rows":
            return sorted_rows(x, places=self.places, descending=descending)
        bits, tile = self._sizes(variant)
        place: Buffer[Any] | None = None
        shifts = self._shifts(bits)
        for k, shift in enumerate(shifts):
            move = _Pass(self, variant, bits, tile, k == 0, k == len(shifts) - 1)
            x, place = move.run(x, place, shift)
        return place if place is not None else x

    def _variant(self, n: int) -> str:
        if self.device.is_cpu:
            return "plain"
        if n <= longest_row(self.device):
            return "rows"
        wide = self.device.limits.get(_MEMORY, 0) >= 32768
        return "subgroups" if wide and row_lanes(self.device) >= 16 else "plain"

    def _sizes(self, variant: str) -> tuple[int, int]:
        """Bits of a digit and keys of a tile; fewer of both can be asked for, for tests."""
        wanted = forced_tile("sort")
        if isinstance(wanted, tuple):
            return wanted
        return (8, _TILE) if variant == "subgroups" else (4, _PLAIN_TILE)

    def _shifts(self, bits: int) -> list[int]:
        """The digits in which keys of the dtype differ, from the lowest."""
        if self.kind in ("i8", "u8"):
            return [*range(0, 8, bits), *([32 - bits] if self.kind == "i8" else [])]
        lowest = (13 // bits * bits) if self.kind == "f16" else 0
        return list(range(lowest, 32, bits))

    def spec(self, first: bool, last: bool) -> dict[str, Value]:
        """What all kernels of a pass share: dtypes read and written."""
        plain = self.kind in _DIRECT
        goal = self.kind if plain else "key"
        return {
            "source": self.kind if first and plain else "key",
            "goal": "key" if not last else "none" if self.places else goal,
            "places": self.places,
            "descending": self.descending and plain,
        }


@dataclass(frozen=True)
class _Pass:
    """One digit of a radix sort."""

    sort: _Radix
    variant: str
    bits: int
    tile: int
    first: bool
    last: bool

    def run(
        self, x: Buffer[Any], place: Buffer[Any] | None, shift: int
    ) -> tuple[Buffer[Any], Buffer[Any] | None]:
        """Keys (the numbers themselves, last) and places, in the order of the digit."""
        device = self.sort.device
        rows, n = x.shape
        tiles = ceil_div(n, self.tile)
        digits = 2**self.bits
        sizes = {"n": n, "tiles": tiles, "count": rows * tiles, "shift": shift}
        spec = self.sort.spec(self.first, self.last) | {"bits": self.bits, "tile": self.tile}
        group = 64 if self.variant == "plain" else 1
        grid = flat_grid(rows * tiles, group)
        counts = device.buffer(u32, (rows, tiles, digits))
        count = kernel(device, "arrays/sort_count.wgsl", **spec, variant=self.variant)
        count(x, counts, sizes, grid=grid)
        before = self._before(counts)
        operands: list[Any] = [x, counts, before]
        if self.sort.places and place is not None:
            operands.append(place)
        keys, places = x, None
        if spec["goal"] != "none":
            keys = device.buffer(self._goal(x), x.shape)
            operands.append(keys)
        if self.sort.places:
            places = device.buffer(i32, x.shape)
            operands.append(places)
        spec |= {"first": self.first}
        if self.variant == "subgroups":
            lanes = row_lanes(device)
            most = device.limits["max_compute_invocations_per_workgroup"]
            workgroup = min(_LANES, most, _MOST_GROUPS * lanes, self.tile)
            spec |= {"lanes": lanes, "groups": workgroup // lanes, "workgroup": workgroup}
            spec["enable_subgroups"] = device.info.engine == "dawn"
        name = "subgroups" if self.variant == "subgroups" else "plain"
        move = kernel(device, f"arrays/sort_{name}.wgsl", **spec)
        move(*operands, sizes, grid=grid)
        return keys, places

    def _goal(self, x: Buffer[Any]) -> Any:
        """The dtype that the pass writes keys in: the numbers', last."""
        plain = self.sort.kind in _DIRECT
        named = {"f32": f32, "i32": i32, "u32": u32}
        return named[self.sort.kind] if self.last and plain else u32

    def _before(self, counts: Buffer[u32]) -> Buffer[Any]:
        """For each digit, how many have it in the tiles before."""
        rows, tiles, digits = counts.shape
        if self.variant == "plain":
            return cumsum(counts, 1, exclusive=True)
        before = counts.device.buffer(u32, counts.shape)
        sizes = {"tiles": tiles, "words": digits // 4, "count": rows * digits // 4}
        scan = kernel(counts.device, "arrays/sort_tiles.wgsl")
        scan(counts, before, sizes, grid=flat_grid(sizes["count"], 1))
        return before
