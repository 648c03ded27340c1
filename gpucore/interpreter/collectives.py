"""Functions that the invocations of a subgroup call together.

Only active invocations take part. What would be read from another gives the own value.
Source: WGSL specification, sections 17.12 (subgroups) and 17.13 (quads).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gpucore.interpreter.lanes import Lanes
from gpucore.interpreter.values import Data

__all__ = ["COLLECTIVES", "Collective"]

Collective = Callable[..., Any]
_FULL: Final = 0xFFFFFFFF


def _table(lanes: Lanes, value: Data, fill: Any) -> Data:
    """Return (..., subgroups, lanes of a subgroup), with ``fill`` where none is active."""
    wide = lanes.spread(value)
    shape = (*wide.shape[:-1], lanes.subgroup_count, lanes.subgroup_size)
    table = np.full(shape, fill, wide.dtype)
    place = lanes.local % lanes.subgroup_size
    table[..., lanes.subgroup_of_lane, place] = np.where(lanes.mask, wide, fill)
    return table


def _of_lanes(lanes: Lanes, table: Data) -> Data:
    """Return an entry of a table (..., subgroups, lanes of a subgroup) for each invocation."""
    return table[..., lanes.subgroup_of_lane, lanes.local % lanes.subgroup_size]


def _neutral(name: str, dtype: np.dtype[Any]) -> Any:
    if name in ("add", "bitwise_or", "bitwise_xor"):
        return 0
    if name == "multiply":
        return 1
    if name == "bitwise_and":
        return ~np.zeros((), dtype)
    is_float = dtype.kind == "f"
    if name == "maximum":
        return -np.inf if is_float else np.iinfo(dtype).min
    return np.inf if is_float else np.iinfo(dtype).max


def _reduction(function: np.ufunc) -> Collective:
    def run(lanes: Lanes, at: int, value: Data) -> Any:
        table = _table(lanes, value, _neutral(function.__name__, value.dtype))
        total = function.reduce(table, axis=-1, dtype=table.dtype)
        return total[..., lanes.subgroup_of_lane]

    return run


def _scan(function: np.ufunc, *, exclusive: bool) -> Collective:
    def run(lanes: Lanes, at: int, value: Data) -> Data:
        neutral = _neutral(function.__name__, value.dtype)
        table = _table(lanes, value, neutral)
        sums = function.accumulate(table, axis=-1, dtype=table.dtype)
        if exclusive:
            first = np.full_like(sums[..., :1], neutral)
            sums = np.concatenate([first, sums[..., :-1]], -1)
        return _of_lanes(lanes, sums)

    return run


def _from(lanes: Lanes, value: Data, source: Data) -> Data:
    """Return the value of the lane ``source`` of the own subgroup; the own where it is not."""
    wide = lanes.spread(value)
    start = lanes.lane - lanes.local % lanes.subgroup_size
    target = start + source
    last = (lanes.group_of_lane + 1) * lanes.width
    inside = (source >= 0) & (source < lanes.subgroup_size) & (target < last)
    target = np.where(inside, target, lanes.lane)
    return wide[..., np.where(lanes.mask[target], target, lanes.lane)]


def _own(lanes: Lanes) -> Data:
    return lanes.local % lanes.subgroup_size


def _shuffle(source: Callable[[Data, Data], Data]) -> Collective:
    def run(lanes: Lanes, at: int, value: Data, by: Data) -> Data:
        return _from(lanes, value, source(_own(lanes), lanes.spread(by).astype(np.int64)))

    return run


def _swap(bit: int) -> Collective:
    return lambda lanes, at, value: _from(lanes, value, _own(lanes) ^ bit)


def _first(lanes: Lanes, at: int, value: Data) -> Data:
    return lanes.first_of_subgroups(lanes.spread(value))[..., lanes.subgroup_of_lane]


def _elect(lanes: Lanes, at: int) -> Any:
    return _first(lanes, at, lanes.lane) == lanes.lane


def _truth(function: np.ufunc, neutral: bool) -> Collective:
    def run(lanes: Lanes, at: int, value: Data) -> Any:
        return function.reduce(_table(lanes, value, neutral), axis=-1)[lanes.subgroup_of_lane]

    return run


def _ballot(lanes: Lanes, at: int, value: Data) -> Any:
    table = _table(lanes, value.astype(bool), False)
    bits = np.zeros((table.shape[0], 128), bool)
    bits[:, : table.shape[1]] = table[:, :128]
    words = np.packbits(bits, axis=1, bitorder="little").view(np.uint32)
    return words.T[:, lanes.subgroup_of_lane]


def _quad(lanes: Lanes, at: int, value: Data, number: Data) -> Data:
    source = _own(lanes) // 4 * 4 + lanes.spread(number).astype(np.int64)
    return _from(lanes, value, source)


_SCANS: Final = {"Add": np.add, "Mul": np.multiply}
_REDUCTIONS: Final = {
    **_SCANS,
    "Max": np.maximum,
    "Min": np.minimum,
    "And": np.bitwise_and,
    "Or": np.bitwise_or,
    "Xor": np.bitwise_xor,
}

COLLECTIVES: Final[dict[str, Collective]] = {
    **{f"subgroup{name}": _reduction(function) for name, function in _REDUCTIONS.items()},
    **{f"subgroupExclusive{n}": _scan(f, exclusive=True) for n, f in _SCANS.items()},
    **{f"subgroupInclusive{n}": _scan(f, exclusive=False) for n, f in _SCANS.items()},
    "subgroupAll": _truth(np.logical_and, True),
    "subgroupAny": _truth(np.logical_or, False),
    "subgroupBallot": _ballot,
    "subgroupBroadcast": _shuffle(lambda own, by: by),
    "subgroupBroadcastFirst": _first,
    "subgroupElect": _elect,
    "subgroupShuffle": _shuffle(lambda own, by: by),
    "subgroupShuffleDown": _shuffle(lambda own, by: own + by),
    "subgroupShuffleUp": _shuffle(lambda own, by: own - by),
    "subgroupShuffleXor": _shuffle(lambda own, by: own ^ by),
    "quadBroadcast": _quad,
    "quadSwapX": _swap(1),
    "quadSwapY": _swap(2),
    "quadSwapDiagonal": _swap(3),
}
