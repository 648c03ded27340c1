"""Plans: every length is cut into passes that the device's workgroups can run."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import replace

import pytest

from gpustd.signal.fourier.factors import is_smooth, next_smooth
from gpustd.signal.fourier.plan import (
    column_tile,
    max_columns,
    pairs_mirror_images,
    pass_lengths,
    row_tile,
    turning_tile,
)
from gpustd.signal.fourier.workgroups import ROWS, Ends, Layout, Limits, Tile, choose_layout

# Cases are lengths and tiles.
pytestmark = pytest.mark.sampled

# The least that WebGPU grants, a common desktop card, a large one.
DEVICES = [
    Limits(16384, 256, 256, False),
    Limits(32768, 1024, 256, False),
    Limits(49152, 1024, 256, False),
]
LENGTHS = [*(n for n in range(1, 700) if is_smooth(n)), 4096, 8192, 2**14, 2**20, 2**24, 3**13]
LENGTHS += [10**6, 44100, 13**5, 2 * 3 * 5 * 7 * 11 * 13]


def slots_of(n: int, tile: Tile, layout: Layout, *, rows: bool) -> list[list[int]]:
    """Return the slots of each column's numbers, as `Layout` says; with halves, of the first."""
    size = n // 2 if tile.parts == 4 else n
    pad = tile.radices[0] if tile.radices[0] % 2 == 0 else n
    apart = layout.slots // tile.group if rows else 1
    return [
        [c * apart + i * layout.pitch + i // pad * layout.skew for i in range(size)]
        for c in range(tile.group)
    ]


def check(tile: Tile | None, n: int, limits: Limits, *, reads: bool, writes: bool) -> None:
    """Check that radices make the length, lanes hold it, and the workgroup is within its limits.

    No two numbers share a slot, and halves hold whole butterflies. ``reads`` and ``writes`` say
    that the pass does so by rows.
    """
    assert tile is not None
    assert math.prod(tile.radices) == n
    assert max(-(-n // (r * tile.lanes)) * r for r in tile.radices) == tile.per_lane <= 32
    assert tile.lanes * tile.group <= limits.lanes
    layout = choose_layout(n, tile, Ends(reads, writes))
    assert layout.slots * (8 if tile.parts == 1 else 4) <= limits.memory
    found = [s for column in slots_of(n, tile, layout, rows=reads and writes) for s in column]
    assert len(set(found)) == len(found)
    assert max(found) < layout.slots
    if tile.parts == 4:
        assert all(r % 2 == 0 for r in tile.radices[1:])


@pytest.mark.parametrize("limits", DEVICES, ids=lambda limits: str(limits.memory))
@pytest.mark.parametrize("inner", [1, 5])
def test_every_length_is_cut(limits: Limits, inner: int) -> None:
    for n in LENGTHS:
        cut = pass_lengths(n, inner, limits)
        assert math.prod(cut) == n
        for i, length in enumerate(cut):
            if length <= 16:
                continue
            if len(cut) == inner == 1:
                check(row_tile(length, limits), length, limits, reads=True, writes=True)
                continue
            rows = i == 0 and inner == 1
            for most in (1, 16):
                tile = column_tile(length, limits, most, rows=rows)
                check(tile, length, limits, reads=False, writes=rows)


@pytest.mark.parametrize("limits", DEVICES, ids=lambda limits: str(limits.memory))
def test_spectra_are_exchanged_whole(limits: Limits) -> None:
    """A pass that exchanges mirror images has no halves, and its plan fits without."""
    for n in LENGTHS:
        cut = pass_lengths(n, 1, limits, mirrored=True)
        if len(cut) == 1 < n // 16:
            tile = row_tile(n, limits, mirrored=True)
            check(tile, n, limits, reads=True, writes=True)
        elif cut[-1] > 16:
            tile = column_tile(cut[-1], limits, rows=False, quarters=False)
            check(tile, cut[-1], limits, reads=False, writes=False)
        else:
            continue
        assert tile is not None
        assert tile.parts < 4 or (len(cut) == 1 and pairs_mirror_images(n, tile))


def test_common_lengths_take_few_passes() -> None:
    limits = DEVICES[-1]
    assert [len(pass_lengths(2**k, 1, limits)) for k in (10, 14, 15, 22, 23, 24)] == [
        1,
        1,
        2,
        2,
        3,
        3,
    ]
    assert pass_lengths(2**20, 1, limits) == (1024, 1024)


@pytest.mark.parametrize("limits", DEVICES, ids=lambda limits: str(limits.memory))
@pytest.mark.parametrize("mirrored", [False, True])
def test_frames_become_columns(limits: Limits, mirrored: bool) -> None:
    found = {n: turning_tile(n, limits, mirrored=mirrored) for n in LENGTHS if 16 < n <= 4096}
    assert all(found[n] is not None for n in (64, 100, 256, 400, 512))
    for n, tile in found.items():
        if tile is not None:
            check(tile, n, limits, reads=True, writes=False)
            assert tile.parts < 4 or not mirrored or pairs_mirror_images(n, tile)


# Quickest of those measured on an H200.
MEASURED = {
    625: Tile((25, 25), 25, 25, 2, 2),
    1024: Tile((16, 16, 4), 64, 16, 1, 2),
    2048: Tile((16, 16, 8), 128, 16, 1, 2),
    4096: Tile((16, 16, 16), 256, 16, 1, 4),
    3125: Tile((25, 25, 5), 125, 25, 1, 2),
    4375: Tile((25, 25, 7), 175, 28, 1, 2),
    8192: Tile((32, 16, 16), 256, 32, 1, 4),
    16384: Tile((32, 32, 16), 512, 32, 1, 4),
}
SPECTRA = {
    512: Tile((8, 8, 8), 32, 16, 2, 2),
    2048: Tile((16, 16, 8), 128, 16, 1, 2),
    4096: Tile((8, 8, 8, 8), 256, 16, 1, 4),
}


@pytest.mark.parametrize("n", MEASURED)
def test_long_rows_leave_room_for_other_workgroups(n: int) -> None:
    assert row_tile(n, DEVICES[-1]) == MEASURED[n]


@pytest.mark.parametrize("n", SPECTRA)
def test_spectra_of_rows_need_no_exchange_of_mirror_images(n: int) -> None:
    assert row_tile(n, DEVICES[-1], mirrored=True) == SPECTRA[n]
    assert pairs_mirror_images(n, SPECTRA[n])


@pytest.mark.parametrize("n", [256, 1024, 4096])
def test_a_workgroup_alone_exchanges_all_at_once(n: int) -> None:
    """That changes no bits: butterflies and lanes stay."""
    limits = DEVICES[-1]
    tiles = [(row_tile(n, limits, 1), row_tile(n, limits, 1, few=True))]
    if n < 4096:
        many = column_tile(n, limits, 1, rows=True)
        tiles.append((many, column_tile(n, limits, 1, rows=True, few=True)))
    for tile, alone in tiles:
        assert tile is not None
        assert tile.parts > 1
        assert alone == replace(tile, parts=1)


@pytest.mark.parametrize("n", [128, 256, 512, 1024, 2048])
@pytest.mark.parametrize("rows", [False, True])
def test_columns_leave_room_for_a_second_workgroup(n: int, rows: bool) -> None:
    limits = DEVICES[-1]
    tile = column_tile(n, limits, rows=rows)
    assert tile is not None
    layout = choose_layout(n, tile, Ends(False, rows))
    at_once = limits.memory // (layout.slots * (8 if tile.parts == 1 else 4))
    assert at_once >= 2
    assert at_once * tile.group * tile.lanes >= 512


@pytest.mark.parametrize("n", [256, 1024, 4096, 16384])
def test_rows_meet_no_bank_twice(n: int) -> None:
    """There are 32 banks, and 32 lanes store the results of a butterfly of 16."""
    tile = row_tile(n, DEVICES[-1], 1)
    assert tile is not None
    layout = choose_layout(n, tile, ROWS)
    column = slots_of(n, tile, layout, rows=True)[0]
    assert len({s % 32 for s in column[: 32 * 16 : 16]}) == min(32, len(column) // 16)


@pytest.mark.parametrize("n", [128, 256, 512, 1024])
def test_columns_that_turn_meet_few_banks_twice(n: int) -> None:
    """32 lanes that had a number of each column fetch those of a column or two instead."""
    tile = column_tile(n, DEVICES[-1], rows=True)
    assert tile is not None
    layout = choose_layout(n, tile, Ends(False, True))
    columns = slots_of(n, tile, layout, rows=False)
    fetched = [columns[t // tile.lanes][t % tile.lanes] for t in range(32)]
    assert max(Counter(s % 32 for s in fetched).values()) <= 2


def test_a_software_renderer_takes_butterflies() -> None:
    limits = Limits(32768, 1024, 1, True)
    for n in LENGTHS:
        cut = pass_lengths(n, 1, limits)
        assert math.prod(cut) == n
        assert set(cut) <= {1, 2, 3, 4, 5, 7, 8, 11, 13}


def test_small_batches_take_small_groups() -> None:
    limits = DEVICES[-1]
    assert [max_columns(count, limits) for count in (1, 256, 512, 5000)] == [1, 1, 2, 16]
    tile = row_tile(64, limits, 2)
    assert tile is not None
    assert tile.group == 2


def test_smooth_numbers() -> None:
    assert not is_smooth(17)
    assert is_smooth(13 * 11 * 7)
    for n in (1, 2, 3, 97, 1000, 4097):
        least = next(m for m in range(n, 2 * n + 1) if m == 2 ** (m.bit_length() - 1))
        assert next_smooth(n, (2,)) == least
    assert next_smooth(97, (2, 3)) == 108
    assert next_smooth(97, (2, 3, 5)) == 100
