"""The work of a workgroup in one pass of a transform, and where its memory holds the numbers."""

from __future__ import annotations

import functools
from collections import Counter
from dataclasses import dataclass

__all__ = ["COLUMNS", "ROWS", "Ends", "Layout", "Limits", "Tile", "bank_turns", "choose_layout"]

_SUBGROUP = 32
_BANKS = 32


@dataclass(frozen=True)
class Limits:
    """The limits that plans depend on: bytes of memory and invocations of a workgroup.

    ``workgroups`` should run at once, where there is work for them. A CPU ignores all of these.
    """

    memory: int
    lanes: int
    workgroups: int
    is_cpu: bool


@dataclass(frozen=True)
class Tile:
    """The work of a workgroup in a pass.

    Attributes:
        radices: of its butterflies, in order.
        lanes: that share a column.
        per_lane: numbers that a lane holds.
        group: columns of a workgroup.
        parts: in which numbers are exchanged one after the other. They are 2 for real and imaginary
            parts, and 4 for those of the first and the second half.
    """

    radices: tuple[int, ...]
    lanes: int
    per_lane: int
    group: int = 1
    parts: int = 1


@dataclass(frozen=True)
class Ends:
    """Access of neighbouring lanes: along a row where true, else one number of each column."""

    reads_rows: bool
    writes_rows: bool

    @property
    def turn(self) -> bool:
        """True if a pass reads rows and writes columns, or the reverse."""
        return self.reads_rows != self.writes_rows


ROWS, COLUMNS = Ends(reads_rows=True, writes_rows=True), Ends(reads_rows=False, writes_rows=False)


@dataclass(frozen=True)
class Layout:
    """The place of number i of column c in workgroup memory: i pitch + i // pad skew + c.

    ``pad`` is the first radix. Where passes read and write rows, columns follow each other instead.
    ``slots`` hold a number of one part, else its real or its imaginary part.
    """

    pitch: int
    skew: int
    slots: int


@functools.cache
def choose_layout(n: int, tile: Tile, ends: Ends) -> Layout:
    """Return the layout with the fewest bank conflicts for its size."""
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
        turns = bank_turns(n, tile, layout, ends)
        return turns * layout.slots, layout.slots

    return min(layouts, key=cost)


def bank_turns(n: int, tile: Tile, layout: Layout, ends: Ends) -> int:
    """Count the turns that memory banks take for the first accesses of all exchanges."""
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
