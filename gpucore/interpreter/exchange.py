"""Atomic functions: invocations that meet at one number take turns, in their order."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Final

import numpy as np

from gpucore.interpreter.lanes import Lanes
from gpucore.interpreter.places import Cells
from gpucore.interpreter.trees import Cell
from gpucore.interpreter.values import Data, Value

__all__ = ["ATOMICS"]

Change = Callable[[Data, Data], Data]


def _targets(
    lanes: Lanes, cells: Cells, at: int, *, reads: bool, writes: bool
) -> tuple[Data, Data, Data]:
    """Return all numbers, the places that active invocations mean, and these invocations."""
    element, wrong = cells.linear(lanes)
    assert isinstance(cells.tree, Cell)
    memory = lanes.memories[cells.memory]
    numbers = memory.numbers[cells.tree.leaf]
    mask = lanes.mask if wrong is None else lanes.mask & ~wrong
    active = np.flatnonzero(mask)
    owner = lanes.group_of_lane[active] if memory.space == "workgroup" else 0
    places = lanes.spread(element)[active] * memory.owners + owner
    if numbers.written is not None:
        if reads:
            memory.check_written(lanes, numbers, places, active, at)
        if writes:
            numbers.written[places] = True
    return numbers.flat, places, active


def _load(lanes: Lanes, cells: Cells, at: int) -> Data:
    values, places, active = _targets(lanes, cells, at, reads=True, writes=False)
    result = np.zeros(lanes.count, values.dtype)
    result[active] = values[places]
    return result


def _store(lanes: Lanes, cells: Cells, at: int, value: Data) -> None:
    values, places, active = _targets(lanes, cells, at, reads=False, writes=True)
    values[places] = lanes.spread(value)[active]


def _turns(places: Data) -> list[Data]:
    """Return the indices of ``places`` in rounds in which no place is twice."""
    order = np.argsort(places, kind="stable")
    sorted_places = places[order]
    starts = np.flatnonzero(np.r_[True, sorted_places[1:] != sorted_places[:-1]])
    lengths = np.diff(np.r_[starts, len(places)])
    rank = np.arange(len(places)) - np.repeat(starts, lengths)
    return [order[rank == turn] for turn in range(int(lengths.max()))]


def _modify(change: Change) -> Callable[..., Value]:
    def run(lanes: Lanes, cells: Cells, at: int, value: Data) -> Data:
        values, places, active = _targets(lanes, cells, at, reads=True, writes=True)
        given = lanes.spread(value)[active]
        old = np.zeros(lanes.count, values.dtype)
        for turn in _turns(places) if len(places) else ():
            here = places[turn]
            old[active[turn]] = values[here]
            values[here] = change(values[here], given[turn])
        return old

    return run


def _exchange_if_equal(
    lanes: Lanes, cells: Cells, at: int, expected: Data, value: Data
) -> tuple[Data, Data]:
    values, places, active = _targets(lanes, cells, at, reads=True, writes=True)
    wanted, given = lanes.spread(expected)[active], lanes.spread(value)[active]
    old, exchanged = np.zeros(lanes.count, values.dtype), np.zeros(lanes.count, bool)
    for turn in _turns(places) if len(places) else ():
        here, lane = places[turn], active[turn]
        old[lane] = values[here]
        exchanged[lane] = equal = values[here] == wanted[turn]
        values[here[equal]] = given[turn][equal]
    return old, exchanged


def _new(old: Data, given: Data) -> Data:
    return given


_CHANGES: Final[dict[str, Any]] = {
    "Add": np.add,
    "Sub": np.subtract,
    "Max": np.maximum,
    "Min": np.minimum,
    "And": np.bitwise_and,
    "Or": np.bitwise_or,
    "Xor": np.bitwise_xor,
    "Exchange": _new,
}

ATOMICS: Final[dict[str, Callable[..., Value]]] = {
    "atomicLoad": _load,
    "atomicStore": _store,
    "atomicCompareExchangeWeak": _exchange_if_equal,
    **{f"atomic{name}": _modify(change) for name, change in _CHANGES.items()},
}
