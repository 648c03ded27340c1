"""The memory of a variable: its numbers, and the faults of accesses to them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, Final

import numpy as np

from gpucore.interpreter.lanes import Lanes
from gpucore.interpreter.shadows import Clash, Shadow, Visit
from gpucore.interpreter.trees import Leaf
from gpucore.interpreter.values import Data, dtype_of

__all__ = ["Memory", "Numbers"]

_BARRIERS: Final = {"workgroup": "workgroupBarrier", "storage": "storageBarrier"}


class Numbers:
    """The numbers of one leaf: ``values`` (components, elements, owners).

    The owners are the invocations of private memory, the workgroups of shared memory, and one for
    buffers.
    """

    def __init__(self, leaf: Leaf, values: Data, shadow: Shadow | None) -> None:
        self.leaf = leaf
        self.values = values
        self.flat = values.reshape(-1)
        self.width = int(values[0].size)
        self.shadow = shadow
        self.written: Data | None = None


class Memory:
    """A variable in memory: ``space`` is its address space.

    ``counts`` are the lengths of its arrays without a size, by leaf.
    """

    def __init__(self, name: str, space: str, leaves: Sequence[Leaf], owners: int) -> None:
        self.name, self.space, self.owners = name, space, owners
        self.leaves = leaves
        self.numbers: list[Numbers] = []
        self.runtime_count = 0

    def allocate(self) -> None:
        """Make zeros for every leaf."""
        for leaf in self.leaves:
            elements = math.prod(leaf.extents)
            shape = (leaf.components, elements, self.owners)
            self.add(leaf, np.zeros(shape, dtype_of(leaf.type)), is_tracked=False)
        if self.space == "workgroup":
            for each in self.numbers:
                each.shadow = Shadow(each.values.size, is_global=False)
                each.written = np.zeros(each.values.size, bool)

    def add(self, leaf: Leaf, values: Data, *, is_tracked: bool) -> Numbers:
        """Add the numbers of a leaf."""
        shadow = Shadow(values.size, is_global=True) if is_tracked else None
        self.numbers.append(Numbers(leaf, values, shadow))
        return self.numbers[-1]

    def _owner(self, lanes: Lanes) -> Data | int:
        if self.space in ("storage", "uniform"):
            return 0
        return lanes.group_of_lane if self.space == "workgroup" else lanes.lane

    def load(
        self, lanes: Lanes, leaf: int, element: Data, first: Data | int, count: int, at: int
    ) -> Any:
        """Return ``count`` components from ``first`` on, as an array (count, ..., invocations).

        ``element`` is the number of the element, of any axes before that of the invocations.
        """
        numbers = self.numbers[leaf]
        if self.space == "private" and element.shape == (1,) and isinstance(first, int):
            return numbers.values[first : first + count, element[0]].copy()
        places = self._places(lanes, numbers, element, first, count)
        if numbers.shadow is not None or numbers.written is not None:
            active = lanes.spread(places)[..., lanes.mask]
            if numbers.written is not None:
                self.check_written(lanes, numbers, active, np.flatnonzero(lanes.mask), at)
            if numbers.shadow is not None:
                visit = self._visit(lanes, active, at)
                self._report_race(lanes, numbers, visit, numbers.shadow.read(visit), "read")
        return numbers.flat[places]

    def store(
        self, lanes: Lanes, leaf: int, element: Data, first: Data | int, value: Data, at: int
    ) -> None:
        """Write components from ``first`` on for the active invocations.

        ``value`` is (count, ..., invocations), with the axes of ``element``.
        """
        numbers = self.numbers[leaf]
        count = len(value)
        if self.space == "private" and element.shape == (1,) and isinstance(first, int):
            row = numbers.values[first : first + count, element[0]]
            np.copyto(row, value, where=lanes.mask)
            return
        places = lanes.spread(self._places(lanes, numbers, element, first, count))
        active = places[..., lanes.mask]
        given = np.broadcast_to(value, places.shape)[..., lanes.mask]
        if self.space != "private":
            lanes.settle(value)
        if numbers.written is not None:
            numbers.written[active] = True
        if numbers.shadow is None:
            numbers.flat[active] = given
            return
        visit = self._visit(lanes, active, at)
        changes = (numbers.flat[active] != given).reshape(-1)
        numbers.flat[active] = given
        differs = (numbers.flat[active] != given).reshape(-1)
        clash = numbers.shadow.write(visit, changes, differs)
        self._report_race(lanes, numbers, visit, clash, "written")

    def _places(
        self, lanes: Lanes, numbers: Numbers, element: Data, first: Data | int, count: int
    ) -> Any:
        """Return the places of components in all numbers of a leaf, (count, ..., invocations)."""
        cells = element * self.owners + self._owner(lanes)
        rows = np.arange(count)[:, None] + first
        return rows.reshape(count, *[1] * (cells.ndim - 1), -1) * numbers.width + cells

    # Faults

    def _visit(self, lanes: Lanes, active: Data, at: int) -> Visit:
        """Describe the accesses of the active invocations to some places."""
        lane = np.flatnonzero(lanes.mask)
        repeats = active.size // max(len(lane), 1)
        group = lanes.group_of_lane[lane]
        return Visit(
            active.reshape(-1),
            np.tile(lanes.number[lane], repeats),
            np.tile(lanes.stamps[self.space][group], repeats),
            np.tile(lanes.stamps["any"][group], repeats),
            np.tile(lanes.group[lane], repeats),
            np.tile(lanes.subgroup[lane], repeats),
            np.tile(lanes.subgroup_stamps[lanes.subgroup_of_lane[lane]], repeats),
            at,
        )

    def index_of(self, numbers: Numbers, flat: int) -> int:
        """Return the element that a flat place belongs to."""
        return flat % numbers.width // self.owners

    def check_written(
        self, lanes: Lanes, numbers: Numbers, places: Data, active: Data, at: int
    ) -> None:
        """Note reads of what nobody wrote: ``places`` (..., n) of ``active``, n invocations."""
        assert numbers.written is not None
        wrong = ~numbers.written[places]
        if not wrong.any():
            return
        first = np.unravel_index(int(wrong.argmax()), wrong.shape)
        lane = int(active[first[-1]])
        index = self.index_of(numbers, int(places[first]))
        lanes.note(
            "uninitialized",
            at,
            lane,
            int(wrong.sum()),
            f"{self.label(numbers, index)} is read before anything is written there",
            {"variable": self.name, "index": index},
        )

    def _report_race(
        self, lanes: Lanes, numbers: Numbers, visit: Visit, clash: Clash | None, verb: str
    ) -> None:
        if clash is None:
            return
        first = int(clash.wrong.argmax())
        index = self.index_of(numbers, int(visit.at[first]))
        where = int(clash.line[first])
        line = lanes.findings.shown_line(where)
        number, other = int(visit.lane[first]), int(clash.other[first])
        apart = other // lanes.width != visit.group[first]
        barrier = lanes.findings.barrier_name(_BARRIERS[self.space])
        between = "another workgroup" if apart else f"no {barrier} between"
        lanes.note(
            "race",
            visit.line,
            int(np.flatnonzero(lanes.number == number)[0]),
            int(clash.wrong.sum()),
            f"{self.label(numbers, index)} is {verb}, and {clash.verb} by invocation "
            f"{lanes.id_of_number(other)} in line {line}: {between}",
            {"variable": self.name, "index": index, "other_line": lanes.findings.line_of(where)},
        )

    def label(self, numbers: Numbers, index: int) -> str:
        """Return how messages call an element."""
        return f"{self.name}[{index}]" if numbers.leaf.extents else self.name
