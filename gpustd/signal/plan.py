"""How a transform's length is cut: into passes over memory, and a pass into butterflies.

On a GPU a pass takes columns of up to some thousand numbers through workgroup memory, so that
lengths up to 4096 or 8192 cost one reading and one writing of the array, and up to about 2^22 two.
A software renderer takes a pass for each butterfly. The structure is that of VkFFT (Tolmachev, IEEE
Access 11, 2023) and of Govindaraju et al. (SC 2008).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Iterator
from dataclasses import dataclass

__all__ = [
    "Limits",
    "Tile",
    "column_tile",
    "is_smooth",
    "most_of",
    "passes",
    "row_tile",
    "smooth_above",
]

LARGEST_PRIME = 13
_HELD = 16
_RADICES = range(_HELD, 1, -1)
_CPU_RADICES = (13, 11, 7, 5, 3, 8, 4, 2)
_ROW_LANES = 256
_MOST_LANES = 512
# Workgroups of a multiprocessor, whose memory is hardly more than one may have: best first.
_AT_ONCE = (3, 2, 1)
# Columns that a workgroup takes side by side, and parts in which it exchanges them: best first.
_GROUPS = ((16, 1), (8, 1), (8, 2), (4, 1), (4, 2))
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
        lane holds; group: columns of a workgroup; parts: 2 where real and imaginary parts are
        exchanged one after the other, else 1.
    """

    radices: tuple[int, ...]
    lanes: int
    held: int
    group: int = 1
    parts: int = 1


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
        best = min(best, product << max(-(-n // product) - 1, 0).bit_length())
        for p in odd:
            if product * p < best and product * p not in seen:
                seen.add(product * p)
                stack.append(product * p)
    return best


@functools.cache
def passes(n: int, inner: int, limits: Limits) -> tuple[int, ...]:
    """Lengths of the passes of a transform of ``n``, of which `is_smooth` holds.

    ``inner`` is the distance of its numbers.
    """
    if n <= 1:
        return (1,)
    if limits.is_cpu:
        return _factors(n, _CPU_RADICES)
    tile = row_tile(n, limits) if inner == 1 else column_tile(n, limits, rows=False)
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
        fits = n <= _HELD or column_tile(n, limits, rows=True) is not None
        return (n,) if fits else ()
    root = round(n ** (1 / count))
    for length in sorted(_divisors(n), key=lambda d: abs(math.log(d / root))):
        if length > 1 and (length <= _HELD or column_tile(length, limits, rows=True)):
            rest = _cut(n // length, count - 1, limits)
            if rest:
                return tuple(sorted((length, *rest), reverse=True))
    return ()


def _divisors(n: int) -> Iterator[int]:
    for d in range(1, math.isqrt(n) + 1):
        if n % d == 0:
            yield d
            if d * d != n:
                yield n // d


@functools.cache
def row_tile(n: int, limits: Limits, most: int = _ROW_LANES) -> Tile | None:
    """How workgroups run whole transforms of rows of ``n`` numbers; None where they cannot.

    A workgroup takes ``most`` rows at most.
    """
    best = _tile(n)
    if best is None or best.lanes > min(_MOST_LANES, limits.lanes):
        return None
    pitch = _padded(n, best)
    for memory in (limits.memory // count for count in _AT_ONCE):
        rows = max(1, min(_ROW_LANES // best.lanes, memory // (8 * pitch), most))
        group = 1 << (rows.bit_length() - 1)
        for parts in (1, 2):
            if group * pitch * 8 // parts <= memory:
                return Tile(best.radices, best.lanes, best.held, group, parts)
    return None


@functools.cache
def column_tile(n: int, limits: Limits, most: int = 16, *, rows: bool) -> Tile | None:
    """How workgroups run columns of ``n`` numbers side by side; ``rows`` if they write rows.

    A workgroup takes ``most`` columns at most, but 4 if it can.
    """
    best = _tile(n)
    if best is None:
        return None
    for group, parts in _GROUPS:
        size = _padded(n, best) * (group + rows) * 8 // parts
        if (
            group <= max(most, 4)
            and size <= limits.memory
            and group * best.lanes <= min(_MOST_LANES, limits.lanes)
        ):
            return Tile(best.radices, best.lanes, best.held, group, parts)
    return None


def most_of(count: int, limits: Limits) -> int:
    """Columns that a workgroup may take of ``count`` so that there are enough workgroups."""
    return 1 << max(0, (count // limits.workgroups).bit_length() - 1)


def _padded(n: int, tile: Tile) -> int:
    """Slots of workgroup memory for ``n`` numbers, padded where strides meet the same banks."""
    first = tile.radices[0]
    return n + (n // first if first % 2 == 0 else 0)


@functools.cache
def _tile(n: int) -> Tile | None:
    """Butterflies and lanes for a column: few exchanges, and few lanes idle in any."""
    if n > _MOST_LANES * _HELD or not is_smooth(n):
        return None
    choices = (tile for radices in _products(n, _HELD) for tile in _tiles(n, radices))
    return min(choices, key=lambda t: (_cost(n, t), max(t.radices), t.held), default=None)


def _products(n: int, most: int) -> Iterator[tuple[int, ...]]:
    """Radices that multiply to ``n``, none above ``most``, largest first."""
    if n == 1:
        yield ()
    for radix in _RADICES:
        if radix <= most and n % radix == 0:
            for rest in _products(n // radix, radix):
                yield (radix, *rest)


def _tiles(n: int, radices: tuple[int, ...]) -> Iterator[Tile]:
    for lanes in {-(-n // (r * k)) for r in radices for k in range(1, _HELD // r + 1)}:
        held = max(-(-n // (r * lanes)) * r for r in radices)
        if held <= _HELD:
            yield Tile(radices, lanes, held)


def _cost(n: int, tile: Tile) -> float:
    """Numbers' worth of lanes over the stages, idle ones too, and as much for each exchange."""
    work = sum(-(-n // (r * tile.lanes)) * r * tile.lanes for r in tile.radices)
    return work / n + len(tile.radices)
