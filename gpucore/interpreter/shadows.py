"""Who read and wrote each number of a memory since the last barrier, and whether anybody wrote it.

Numbers are flat: ``at`` has their places, ``lane`` the invocations, both with one axis.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import numpy as np

from gpucore.interpreter.values import Data

__all__ = ["Clash", "Shadow", "Visit"]

_NOBODY: Final = -1


class Visit(NamedTuple):
    """Accesses of one line: places, invocations, their stamps and workgroups, and the line.

    ``stamp`` changes at each barrier of this memory, ``control`` at each barrier, and ``meeting``
    at each function that a subgroup calls together.
    """

    at: Data
    lane: Data
    stamp: Data
    control: Data
    group: Data
    subgroup: Data
    meeting: Data
    line: int


class Clash(NamedTuple):
    """Which accesses race, what the other one did, by whom, and in which line."""

    wrong: Data
    verb: str
    other: Data
    line: Data


class Shadow:
    """The accesses to ``size`` numbers; those of different workgroups count where ``is_global``.

    Two accesses race if one is a write, their invocations differ, and no barrier is between them:
    they have one stamp, or are of different workgroups. A barrier of another memory is enough
    between a read and a later write, which must only wait for it. So is a function of subgroups
    within one.
    """

    def __init__(self, size: int, *, is_global: bool) -> None:
        self._is_global = is_global
        self._size = size
        self.clear()

    def clear(self) -> None:
        """Forget all accesses."""
        self._writer, self._write_stamp, self._write_line = self._fresh(3)
        self._reader, self._other, self._read_stamp, self._read_line = self._fresh(4)
        self._reader_subgroup, self._other_subgroup, self._meeting = self._fresh(3)
        if self._is_global:
            self._write_group, self._read_group, self._other_group = self._fresh(3)

    def _fresh(self, count: int) -> list[Data]:
        return [np.full(self._size, _NOBODY, np.int32) for _ in range(count)]

    def read(self, visit: Visit) -> Clash | None:
        """Note reads; return those that race."""
        clash = self._with_writer(visit, np.True_)
        at, lane = visit.at, visit.lane
        later = (self._reader_subgroup[at] == visit.subgroup) & (self._other[at] == _NOBODY)
        later &= self._meeting[at] != visit.meeting
        new = later | (self._read_stamp[at] != visit.control)
        fresh = at[new]
        self._other[fresh] = _NOBODY
        self._reader[fresh], self._reader_subgroup[fresh] = lane[new], visit.subgroup[new]
        self._read_stamp[fresh] = visit.control[new]
        self._read_line[at], self._meeting[at] = visit.line, visit.meeting
        second = self._reader[at] != lane
        self._other[at[second]] = lane[second]
        self._other_subgroup[at[second]] = visit.subgroup[second]
        if self._is_global:
            new = self._read_group[at] == _NOBODY
            self._read_group[at[new]] = visit.group[new]
            second = self._read_group[at] != visit.group
            self._other_group[at[second]] = visit.group[second]
        return clash

    def write(self, visit: Visit, changes: Data, differs: Data) -> Clash | None:
        """Note writes; return those that race.

        Writes of one value to one place by several invocations are no race: ``changes`` tells which
        writes change what was there, and ``differs`` which are not what is there afterwards.
        """
        clash = self._with_writer(visit, changes) or self._with_reader(visit)
        at, lane = visit.at, visit.lane
        self._writer[at] = lane
        self._write_stamp[at] = visit.stamp
        self._write_line[at] = visit.line
        if self._is_global:
            self._write_group[at] = visit.group
        return clash or self._with_each_other(visit, differs)

    def _with_writer(self, visit: Visit, changes: Data | np.bool_) -> Clash | None:
        writer = self._writer[visit.at]
        wrong = (self._write_stamp[visit.at] == visit.stamp) & (writer != visit.lane)
        if self._is_global:
            group = self._write_group[visit.at]
            wrong |= (group != _NOBODY) & (group != visit.group)
        wrong &= changes
        if not wrong.any():
            return None
        return Clash(wrong, "written", writer, self._write_line[visit.at])

    def _with_reader(self, visit: Visit) -> Clash | None:
        at, lane = visit.at, visit.lane
        reader, other = self._reader[at], self._other[at]
        met = self._meeting[at] != visit.meeting
        early = met & (self._reader_subgroup[at] == visit.subgroup)
        wrong = (reader != lane) & ~early
        early = met & (self._other_subgroup[at] == visit.subgroup)
        wrong |= (other != _NOBODY) & (other != lane) & ~early
        wrong &= self._read_stamp[at] == visit.control
        if self._is_global:
            for group in (self._read_group[at], self._other_group[at]):
                wrong |= (group != _NOBODY) & (group != visit.group)
        if not wrong.any():
            return None
        who = np.where((reader == lane) & (other != _NOBODY), other, reader)
        return Clash(wrong, "read", who, self._read_line[at])

    def _with_each_other(self, visit: Visit, differs: Data) -> Clash | None:
        """Find the invocations that write different values in the same line."""
        writer = self._writer[visit.at]
        wrong = (writer != visit.lane) & differs
        if not wrong.any():
            return None
        return Clash(wrong, "written", writer, self._write_line[visit.at])
