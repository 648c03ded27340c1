"""Plans of transforms: the passes of a length, and the butterflies of a pass.

On a GPU a pass takes columns of up to some thousand numbers through workgroup memory. With 48 KiB,
lengths up to 16384 cost one reading and one writing of the array, and up to 2^22 two. Exchanged in
parts, numbers take less memory, so that more workgroups run at once. Where a multiprocessor runs
only one, parts are few. Passes and radices change bits, so they never depend on the number of rows.

A software renderer takes a pass for each butterfly. The structure is that of VkFFT (Tolmachev, IEEE
Access 11, 2023) and Govindaraju et al. (SC 2008).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace

from gpucore.integers import ceil_div
from gpustd.signal.fourier.factors import divisors, is_smooth, radix_products, split_factors
from gpustd.signal.fourier.workgroups import (
    COLUMNS,
    ROWS,
    Ends,
    Layout,
    Limits,
    Tile,
    bank_turns,
    choose_layout,
)

__all__ = [
    "column_tile",
    "max_columns",
    "pairs_mirror_images",
    "pass_lengths",
    "row_tile",
    "turning_tile",
]

_PER_LANE = 16
_RADICES = (*range(_PER_LANE, 1, -1),)
# A row of more butterflies than this has lanes that hold twice as many numbers.
_STAGES = 3
_MAX_PER_LANE = 2 * _PER_LANE
_WIDE_RADICES = (32, 27, 25, *_RADICES)
_CPU_RADICES = (13, 11, 7, 5, 3, 8, 4, 2)
_ROW_LANES = 256
_MAX_LANES = 1024
_COLUMN_LANES = 512
# Columns that a workgroup takes side by side, and parts in which it exchanges them: best first.
_GROUPS = ((32, 2), (16, 1), (16, 2), (8, 1), (16, 4), (8, 2), (8, 4), (4, 1), (4, 2), (4, 4))
# Workgroups that should share a multiprocessor, whose memory is hardly more than one workgroup may
# have. _BUSY numbers, held together, hide the latency of memory (by measurement).
_ROW_WORKGROUPS = 3
_COLUMN_WORKGROUPS = 2
_BUSY = 7700
# Rows shorter than this are transformed in workgroups of at most so many bytes, even where a card
# has more: on an H100 rows of 60 took 18 % less time, of 105 7 %; longer ones took up to 12 % more.
_SHORT, _SHORT_BYTES = 1024, 49152
# The shortest row that may have mirror images in one lane: a shorter one leaves too few lanes (by
# measurement). From the second length on, exchanging mirror images also rules out four parts.
_MIN_PAIRED = 512
_MIN_QUARTERED = 4096


@functools.cache
def pass_lengths(n: int, inner: int, limits: Limits, *, mirrored: bool = False) -> tuple[int, ...]:
    """Return the lengths of the passes of a transform of ``n``, which must be smooth (`is_smooth`).

    ``inner`` is the distance of its numbers. With ``mirrored``, the last pass needs the mirror
    image of each number.
    """
    if n <= 1:
        return (1,)
    if limits.is_cpu:
        return split_factors(n, _CPU_RADICES)
    tile = (
        row_tile(n, limits, mirrored=mirrored)
        if inner == 1
        else column_tile(n, limits, rows=False, quarters=False)
    )
    if n <= _PER_LANE or tile is not None:
        return (n,)
    return next(cut for count in range(2, 32) if (cut := _cut_length(n, count, limits)))


def _cut_length(n: int, count: int, limits: Limits) -> tuple[int, ...]:
    """Return ``n`` as a product of ``count`` lengths, as equal as possible; empty if none fits."""
    if count == 1:
        return (n,) if _fits_pass(n, limits) else ()
    root = round(n ** (1 / count))
    for length in sorted(divisors(n), key=lambda d: abs(math.log(d / root))):
        if length > 1 and _fits_pass(length, limits):
            rest = _cut_length(n // length, count - 1, limits)
            if rest:
                return tuple(sorted((length, *rest), reverse=True))
    return ()


def _fits_pass(length: int, limits: Limits) -> bool:
    """Tell whether any of several passes can have this length."""
    return length <= _PER_LANE or column_tile(length, limits, rows=True, quarters=False) is not None


@functools.cache
def row_tile(
    n: int,
    limits: Limits,
    max_group: int = _ROW_LANES,
    *,
    mirrored: bool = False,
    few: bool = False,
) -> Tile | None:
    """Return the tile of whole transforms of rows of ``n`` numbers; None where none fits.

    A workgroup takes at most ``max_group`` rows. With ``mirrored`` it needs each number's mirror
    image. With ``few``, each workgroup has a multiprocessor of its own.
    """
    best = _row_shape(n, mirrored=mirrored)
    if best is None or best.lanes > min(_MAX_LANES, limits.lanes):
        return None
    if n < _SHORT and not few:
        limits = replace(limits, memory=min(limits.memory, _SHORT_BYTES))
    size = _workgroup_bytes(best, choose_layout(n, best, ROWS))
    share = limits.memory // _ROW_WORKGROUPS
    rows = max(1, min(_ROW_LANES // best.lanes, share // size, max_group))
    group = 1 << (rows.bit_length() - 1)
    parts = _parts(n, best, quarters=not mirrored or pairs_mirror_images(n, best))
    tiles = [replace(best, group=group, parts=p) for p in parts]
    workgroups = 1 if few else _ROW_WORKGROUPS
    return _choose_busiest(n, tiles, limits, workgroups, ROWS)


@functools.cache
def column_tile(
    n: int,
    limits: Limits,
    max_group: int = 32,
    *,
    rows: bool,
    quarters: bool = True,
    few: bool = False,
) -> Tile | None:
    """Return the tile of columns of ``n`` numbers side by side; None where none fits.

    A workgroup takes at most ``max_group`` columns, but 4 if it can. With ``rows`` it writes rows.
    With ``quarters`` it may exchange 4 parts. ``few`` is that of `row_tile`.
    """
    best = _column_shape(n, _RADICES, _PER_LANE)
    if best is None:
        return None
    ends = Ends(reads_rows=False, writes_rows=rows)
    return _side_by_side(n, best, limits, max_group, ends, quarters=quarters, few=few)


@functools.cache
def turning_tile(
    n: int, limits: Limits, max_group: int = 32, *, mirrored: bool = False, few: bool = False
) -> Tile | None:
    """Return the tile that reads rows and writes columns; None where none fits.

    Arguments are those of `column_tile` and `row_tile`.
    """
    best = _column_shape(n, _RADICES, _PER_LANE, mirrored=mirrored)
    if best is None or len(best.radices) == 1:
        return None
    quarters = not mirrored or pairs_mirror_images(n, best)
    ends = Ends(reads_rows=True, writes_rows=False)
    return _side_by_side(n, best, limits, max_group, ends, quarters=quarters, few=few)


def _side_by_side(
    n: int,
    best: Tile,
    limits: Limits,
    max_group: int,
    ends: Ends,
    *,
    quarters: bool,
    few: bool,
) -> Tile | None:
    """Return the best tile of the shape ``best`` for columns side by side, if any fits."""
    widest = min(max(max_group, 4), min(_COLUMN_LANES, limits.lanes) // best.lanes)
    parts = _parts(n, best, quarters=quarters)
    tiles = [replace(best, group=g, parts=p) for g, p in _GROUPS if g <= widest and p in parts]
    workgroups = 1 if few else _COLUMN_WORKGROUPS
    return _choose_busiest(n, tiles, limits, workgroups, ends)


def _parts(n: int, tile: Tile, *, quarters: bool) -> tuple[int, ...]:
    """Return the numbers of parts in which a tile can exchange its numbers.

    Four parts need halves that hold whole butterflies of each stage.
    """
    first, *others = tile.radices
    halved = others and all(r % 2 == 0 for r in others) and n // 2 % first == 0
    return (1, 2, 4) if quarters and halved else (1, 2)


def _choose_busiest(
    n: int,
    tiles: Iterable[Tile],
    limits: Limits,
    workgroups: int,
    ends: Ends,
) -> Tile | None:
    """Return the first tile of which ``workgroups``, busy together, fit into a multiprocessor.

    Otherwise return the tile that comes nearest, or None where not even one workgroup fits. A
    workgroup alone cannot hide latency: of those that fit, the first exchanges in the fewest parts.
    """
    busy = _BUSY if workgroups > 1 else 1

    def fits(tile: Tile) -> tuple[int, int]:
        layout = choose_layout(n, tile, ends)
        at_once = limits.memory // _workgroup_bytes(tile, layout)
        return min(at_once, workgroups), min(
            at_once * tile.group * tile.lanes * tile.per_lane, busy
        )

    best = max(tiles, key=fits, default=None)
    return best if best is not None and fits(best) > (0, 0) else None


def _workgroup_bytes(tile: Tile, layout: Layout) -> int:
    """Return the workgroup memory that a tile takes."""
    return layout.slots * (8 if tile.parts == 1 else 4)


def max_columns(count: int, limits: Limits) -> int:
    """Return the most columns of a workgroup, of ``count``, that leave enough workgroups."""
    return 1 << max(0, (count // limits.workgroups).bit_length() - 1)


def _row_shape(n: int, *, mirrored: bool) -> Tile | None:
    """Return `_column_shape` of a row, whose lanes hold more numbers where butterflies are many."""
    plain = _column_shape(n, _RADICES, _PER_LANE)
    if plain is None or len(plain.radices) <= _STAGES:
        return _column_shape(n, _RADICES, _PER_LANE, mirrored=mirrored)
    return _column_shape(n, _WIDE_RADICES, _MAX_PER_LANE, mirrored=mirrored)


@functools.cache
def _column_shape(
    n: int, factors: tuple[int, ...], max_per_lane: int, *, mirrored: bool = False
) -> Tile | None:
    """Return radices and lanes of a column: few exchanges, few idle lanes, small butterflies."""
    if n > _MAX_LANES * _PER_LANE or not is_smooth(n):
        return None

    def cost(tile: Tile) -> tuple[float, int, int]:
        mirroring = (
            1 + (n >= _MIN_QUARTERED) if mirrored and not pairs_mirror_images(n, tile) else 0
        )
        return _lane_cost(n, tile) + mirroring, max(tile.radices), tile.per_lane

    tiles = list(_tiles(n, factors, max_per_lane))
    least = min(map(cost, tiles))
    equal = [tile for tile in tiles if cost(tile) == least]
    return min(equal, key=lambda t: (_row_turns(n, t), sum(t.radices)))


def pairs_mirror_images(n: int, tile: Tile) -> bool:
    """Tell whether lanes can hold the last butterflies in pairs, each other's mirror images."""
    butterflies, rest = divmod(n, tile.radices[-1] * tile.lanes)
    return n >= _MIN_PAIRED and rest == 0 and butterflies % 2 == 0


def _row_turns(n: int, tile: Tile) -> int:
    """Return `bank_turns` of a row in parts, which decides between radices of the same cost."""
    layout = Layout(1, int(tile.radices[0] % 2 == 0), n)
    return bank_turns(n, replace(tile, parts=2), layout, COLUMNS)


def _tiles(n: int, factors: Sequence[int], max_per_lane: int) -> Iterator[Tile]:
    """Yield tiles of radices from ``factors`` that hold up to ``max_per_lane`` numbers a lane."""
    for radices in radix_products(n, factors):
        for lanes in {ceil_div(n, r * k) for r in radices for k in range(1, max_per_lane // r + 1)}:
            per_lane = max(ceil_div(n, r * lanes) * r for r in radices)
            if per_lane <= max_per_lane:
                yield Tile(radices, lanes, per_lane)


def _lane_cost(n: int, tile: Tile) -> float:
    """Return the work of lanes over all stages, idle ones too, plus one for each exchange."""
    work = sum(ceil_div(n, r * tile.lanes) * r * tile.lanes for r in tile.radices)
    return work / n + len(tile.radices)
