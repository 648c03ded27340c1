"""Plans: every length is cut into passes that the device's workgroups can run."""

from __future__ import annotations

import math

import pytest

from gpustd.signal.plan import (
    Limits,
    Tile,
    column_tile,
    is_smooth,
    most_of,
    passes,
    row_tile,
    smooth_above,
)

# The least that WebGPU grants, a common desktop card, a large one.
DEVICES = [
    Limits(16384, 256, 256, False),
    Limits(32768, 1024, 256, False),
    Limits(49152, 1024, 256, False),
]
LENGTHS = [*(n for n in range(1, 700) if is_smooth(n)), 4096, 8192, 2**14, 2**20, 2**24, 3**13]
LENGTHS += [10**6, 44100, 13**5, 2 * 3 * 5 * 7 * 11 * 13]


def slots(tile: Tile, n: int) -> int:
    """Numbers of a column in workgroup memory: those, and one after each run of an even radix."""
    return n + (0 if tile.radices[0] % 2 else n // tile.radices[0])


def check(tile: Tile | None, n: int, limits: Limits, columns: int) -> None:
    """The radices make the length, lanes hold it, the workgroup is within its limits."""
    assert tile is not None
    assert math.prod(tile.radices) == n
    assert max(-(-n // (r * tile.lanes)) * r for r in tile.radices) == tile.held <= 16
    assert slots(tile, n) * columns * 8 // tile.parts <= limits.memory
    assert tile.lanes * tile.group <= limits.lanes


@pytest.mark.parametrize("limits", DEVICES, ids=lambda limits: str(limits.memory))
@pytest.mark.parametrize("inner", [1, 5])
def test_every_length_is_cut(limits: Limits, inner: int) -> None:
    for n in LENGTHS:
        cut = passes(n, inner, limits)
        assert math.prod(cut) == n
        for i, length in enumerate(cut):
            if length <= 16:
                continue
            if len(cut) == inner == 1:
                tile = row_tile(length, limits)
                check(tile, length, limits, tile.group if tile else 0)
                continue
            rows = i == 0 and inner == 1
            for most in (1, 8, 16):
                tile = column_tile(length, limits, most, rows=rows)
                check(tile, length, limits, tile.group + rows if tile else 0)


def test_common_lengths_take_few_passes() -> None:
    limits = DEVICES[-1]
    assert [len(passes(2**k, 1, limits)) for k in (10, 13, 14, 22, 23, 24)] == [1, 1, 2, 2, 3, 3]
    assert passes(2**20, 1, limits) == (1024, 1024)


def test_a_software_renderer_takes_butterflies() -> None:
    limits = Limits(32768, 1024, 1, True)
    for n in LENGTHS:
        cut = passes(n, 1, limits)
        assert math.prod(cut) == n
        assert set(cut) <= {1, 2, 3, 4, 5, 7, 8, 11, 13}


def test_small_batches_take_small_groups() -> None:
    limits = DEVICES[-1]
    assert [most_of(count, limits) for count in (1, 256, 512, 5000)] == [1, 1, 2, 16]
    tile = row_tile(64, limits, 2)
    assert tile is not None
    assert tile.group == 2


def test_smooth_numbers() -> None:
    assert not is_smooth(17)
    assert is_smooth(13 * 11 * 7)
    for n in (1, 2, 3, 97, 1000, 4097):
        least = next(m for m in range(n, 2 * n + 1) if m == 2 ** (m.bit_length() - 1))
        assert smooth_above(n, (2,)) == least
    assert smooth_above(97, (2, 3)) == 108
    assert smooth_above(97, (2, 3, 5)) == 100
