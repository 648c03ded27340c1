"""Which memory each buffer of a captured graph gets.

Buffers that are no longer referred to when the capture ends are *passing*: they hold something from
the first command that uses them to the last. Those whose commands lie apart share a slot, so that
a graph takes little more than what it holds at once; and slots are shared by all graphs of a device
(`Scratch`), since one queue runs them one after the other. The *lasting* buffers have their own
memory: the host may write them before a replay, and a replay may find what the last one left.
"""

from __future__ import annotations

import bisect
import itertools
from collections.abc import Callable, Iterable
from typing import Any

from gpucore.backends import Recording

__all__ = ["Planned", "Scratch", "Share", "Slot", "real", "shared_slots"]


class Slot:
    """Memory of so many bytes, and the commands at which somebody has it."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.handle: Any = None
        self._firsts: list[int] = []
        self._lasts: list[int] = []

    def is_free(self, first: int, last: int) -> bool:
        """Whether nobody has it from command ``first`` to ``last``."""
        at = bisect.bisect_right(self._firsts, last)
        return at == 0 or self._lasts[at - 1] < first

    def take(self, first: int, last: int) -> None:
        """Have it from command ``first`` to ``last``; it is free there."""
        at = bisect.bisect_right(self._firsts, last)
        self._firsts.insert(at, first)
        self._lasts.insert(at, last)


class Planned:
    """In the place of a handle while a capture is under way; ``slot`` is known when it ends."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.slot: Slot | None = None
        self._first = self._last = -1

    @property
    def span(self) -> tuple[int, int] | None:
        """First and last command that uses it; None where none does."""
        return None if self._last < 0 else (self._first, self._last)

    def use(self, command: int) -> None:
        """Command ``command`` uses it; they come in order."""
        if self._last < 0:
            self._first = command
        self._last = command


def real(handle: Any) -> Any:
    """A handle as the backend knows it."""
    if not isinstance(handle, Planned):
        return handle
    assert handle.slot is not None
    return handle.slot.handle


def shared_slots(passing: Iterable[Planned]) -> list[Slot]:
    """Give each that is used a slot; returns them, the largest first.

    Greedy: the largest buffers choose first, and take the largest slot that is free. In the
    networks of Stable Diffusion that comes to 11 to 37 % more than is held at once; the smallest
    slot instead would leave the autoencoder 1 to 8 % more.
    """
    uses = [(each, *each.span) for each in passing if each.span is not None]
    slots: list[Slot] = []
    for each, first, last in sorted(uses, key=lambda use: (-use[0].nbytes, use[1])):
        free = [s for s in slots if s.nbytes >= each.nbytes and s.is_free(first, last)]
        if not free:
            slots.append(Slot(each.nbytes))
        each.slot = max(free, key=lambda slot: slot.nbytes, default=slots[-1])
        each.slot.take(first, last)
    return slots


class Share:
    """A graph's part of the scratch memory: its slots, the largest first.

    ``bound`` is what the graph submits, in both forms, made for the memory where the slots are
    ``in_place``; None once they must be sought again, so that nobody touches memory that is gone.
    """

    def __init__(self, slots: list[Slot]) -> None:
        self.slots = slots
        self.in_place = False
        self.bound: tuple[list[Recording], list[Recording]] | None = None


class Scratch:
    """Handles that all graphs of a device use in turn.

    A graph's largest slot lies in the first handle, its second largest in the second: each handle
    is as large as the largest slot of its rank. ``allocate`` and ``free`` are the device's;
    ``give`` takes what is idle from now on.
    """

    def __init__(
        self,
        allocate: Callable[[int], Any],
        free: Callable[[list[Any]], None],
        give: Callable[[Any], None],
    ) -> None:
        self._allocate, self._free, self._give = allocate, free, give
        self._shares: set[Share] = set()
        self._handles: dict[int, Any] = {}
        self._moves = 0

    def join(self, share: Share) -> None:
        """There is to be room for its slots until it leaves."""
        self._shares.add(share)

    def find(self, share: Share) -> None:
        """Put handles into the slots of one that has joined. Raises `OutOfMemoryError`."""
        while not share.in_place:
            sizes = self._sizes()
            self._free_small(sizes)
            moves = self._moves
            for rank, slot in enumerate(share.slots):
                if rank not in self._handles:
                    self._handles[rank] = self._allocate(sizes[rank])
                slot.handle = self._handles[rank]
            share.in_place = moves == self._moves  # to allocate may end other graphs

    def leave(self, share: Share) -> None:
        """What it alone was in want of is idle."""
        before = self._sizes()
        self._shares.discard(share)
        after = self._sizes()
        for rank, (old, new) in enumerate(itertools.zip_longest(before, after, fillvalue=0)):
            if new < old and rank in self._handles:
                self._move()
                self._give(self._handles.pop(rank))

    def _free_small(self, sizes: list[int]) -> None:
        """At once, so that the old and the new memory are not there both."""
        small = [rank for rank, handle in self._handles.items() if handle.nbytes < sizes[rank]]
        if small:
            self._move()
            self._free([self._handles.pop(rank) for rank in small])

    def _move(self) -> None:
        self._moves += 1
        for share in self._shares:
            share.in_place, share.bound = False, None

    def _sizes(self) -> list[int]:
        each = ([slot.nbytes for slot in share.slots] for share in self._shares)
        return [max(rank) for rank in itertools.zip_longest(*each, fillvalue=0)]
