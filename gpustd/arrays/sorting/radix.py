"""Sorting along an axis: stable, NaN last in both directions.

A radix sort of keys (Knuth 5.2.5). A pass reads the keys twice and writes them once; there are four
passes for 32 bits on a GPU with subgroups. Short rows are sorted in registers. ``axis`` None takes
the flattened array. All raise `ShapeError` for an axis that is not there, `DTypeError`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gpucore import (
    ArgumentError,
    Array,
    Buffer,
    Device,
    T,
    barrier,
    f32,
    i32,
    local_index,
    shared,
    static_range,
    u32,
    vec4u,
    workgroup_id,
)
from gpucore.integers import ceil_div
from gpustd.arrays.axes import axis_of, three_extents
from gpustd.arrays.creation import zeros
from gpustd.arrays.elementwise.operands import REALS, apply, common_dtype
from gpustd.arrays.folds.scans import cumsum
from gpustd.arrays.moving.transposing import transpose
from gpustd.arrays.sorting.row_sorts import longest_row, sort_rows
from gpustd.launch.checks import require_buffers
from gpustd.launch.grid import MOST_GROUPS, flat_grid
from gpustd.launch.plain_kernels import plain_kernel
from gpustd.launch.subgroups import row_lanes
from gpustd.launch.template import Value, kernel
from gpustd.launch.variants import forced_tile, forced_variant

__all__ = ["argsort", "searchsorted", "sort"]

# Dtypes that the kernels read without a key.
_DIRECT = ("f32", "i32", "u32")
_TILE = 4096
_LANES = 512
# Lanes of `sort_tiles`.
_SCAN_LANES = 256
_MOST_GROUPS = 16
_PLAIN_TILE = 256
_MEMORY = "max_compute_workgroup_storage_size"


def sort(x: Buffer[T], axis: int | None = -1, *, descending: bool = False) -> Buffer[T]:
    """Sort the elements along an axis in rising or falling order; -0 is less than 0.

    >>> x = device.buffer_from_array(np.array([[3, 1, 2], [9, 7, 8]], np.uint8))
    >>> arrays.sort(x, descending=True).read()
    array([[3, 2, 1],
           [9, 8, 7]], dtype=uint8)
    """
    kind = common_dtype("sort", [x], REALS).name
    rows, result = _as_rows("sort", x, axis)
    return result.view(_RadixSort(x.device, kind, places=False, descending=descending).sort(rows))


def argsort(x: Buffer[Any], axis: int | None = -1, *, descending: bool = False) -> Buffer[i32]:
    """Return the places of the elements along an axis in rising or falling order.

    >>> x = device.buffer_from_array([30, 10, 20], i32)
    >>> print(arrays.argsort(x).read())
    [1 2 0]
    """
    kind = common_dtype("argsort", [x], REALS).name
    rows, result = _as_rows("argsort", x, axis)
    return result.view(_RadixSort(x.device, kind, places=True, descending=descending).sort(rows))


def searchsorted(a: Buffer[T], v: Buffer[T], side: str = "left") -> Buffer[i32]:
    """Return the place of each of ``v`` in ``a``, which has one axis and rises: before its equals.

    With ``side`` "right" the place is after them. Raises `ArgumentError` for another side.

    >>> x = device.buffer_from_array([1, 3, 5], i32)
    >>> v = x.device.buffer_from_array([3, 4], i32)
    >>> print(arrays.searchsorted(x, v).read())
    [1 2]
    """
    require_buffers("searchsorted", a, v)
    kind = common_dtype("searchsorted", [a, v], ("f32", "i32", "u32")).name
    if side not in ("left", "right"):
        raise ArgumentError(f"searchsorted: side must be 'left' or 'right', got {side!r}")
    if len(a.shape) != 1:
        raise ArgumentError(f"searchsorted: a must have one axis, got {a.shape}")
    y = v.device.buffer(i32, v.shape)
    spec: dict[str, Value] = {"kind": kind, "right": side == "right"}
    if not a.size:
        return zeros(v.device, v.shape, i32)
    launch = kernel(v.device, "arrays/search.wgsl", **spec)
    launch(a, v, y, {"count": v.size, "n": a.size}, grid=flat_grid(v.size, 64))
    return y


def _as_rows(op: str, x: Buffer[T], axis: int | None) -> tuple[Buffer[T], _ResultShape]:
    """Return ``x`` as (rows, n) with the axis last, and the shape of the result."""
    flat = x.view((x.size,)) if axis is None else x
    along = axis_of(op, 0 if axis is None else axis, flat)
    outer, n, inner = three_extents(flat.shape, along, along)
    if inner != 1:
        turned = transpose(flat.view((outer, n, inner)), (0, 2, 1))
        return turned.view((outer * inner, n)), _ResultShape(flat.shape, (outer, inner, n))
    return flat.view((outer, n)), _ResultShape(flat.shape, None)


@dataclass(frozen=True)
class _ResultShape:
    """The shape of a result, and that of its rows where these are to be transposed back."""

    shape: tuple[int, ...]
    transposed: tuple[int, int, int] | None

    def view(self, rows: Buffer[Any]) -> Buffer[Any]:
        """Return sorted rows in the shape of the result."""
        if self.transposed is None:
            return rows.view(self.shape)
        return transpose(rows.view(self.transposed), (0, 2, 1)).view(self.shape)


@dataclass(frozen=True)
class _RadixSort:
    """A sort of rows of numbers of a dtype; with ``places`` the result is their places."""

    device: Device
    kind: str
    places: bool
    descending: bool

    def sort(self, x: Buffer[Any]) -> Buffer[Any]:
        """Sort ``x`` (rows, n), by u32 keys where the kernels do not read its dtype."""
        n = x.shape[1]
        if not x.size:
            return self.device.buffer(i32 if self.places else x.dtype, x.shape)
        variant = forced_variant("sort") or self._best_variant(n)
        if self.kind in _DIRECT:
            return self._sort_keys(x, variant, self.descending)
        if variant == "rows" and n % 4 == 0:
            return sort_rows(x, places=self.places, descending=self.descending)
        down = "_down" if self.descending else ""
        key = f"key_places{down}" if self.places else f"key{down}"
        found = self._sort_keys(apply(key, [x], [x.dtype], u32), variant, False)
        return found if self.places else apply(f"number{down}", [found], [u32], x.dtype)

    def _sort_keys(self, x: Buffer[Any], variant: str, descending: bool) -> Buffer[Any]:
        """Sort keys, or numbers that the kernels read as they are."""
        if variant == "rows":
            return sort_rows(x, places=self.places, descending=descending)
        bits, tile = self._digit(variant)
        place: Buffer[Any] | None = None
        shifts = self._shifts(bits)
        for k, shift in enumerate(shifts):
            move = _Pass(self, variant, bits, tile, k == 0, k == len(shifts) - 1)
            x, place = move.sort_digit(x, place, shift)
        return place if place is not None else x

    def _best_variant(self, n: int) -> str:
        """Return the fastest variant for rows of n elements."""
        if self.device.is_cpu:
            return "plain"
        if n <= longest_row(self.device):
            return "rows"
        wide = self.device.limits.get(_MEMORY, 0) >= 32768
        return "subgroups" if wide and row_lanes(self.device) >= 16 else "plain"

    def _digit(self, variant: str) -> tuple[int, int]:
        """Return the bits of a digit and the keys of a tile; tests may force fewer of both."""
        tile = forced_tile("sort")
        if isinstance(tile, tuple):
            return tile
        return (8, _TILE) if variant == "subgroups" else (4, _PLAIN_TILE)

    def _shifts(self, bits: int) -> list[int]:
        """Return the shifts of the digits in which keys of the dtype differ, lowest first."""
        if self.kind in ("i8", "u8"):
            return [*range(0, 8, bits), *([32 - bits] if self.kind == "i8" else [])]
        lowest = (13 // bits * bits) if self.kind == "f16" else 0
        return list(range(lowest, 32, bits))

    def spec(self, first: bool, last: bool) -> dict[str, Value]:
        """Return the template variables that all kernels of a pass share."""
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

    sort: _RadixSort
    variant: str
    bits: int
    tile: int
    first: bool
    last: bool

    def sort_digit(
        self, x: Buffer[Any], place: Buffer[Any] | None, shift: int
    ) -> tuple[Buffer[Any], Buffer[Any] | None]:
        """Return keys (in the last pass the numbers themselves) and places, sorted by the digit."""
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
        before = self._counts_before(counts)
        operands: list[Any] = [x, counts, before]
        if self.sort.places and place is not None:
            operands.append(place)
        keys, places = x, None
        if spec["goal"] != "none":
            keys = device.buffer(self._key_dtype(), x.shape)
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
        name = "subgroups" if self.variant == "subgroups" else "plain"
        move = kernel(device, f"arrays/sort_{name}.wgsl", **spec)
        move(*operands, sizes, grid=grid)
        return keys, places

    def _key_dtype(self) -> Any:
        """Return the dtype of the keys that the pass writes: in the last pass the numbers'."""
        plain = self.sort.kind in _DIRECT
        named = {"f32": f32, "i32": i32, "u32": u32}
        return named[self.sort.kind] if self.last and plain else u32

    def _counts_before(self, counts: Buffer[u32]) -> Buffer[Any]:
        """Return for each digit how many keys have it in the tiles before."""
        rows, tiles, digits = counts.shape
        if self.variant == "plain":
            return cumsum(counts, 1, exclusive=True)
        before = counts.device.buffer(u32, counts.shape)
        columns = rows * digits // 4
        sort_tiles[flat_grid(columns, 1)](counts, before, tiles, digits // 4, columns)
        return before


@plain_kernel(workgroup_size=_SCAN_LANES)
def sort_tiles(
    counts: Array[vec4u], before: Array[vec4u], tiles: u32, words: u32, columns: u32
) -> None:
    """Sum (row, tile, word) over the tiles before each: a workgroup a row and word of 4 digits.

    A lane sums neighbouring tiles, and the lanes' sums are scanned in 8 KiB of workgroup memory.
    """
    sums = shared(vec4u, 2 * _SCAN_LANES)
    lane = local_index
    i = workgroup_id.x + workgroup_id.y * MOST_GROUPS
    if i >= columns:
        return
    row = i // words
    start = row * tiles * words + i - row * words
    each = (tiles + _SCAN_LANES - 1) // _SCAN_LANES
    begin = min(lane * each, tiles)
    end = min(begin + each, tiles)
    own = vec4u(0, 0, 0, 0)
    for t in range(begin, end):
        own += counts[start + t * words]
    sums[lane] = own
    for k in static_range(8):
        barrier()
        side = _SCAN_LANES * (k % 2)
        total = sums[side + lane]
        if lane >= 1 << k:
            total += sums[side + lane - (1 << k)]
        sums[_SCAN_LANES - side + lane] = total
    barrier()
    following = sums[lane] - own
    for tile in range(begin, end):
        before[start + tile * words] = following
        following += counts[start + tile * words]
