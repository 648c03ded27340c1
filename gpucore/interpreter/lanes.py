"""The invocations that run together: their numbers, which of them are active, and variables."""

from __future__ import annotations

import copy
import itertools
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np

from gpucore.interpreter.findings import Finding, Findings
from gpucore.interpreter.values import Data, Value, spread

__all__ = ["Lanes", "Loop"]

_ACCESSES: Final = ("bounds", "barrier", "subgroup")


class Loop:
    """The masks of invocations that left a loop, or wait for its next round."""

    __slots__ = ("broken", "continued")

    def __init__(self) -> None:
        self.broken: Data | None = None
        self.continued: Data | None = None


@dataclass(frozen=True, slots=True)
class _Suspect:
    """An operation that made numbers infinite or NaN, as `Lanes.suspect` was told."""

    kind: str
    at: int
    hit: Data
    message: str
    details: Mapping[str, Any]


class Lanes:
    """All invocations of some consecutive workgroups.

    ``mask`` tells which invocations are active, ``active`` how many. ``slots`` have the variables
    that are not in memory, and ``scopes`` how many invocations were active where each was declared.
    """

    def __init__(
        self,
        findings: Findings,
        first_group: int,
        group_count: int,
        size: tuple[int, int, int],
        grid: tuple[int, int, int],
        subgroup_size: int,
    ) -> None:
        self.findings = findings
        self.size, self.grid, self.subgroup_size = size, grid, subgroup_size
        self.width = size[0] * size[1] * size[2]
        self.group_count = group_count
        self.count = group_count * self.width
        lane = np.arange(self.count)
        self.lane = lane
        self.group_of_lane = lane // self.width
        self.local = lane % self.width
        self.group = self.group_of_lane + first_group
        self.number = lane + first_group * self.width
        self.subgroups_per_group = -(-self.width // subgroup_size)
        self.subgroup_count = group_count * self.subgroups_per_group
        self.subgroup_of_lane = (
            self.group_of_lane * self.subgroups_per_group + self.local // subgroup_size
        )
        self.mask: Data = np.ones(self.count, bool)
        self.active = self.count
        self.slots: list[Value] = []
        self.scopes: list[int] = []
        self.loops: list[Loop] = []
        self.memories: list[Any] = []
        # The invocations that use a value: those for which a `select` takes it. None: all.
        self.relevant: Data | None = None
        self.suspects: list[_Suspect] = []
        self.origin: Data | None = None  # the number of the suspect of each invocation, or -1
        # Accesses of one stamp have no barrier between them: none of that memory, or none at all.
        self.stamps = {
            name: np.arange(group_count, dtype=np.int32) + first_group
            for name in ("workgroup", "storage", "any")
        }
        self.subgroup = self.subgroup_of_lane + first_group * self.subgroups_per_group
        self.subgroup_stamps = np.zeros(self.subgroup_count, np.int32)
        self._fresh_stamps = itertools.count(grid[0] * grid[1] * grid[2])
        # Set in a branch whose barriers meet those of another.
        self.wait_at_barrier: Callable[[int, str], None] | None = None

    def set_mask(self, mask: Data) -> None:
        """Make the invocations of a mask the active ones."""
        self.mask = mask
        self.active = int(np.count_nonzero(mask))

    def stop(self) -> None:
        """Make no invocation active."""
        self.mask = np.zeros(self.count, bool)
        self.active = 0

    def spread(self, value: Data) -> Data:
        """Return a value with an entry for each invocation."""
        return spread(value, self.count)

    def first_of_subgroups(self, value: Data) -> Data:
        """Return the value of the first active invocation of each subgroup."""
        place = np.where(self.mask, self.lane, self.count - 1)
        first = np.full(self.subgroup_count, self.count - 1)
        np.minimum.at(first, self.subgroup_of_lane, place)
        return value[..., first]

    def as_subgroups(self) -> Lanes:
        """Return these lanes with one for each subgroup: its first invocation."""
        view = copy.copy(self)
        first = np.full(self.subgroup_count, self.count - 1)
        np.minimum.at(first, self.subgroup_of_lane, self.lane)
        view.count = self.subgroup_count
        view.lane = np.arange(view.count)
        view.group_of_lane, view.group = self.group_of_lane[first], self.group[first]
        view.number, view.subgroup = self.number[first], self.subgroup[first]
        view.subgroup_of_lane = view.lane
        view.set_mask(self.subgroup_mask())
        view.origin = view.relevant = None
        return view

    def subgroup_mask(self) -> Data:
        """Return which subgroups have an active invocation."""
        mask = np.zeros(self.subgroup_count, bool)
        mask[self.subgroup_of_lane[self.mask]] = True
        return mask

    def meet_in_subgroups(self) -> None:
        """Let the active invocations of each subgroup wait for each other, as its functions do."""
        self.subgroup_stamps[self.subgroup_mask()] += 1

    # Findings

    def report(self, kind: str, at: int, wrong: Data, message: str, **details: Any) -> None:
        """Note a finding for the active invocations where ``wrong`` is true.

        ``wrong`` may have axes before that of the invocations. ``details`` are arrays of the same
        shape whose first wrong entries fill the gaps of ``message``.
        """
        hit = self.mask & wrong
        if self.relevant is not None and kind not in _ACCESSES:
            hit = hit & _fit_axes(self.relevant, hit.ndim)
        if not hit.any():
            return
        first = np.unravel_index(int(hit.argmax()), hit.shape)
        shown = _values_at(details, hit.shape, first)
        self.note(kind, at, int(first[-1]), int(hit.sum()), message.format(**shown), shown)

    def suspect(self, kind: str, at: int, wrong: Data, message: str, **details: Any) -> None:
        """Remember where a number became infinite or NaN, for `settle`; arguments as `report`."""
        hit = self.mask & wrong
        if self.relevant is not None:
            hit = hit & _fit_axes(self.relevant, hit.ndim)
        lanes = _fit_axes(hit, 1)
        if not lanes.any():
            return
        new = lanes if self.origin is None else lanes & (self.origin < 0)
        if not new.any():
            return
        if self.origin is None:
            self.origin = np.full(self.count, -1, np.int32)
        self.origin[new] = len(self.suspects)
        self.suspects.append(_Suspect(kind, at, hit, message, details))

    def settle(self, value: Data) -> None:
        """Note what made the numbers that active invocations store infinite or NaN.

        A number that is not finite and goes nowhere, as behind a ``select``, is no defect.
        """
        if self.origin is None or value.dtype.kind != "f":
            return
        wrong = _fit_axes(~np.isfinite(value), 1) & self.mask & (self.origin >= 0)
        for number in np.unique(self.origin[wrong]):
            suspect = self.suspects[number]
            lanes = np.flatnonzero(wrong & (self.origin == number))
            first = np.argwhere(suspect.hit[..., lanes[0]])[0].tolist()
            shown = _values_at(suspect.details, suspect.hit.shape, (*first, lanes[0]))
            message = suspect.message.format(**shown)
            self.note(suspect.kind, suspect.at, int(lanes[0]), len(lanes), message, shown)
            self.origin[lanes] = -1

    def note(
        self, kind: str, at: int, lane: int, times: int, message: str, shown: Mapping[str, Any]
    ) -> None:
        """Note a finding that ``lane`` shows first."""
        self.findings.add(
            Finding(
                kind=kind,
                kernel=self.findings.kernel,
                message=message,
                line=0,
                text="",
                invocation=self.global_id(lane),
                workgroup=self.group_id(lane),
                variable=str(shown.get("variable", "")),
                index=shown.get("index"),
                other_line=shown.get("other_line"),
                count=times,
            ),
            at,
        )

    def group_id(self, lane: int) -> tuple[int, int, int]:
        """Return the workgroup_id of an invocation."""
        return place_of(int(self.group[lane]), self.grid)

    def global_id(self, lane: int) -> tuple[int, int, int]:
        """Return the global_invocation_id of an invocation."""
        return self.id_of_number(int(self.number[lane]))

    def id_of_number(self, number: int) -> tuple[int, int, int]:
        """Return the global_invocation_id of an invocation of any workgroup."""
        group = place_of(number // self.width, self.grid)
        local = place_of(number % self.width, self.size)
        x, y, z = (g * s + l for g, s, l in zip(group, self.size, local, strict=True))
        return x, y, z

    def built_in(self, name: str) -> Data:
        """Return a built-in value of the entry point."""
        match name:
            case "local_invocation_index":
                value = self.local
            case "local_invocation_id":
                value = _places(self.local, self.size)
            case "workgroup_id":
                value = _places(self.group, self.grid)
            case "global_invocation_id":
                size = np.array(self.size)[:, None]
                value = _places(self.group, self.grid) * size + _places(self.local, self.size)
            case "num_workgroups":
                value = np.array(self.grid)[:, None]
            case "subgroup_size":
                value = np.array([self.subgroup_size])
            case "subgroup_invocation_id":
                value = self.local % self.subgroup_size
            case "subgroup_id":
                value = self.local // self.subgroup_size
            case "num_subgroups":
                value = np.array([self.subgroups_per_group])
            case _:
                raise KeyError(name)
        return value.astype(np.uint32)

    # Barriers

    def barrier(self, at: int, name: str) -> None:
        """Let the active invocations meet; note workgroups of which only some are there."""
        if self.wait_at_barrier is not None:
            self.wait_at_barrier(at, name)
            return
        arrived = self.mask.reshape(self.group_count, self.width).sum(1)
        partial = (arrived > 0) & (arrived < self.width)
        if partial.any():
            self.report(
                "barrier",
                at,
                partial[self.group_of_lane],
                "{name} is met by {arrived} of {width} invocations of the workgroup",
                name=self.findings.barrier_name(name),
                arrived=arrived[self.group_of_lane],
                width=self.width,
            )
        met = arrived > 0
        fresh = [next(self._fresh_stamps) for _ in range(int(met.sum()))]
        for space in ("any", name.removesuffix("Barrier")):
            if space in self.stamps:
                self.stamps[space][met] = fresh


def _fit_axes(mask: Data, ndim: int) -> Data:
    """Return a mask with at most so many axes: where any of the others is true."""
    while mask.ndim > ndim:
        mask = np.any(mask, axis=0)
    return mask


def _values_at(
    details: Mapping[str, Any], shape: tuple[int, ...], place: tuple[Any, ...]
) -> dict[str, Any]:
    """Return the details of one place."""
    return {
        name: np.broadcast_to(value, shape)[place].item()
        if isinstance(value, np.ndarray)
        else value
        for name, value in details.items()
    }


def place_of(number: int, sizes: tuple[int, int, int]) -> tuple[int, int, int]:
    """Return the coordinates of a number in a grid whose x runs fastest."""
    x, y, _ = sizes
    return number % x, number // x % y, number // (x * y)


def _places(numbers: Data, sizes: tuple[int, int, int]) -> Data:
    x, y, _ = sizes
    return np.stack([numbers % x, numbers // x % y, numbers // (x * y)])
