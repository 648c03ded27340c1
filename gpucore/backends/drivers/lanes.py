"""Streams of a card that run beside each other, and the order of what uses the same memory.

A device begins with one. Once there are more, each submission leaves a mark at the memory that it
uses: an event behind it. Whatever reads or overwrites that memory in another stream waits for the
mark, on the card. So each program means what it means on engines with one queue.
"""

from __future__ import annotations

import ctypes as c
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from typing import Final, NamedTuple, Protocol

from gpucore.backends.drivers.driver import Driver
from gpucore.backends.drivers.memory import CardBuffer, PinnedMemory
from gpucore.backends.interface import Command, Copy, Recording
from gpucore.errors import GpuError

__all__ = ["Lane", "Lanes", "Mark", "Plan", "Used"]

_NON_BLOCKING: Final = 1
Memory = CardBuffer | PinnedMemory


class Used(NamedTuple):
    """The memory that commands read, and what they write."""

    reads: frozenset[Memory]
    writes: frozenset[Memory]

    @classmethod
    def by(cls, commands: Sequence[Command]) -> Used:
        """Return the memory of commands; that of a planned recording is found once."""
        plan = commands.plan if isinstance(commands, Recording) else None
        if isinstance(plan, Plan) and plan.used is not None:
            return plan.used
        reads: set[Memory] = set()
        writes: set[Memory] = set()
        for command in commands:
            if isinstance(command, Copy):
                writes.add(command.target)
                reads.add(command.source)
            else:
                reads.update(command.group.reads)
                writes.update(command.group.writes)
        found = cls(frozenset(reads - writes), frozenset(writes))
        if isinstance(plan, Plan):
            plan.used = found
        return found


class Plan:
    """The driver's graph of a recording; ``doomed`` takes its address when the recording ends."""

    __slots__ = ("_doomed", "address", "used")

    def __init__(self, address: int, doomed: deque[tuple[str, int]]) -> None:
        self.address = address
        self.used: Used | None = None
        self._doomed = doomed

    def __del__(self) -> None:
        self._doomed.append(("destroy_plan", self.address))


class LanesOwner(Protocol):
    """The part of a `CardBackend` that its lanes use."""

    def new_event(self, lane: Lane | None = None, *, timing: bool = False) -> int:
        """Record a new event in a lane; None is the main one."""

    def drop_event(self, event: int) -> None:
        """Destroy an event later; the collector calls it at any time, in any thread."""

    def let_wait(self, lane: Lane, event: int) -> None:
        """Let what a lane is given from here on wait for an event."""


class Lane:
    """A stream of the driver.

    ``tick`` counts its marks. ``seen`` has the last tick of other lanes that it waits for.
    """

    __slots__ = ("seen", "stream", "tick")

    def __init__(self, driver: Driver) -> None:
        made = c.c_void_p()
        driver("create_stream", c.byref(made), _NON_BLOCKING)
        self.stream = made.value or 0
        self.tick = 0
        self.seen: dict[Lane, int] = {}


class Mark:
    """The end of a submission: an event, kept as long as memory names it."""

    __slots__ = ("_owner", "event", "lane", "tick")

    def __init__(self, owner: LanesOwner, lane: Lane) -> None:
        self.lane = lane
        self.event = owner.new_event(lane)
        self._owner = owner
        lane.tick += 1
        self.tick = lane.tick

    def __del__(self) -> None:
        if hasattr(self, "_owner"):
            self._owner.drop_event(self.event)


class Lanes:
    """All streams of a device, ``main`` and those that were asked for."""

    def __init__(self, owner: LanesOwner, driver: Driver) -> None:
        self._owner = owner
        self._driver = driver
        self._idle: deque[Lane] = deque()
        self.main = Lane(driver)
        self.all = [self.main]

    def take(self) -> Lane:
        """Return a lane for a new stream, behind all that the main one was given."""
        if self._idle:
            lane = self._idle.popleft()
        else:
            lane = Lane(self._driver)
            self.all.append(lane)
        self._wait(lane, Mark(self._owner, self.main))
        return lane

    def give(self, lane: Lane) -> None:
        """Take a lane back for the next stream; the collector calls it in any thread."""
        if lane is not self.main:
            self._idle.append(lane)

    def submission(self, lane: Lane, commands: Sequence[Command]) -> AbstractContextManager[None]:
        """Return a context to give a lane commands in, at their place in the order."""
        return self._keep_order(lane, Used.by(commands)) if len(self.all) > 1 else nullcontext()

    def use(
        self, *, reads: Memory | None = None, writes: Memory | None = None
    ) -> AbstractContextManager[None]:
        """Return a context to give the main lane something in that uses memory."""
        if len(self.all) == 1:
            return nullcontext()
        one, other = (frozenset(() if each is None else (each,)) for each in (reads, writes))
        return self._keep_order(self.main, Used(one, other))

    @contextmanager
    def _keep_order(self, lane: Lane, used: Used) -> Iterator[None]:
        """Give a lane what is behind other lanes' uses of memory, and ahead of later ones."""
        for mark in _marks_before(used):
            self._wait(lane, mark)
        try:
            yield
        except GpuError:  # a part of it may run
            with suppress(GpuError):
                self._note(lane, used)
            raise
        self._note(lane, used)

    def _wait(self, lane: Lane, mark: Mark) -> None:
        if mark.lane is not lane and mark.tick > lane.seen.get(mark.lane, 0):
            self._owner.let_wait(lane, mark.event)
            lane.seen[mark.lane] = mark.tick

    def _note(self, lane: Lane, used: Used) -> None:
        mark = Mark(self._owner, lane)
        for handle in used.writes:
            handle.written, handle.read = mark, {}
        for handle in used.reads:
            handle.read[lane] = mark


def _marks_before(used: Used) -> Iterator[Mark]:
    """Yield what must be done before memory is read, and before it is written."""
    for handle in (*used.reads, *used.writes):
        if handle.written is not None:
            yield handle.written
    for handle in used.writes:
        yield from handle.read.values()
