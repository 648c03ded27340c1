"""How a transform's length is cut: into passes over memory, and a pass into butterflies.

On a GPU a pass takes columns of up to some thousand numbers through workgroup memory: with 48 KiB,
lengths up to 16384 cost one reading and one writing of the array, and up to 2^22 two. Exchanged in
parts, numbers take less memory, so that more workgroups run at once; where a multiprocessor has but
one, parts are few. What changes bits, passes and radices, never depends on the number of rows.
A software renderer takes a pass for each butterfly.
The structure is that of VkFFT (Tolmachev, IEEE Access 11, 2023) and Govindaraju et al. (SC 2008).
"""

from __future__ import annotations

import functools
import math
from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace

from gpucore.integers import ceil_div

__all__ = [
    "COLUMNS",
    "ROWS",
    "Ends",
    "Layout",
    "Limits",
    "Tile",
    "column_tile",
    "folds",
    "is_smooth",
    "layout_of",
    "most_of",
    "passes",
    "row_tile",
    "smooth_above",
    "turning_tile",
]

LARGEST_PRIME = 13
_HELD = 16
_RADICES = (*range(_HELD, 1, -1),)
# Rows of more butterflies than these have lanes that hold twice as many numbers.
_STAGES = 3
_MOST_HELD = 2 * _HELD
_WIDE_RADICES = (32, 27, 25, *_RADICES)
_CPU_RADICES = (13, 11, 7, 5, 3, 8, 4, 2)
_ROW_LANES = 256
_MOST_LANES = 1024
_COLUMN_LANES = 512
# Columns that a workgroup takes side by side, and parts in which it exchanges them: best first.
_GROUPS = ((32, 2), (16, 1), (16, 2), (8, 1), (16, 4), (8, 2), (8, 4), (4, 1), (4, 2), (4, 4))
# Workgroups of a multiprocessor, whose memory is hardly more than one may have, and numbers that
# they hold together, which hide the latency of memory (by measurement).
_ROW_WORKGROUPS = 3
_COLUMN_WORKGROUPS = 2
_BUSY = 7700
# Rows from here on may have mirror images in one lane: of shorter ones too few lanes are left (by
# measurement). From the second on, having to exchange them costs four parts, too.
_LEAST_FOLDED = 512
_LEAST_QUARTERED = 4096
_SUBGROUP = 32
_BANKS = 32
_PRIMES = (2, 3, 5, 7, 11, 13)


@dataclass(frozen=True)
class Limits:
    """What plans depend on: bytes of memory and invocations that a workgroup may have.

    ``workgroups`` should run at once, where there is work for as many. None of it counts on a CPU.
    """

    memory: int
    lanes: int
    workgroups: int
    is_cpu: bool


@dataclass(frozen=True)
class Tile:
    """How a workgroup runs a pass.

    Attributes:
        radices: of its butterflies, in order; lanes: that share a column; held: numbers that a
        lane holds; group: columns of a workgroup; parts: in which numbers are exchanged one after
        the other: 2 for real and imaginary parts, 4 for those of the first and the second half.
    """

    radices: tuple[int, ...]
    lanes: int
    held: int
    group: int = 1
    parts: int = 1


@dataclass(frozen=True)
class Ends:
    """Whether neighbouring lanes read, and write, numbers of one row, or a number of each."""

    reads_rows: bool
    writes_rows: bool

    @property
    def turn(self) -> bool:
        return self.reads_rows != self.writes_rows


ROWS, COLUMNS = Ends(reads_rows=True, writes_rows=True), Ends(reads_rows=False, writes_rows=False)


@dataclass(frozen=True)
class Layout:
    """Where columns lie in workgroup memory: number i of column c at i pitch + i // pad skew + c.

    ``pad`` is the first radix; where passes read and write rows, columns follow each other
    instead. ``slots`` hold a number of one part, else its real or its imaginary part.
    """

    pitch: int
    skew: int
    slots: int


def is_smooth(n: int) -> bool:
    """Whether no prime factor of ``n`` is above 13."""
    return _rest(n, _PRIMES) == 1


def _rest(n: int, primes: tuple[int, ...]) -> int:
    """``n`` less all of these factors."""
    for p in primes:
        while n % p == 0:
            n //= p
    return n


def smooth_above(n: int, primes: tuple[int, ...]) -> int:
    """Least number from ``n`` on that these primes, 2 among them, divide without a rest."""
    best = 1 << max(n - 1, 0).bit_length()
    stack = [1]
    odd = [p for p in primes if p != 2]
    seen = {1}
    while stack:
        product = stack.pop()
        best = min(best, product << max(ceil_div(n, product) - 1, 0).bit_length())
        for p in odd:
            if product * p < best and product * p not in seen:
                seen.add(product * p)
                stack.append(product * p)
    return best


@functools.cache
def passes(n: int, inner: int, limits: Limits, *, mirrored: bool = False) -> tuple[int, ...]:
    """Lengths of the passes of a transform of ``n``, of which `is_smooth` holds.

    ``inner`` is the distance of its numbers. ``mirrored`` if the last pass needs the mirror image
    of each number.
    """
    if n <= 1:
        return (1,)
    if limits.is_cpu:
        return _factors(n, _CPU_RADICES)
    tile = (
        row_tile(n, limits, mirrored=mirrored)
        if inner == 1
        else column_tile(n, limits, rows=False, quarters=False)
    )
    if n <= _HELD or tile is not None:
        return (n,)
    return next(cut for count in range(2, 32) if (cut := _cut(n, count, limits)))


def _factors(n: int, radices: tuple[int, ...]) -> tuple[int, ...]:
    found = []
    for radix in radices:
        while n % radix == 0:
            found.append(radix)
            n //= radix
    return tuple(found)


def _cut(n: int, count: int, limits: Limits) -> tuple[int, ...]:
    """``n`` as a product of ``count`` lengths as equal as can be; empty where there is none."""
    if count == 1:
        return (n,) if _fits(n, limits) else ()
    root = round(n ** (1 / count))
    for length in sorted(_divisors(n), key=lambda d: abs(math.log(d / root))):
        if length > 1 and _fits(length, limits):
            rest = _cut(n // length, count - 1, limits)
            if rest:
                return tuple(sorted((length, *rest), reverse=True))
    return ()


def _fits(length: int, limits: Limits) -> bool:
    """Whether any of several passes can have this length."""
    return length <= _HELD or column_tile(length, limits, rows=True, quarters=False) is not None


def _divisors(n: int) -> Iterator[int]:
    for d in range(1, math.isqrt(n) + 1):
        if n % d == 0:
            yield d
            if d * d != n:
                yield n // d


@functools.cache
def row_tile(
    n: int,
    limits: Limits,
    most: int = _ROW_LANES,
    *,
    mirrored: bool = False,
    few: bool = False,
) -> Tile | None:
    """How workgroups run whole transforms of rows of ``n`` numbers; None where they cannot.

    A workgroup takes ``most`` rows at most. ``mirrored`` if it needs each number's mirror image,
    ``few`` if workgroups have multiprocessors of their own.
    """
    best = _row_shape(n, mirrored=mirrored)
    if best is None or best.lanes > min(_MOST_LANES, limits.lanes):
        return None
    size = _bytes(best, layout_of(n, best, ROWS))
    share = limits.memory // _ROW_WORKGROUPS
    rows = max(1, min(_ROW_LANES // best.lanes, share // size, most))
    group = 1 << (rows.bit_length() - 1)
    parts = _parts(n, best, quarters=not mirrored or folds(n, best))
    tiles = [replace(best, group=group, parts=p) for p in parts]
    wanted = 1 if few else _ROW_WORKGROUPS
    return _busiest(n, tiles, limits, wanted, ROWS)


@functools.cache
def column_tile(
    n: int,
    limits: Limits,
    most: int = 32,
    *,
    rows: bool,
    quarters: bool = True,
    few: bool = False,
) -> Tile | None:
    """How workgroups run columns of ``n`` numbers side by side; ``rows`` if they write rows.

    A workgroup takes ``most`` columns at most, but 4 if it can. ``quarters`` if it may exchange 4
    parts, ``few`` as of `row_tile`.
    """
    best = _shape(n, _RADICES, _HELD)
    if best is None:
        return None
    ends = Ends(reads_rows=False, writes_rows=rows)
    return _side_by_side(n, best, limits, most, ends, quarters=quarters, few=few)


@functools.cache
def turning_tile(
    n: int, limits: Limits, most: int = 32, *, mirrored: bool = False, few: bool = False
) -> Tile | None:
    """How workgroups read rows and write columns; as `column_tile` and `row_tile`."""
    best = _shape(n, _RADICES, _HELD, mirrored=mirrored)
    if best is None or len(best.radices) == 1:
        return None
    quarters = not mirrored or folds(n, best)
    ends = Ends(reads_rows=True, writes_rows=False)
    return _side_by_side(n, best, limits, most, ends, quarters=quarters, few=few)


def _side_by_side(
    n: int,
    best: Tile,
    limits: Limits,
    most: int,
    ends: Ends,
    *,
    quarters: bool,
    few: bool,
) -> Tile | None:
    widest = min(max(most, 4), min(_COLUMN_LANES, limits.lanes) // best.lanes)
    parts = _parts(n, best, quarters=quarters)
    tiles = [replace(best, group=g, parts=p) for g, p in _GROUPS if g <= widest and p in parts]
    wanted = 1 if few else _COLUMN_WORKGROUPS
    return _busiest(n, tiles, limits, wanted, ends)


def _parts(n: int, tile: Tile, *, quarters: bool) -> tuple[int, ...]:
    """Parts in which numbers can be exchanged: halves must hold whole butterflies of each stage."""
    first, *others = tile.radices
    halved = others and all(r % 2 == 0 for r in others) and n // 2 % first == 0
    return (1, 2, 4) if quarters and halved else (1, 2)


def _busiest(
    n: int,
    tiles: Iterable[Tile],
    limits: Limits,
    workgroups: int,
    ends: Ends,
) -> Tile | None:
    """The first of the tiles of which ``workgroups``, busy together, fit into a multiprocessor.

    Else the one that comes nearest; None where not even one workgroup fits. One alone has nothing
    to be busy for: the first that fits exchanges in the fewest parts.
    """
    busy = _BUSY if workgroups > 1 else 1

    def fits(tile: Tile) -> tuple[int, int]:
        layout = layout_of(n, tile, ends)
        at_once = limits.memory // _bytes(tile, layout)
        return min(at_once, workgroups), min(at_once * tile.group * tile.lanes * tile.held, busy)

    best = max(tiles, key=fits, default=None)
    return best if best is not None and fits(best) > (0, 0) else None


def _bytes(tile: Tile, layout: Layout) -> int:
    """Workgroup memory that a tile takes."""
    return layout.slots * (8 if tile.parts == 1 else 4)


def most_of(count: int, limits: Limits) -> int:
    """Columns that a workgroup may take of ``count`` so that there are enough workgroups."""
    return 1 << max(0, (count // limits.workgroups).bit_length() - 1)


@functools.cache
def layout_of(n: int, tile: Tile, ends: Ends) -> Layout:
    """The layout that meets the fewest banks twice, for its size."""
    first, group = tile.radices[0], tile.group
    size = n // 2 if tile.parts == 4 else n
    even = first % 2 == 0
    if ends == ROWS:
        return Layout(1, int(even), group * (size + size // first * even))
    layouts = [
        Layout(pitch, skew, size * pitch + size // first * skew)
        for pitch in range(group, group + 3 if ends.turn else group + 1)
        for skew in (range(_BANKS // 2 + 1) if even else (0,))
    ]

    def cost(layout: Layout) -> tuple[int, int]:
        turns = _bank_turns(n, tile, layout, ends)
        return turns * layout.slots, layout.slots

    return min(layouts, key=cost)


def _bank_turns(n: int, tile: Tile, layout: Layout, ends: Ends) -> int:
    """Turns that the banks take for the first accesses of an exchange, of all exchanges."""
    first, at_once = tile.radices[0], _SUBGROUP if tile.parts > 1 else _SUBGROUP // 2
    threads = range(min(4 * _SUBGROUP, tile.lanes * tile.group))

    def slot(column: int, i: int) -> int:
        return i * layout.pitch + i // first * layout.skew + column

    def side(t: int, *, rows: bool) -> tuple[int, int]:
        return (t // tile.lanes, t % tile.lanes) if rows else (t % tile.group, t // tile.group)

    done, total = 1, 0
    for stage, radix in enumerate(tile.radices[:-1]):
        last = stage + 2 == len(tile.radices)
        stored, fetched = [], []
        for t in threads:
            column, k = side(t, rows=ends.reads_rows)
            stored.append(slot(column, (k - k % done) * radix + k % done))
            column, k = side(t, rows=ends.writes_rows if last else ends.reads_rows)
            fetched.append(slot(column, k))
        for slots in (stored, fetched):
            for start in range(0, len(slots), at_once):
                met = Counter(s % at_once for s in set(slots[start : start + at_once]))
                total += max(met.values())
        done *= radix
    return total


def _row_shape(n: int, *, mirrored: bool) -> Tile | None:
    """`_shape` of a row, whose lanes hold more numbers where butterflies would be many."""
    plain = _shape(n, _RADICES, _HELD)
    if plain is None or len(plain.radices) <= _STAGES:
        return _shape(n, _RADICES, _HELD, mirrored=mirrored)
    return _shape(n, _WIDE_RADICES, _MOST_HELD, mirrored=mirrored)


@functools.cache
def _shape(n: int, factors: tuple[int, ...], most: int, *, mirrored: bool = False) -> Tile | None:
    """Butterflies and lanes for a column: few exchanges, few lanes idle, then small butterflies."""
    if n > _MOST_LANES * _HELD or not is_smooth(n):
        return None

    def cost(tile: Tile) -> tuple[float, int, int]:
        mirroring = 1 + (n >= _LEAST_QUARTERED) if mirrored and not folds(n, tile) else 0
        return _cost(n, tile) + mirroring, max(tile.radices), tile.held

    tiles = list(_tiles(n, factors, most))
    least = min(map(cost, tiles))
    equal = [tile for tile in tiles if cost(tile) == least]
    return min(equal, key=lambda t: (_row_turns(n, t), sum(t.radices)))


def folds(n: int, tile: Tile) -> bool:
    """Whether lanes can hold the last butterflies in pairs, each other's mirror images."""
    butterflies, rest = divmod(n, tile.radices[-1] * tile.lanes)
    return n >= _LEAST_FOLDED and rest == 0 and butterflies % 2 == 0


def _row_turns(n: int, tile: Tile) -> int:
    """`_bank_turns` of a row in parts, which tells apart radices that cost the same otherwise."""
    layout = Layout(1, int(tile.radices[0] % 2 == 0), n)
    return _bank_turns(n, replace(tile, parts=2), layout, COLUMNS)


def _products(n: int, factors: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Radices of these that multiply to ``n``, largest first."""
    if n == 1:
        yield ()
    for i, radix in enumerate(factors):
        if n % radix == 0:
            for rest in _products(n // radix, factors[i:]):
                yield (radix, *rest)


def _tiles(n: int, factors: Sequence[int], most: int) -> Iterator[Tile]:
    """Tiles with these radices, of which a lane holds ``most`` numbers at most."""
    for radices in _products(n, factors):
        for lanes in {ceil_div(n, r * k) for r in radices for k in range(1, most // r + 1)}:
            held = max(ceil_div(n, r * lanes) * r for r in radices)
            if held <= most:
                yield Tile(radices, lanes, held)


def _cost(n: int, tile: Tile) -> float:
    """Numbers' worth of lanes over the stages, idle ones too, and as much for each exchange."""
    work = sum(ceil_div(n, r * tile.lanes) * r * tile.lanes for r in tile.radices)
    return work / n + len(tile.radices)
