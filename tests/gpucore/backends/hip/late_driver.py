"""HIP on a processor that runs things as late, and in as odd an order, as it may.

It keeps what it is given, by stream, and runs it in a random order: each stream's work in its own
order, and nothing ahead of an event that it waits for. A graph has streams of its own, as many as
it was captured from.
"""

from __future__ import annotations

import ctypes as c
from collections import deque
from collections.abc import Callable
from functools import partial
from random import Random
from typing import Any, NamedTuple

from tests.gpucore.backends.hip.host_hip import NOT_READY, HostDriver, HostLaunch

__all__ = ["LateDriver"]

UNJOINED = 904


class Captured(NamedTuple):
    """What a stream was given in a capture: a command, or an event to record or to wait for."""

    stream: int
    what: str
    given: Any


class LateDriver(HostDriver):
    """libamdhip64 whose streams run in a random order.

    ``waits`` counts the streams' waits. With ``ignores_waits`` it takes no notice of them, and with
    ``hurries`` a graph's streams beside the main one run as early as they may. ``done`` has the
    commands of graphs in the order in which they ran. A graph begins with NaN in all that it copies
    from the host.
    """

    def __init__(self, seed: int, *, ignores_waits: bool = False, hurries: bool = False) -> None:
        super().__init__("gfx1030")
        self.waits = 0
        self.done: list[Any] = []
        self._ignores_waits, self._hurries = ignores_waits, hurries
        self._random = Random(seed)
        self._given: dict[int, deque[Callable[[], bool]]] = {}
        self._reached: set[int] = set()
        self._main = 0  # the stream that is captured
        self._beside: set[int] = set()
        self._stream_of_launch: Any = None

    def _give(self, stream: Any, step: Callable[[], object]) -> None:
        self._given.setdefault(number_of(stream), deque()).append(lambda: step() is not False)

    def _step(self) -> bool:
        """Run the next thing of a random stream that can go on; False where none can."""
        streams = [number for number, given in self._given.items() if given]
        self._random.shuffle(streams)
        if self._hurries:
            streams.sort(key=lambda number: number not in self._beside)
        for stream in streams:
            if self._given[stream][0]():
                self._given[stream].popleft()
                return True
        return False

    def _captures(self, stream: Any, what: str, given: Any) -> bool:
        """Keep what a stream is given in a capture; False where there is none."""
        if self._captured is None:
            return False
        self._captured.append(Captured(number_of(stream), what, given))
        return True

    def _record_event(self, event: Any, stream: Any) -> None:
        number = number_of(event)
        if not self._captures(stream, "record", number):
            self._give(stream, lambda: self._reached.add(number))

    def _wait_event(self, stream: Any, event: Any, flags: int) -> None:
        if self._captures(stream, "wait", number_of(event)):
            return
        self.waits += 1
        if not self._ignores_waits:
            self._give(stream, lambda: event in self._reached)

    def _query_event(self, event: int) -> int:
        for _ in range(self._random.randrange(3)):
            self._step()
        if event in self._reached or self._step():
            return 0 if event in self._reached else NOT_READY
        raise AssertionError("streams wait for each other")

    def _synchronize_stream(self, stream: Any) -> None:
        while self._step():
            pass

    def _free(self, address: int, stream: Any) -> None:
        def free() -> None:
            del self.memory[address]

        self._give(stream, free)

    def _copy_in(self, target: int, source: int, nbytes: int, stream: Any) -> None:
        if self._captures(stream, "fill", (target, source, nbytes)):
            return
        if source in self.memory:  # pinned: the card reads it when the copy runs
            self._give(stream, lambda: c.memmove(target, source, nbytes))
        else:
            data = c.string_at(source, nbytes)
            self._give(stream, lambda: c.memmove(target, data, nbytes))

    def _copy(self, target: int, source: int, nbytes: int, stream: Any) -> None:
        if not self._captures(stream, "run", (target, source, nbytes)):
            self._give(stream, lambda: c.memmove(target, source, nbytes))

    _copy_out = _copy

    def _launch(self, function: int, *given: Any) -> int:
        self._stream_of_launch = given[7]
        return super()._launch(function, *given)

    def _do(self, command: Any) -> None:
        if not self._captures(self._stream_of_launch, "run", command):
            self._give(self._stream_of_launch, lambda: self._run(command))

    def _begin_capture(self, stream: Any, mode: int) -> None:
        super()._begin_capture(stream, mode)
        self._main = number_of(stream)

    def _end_capture(self, stream: Any, graph: Any) -> int:
        captured = self._captured or []
        super()._end_capture(stream, graph)
        self.graphs[graph._obj.value] = [self._main, *captured]
        ends = {each.stream: each for each in captured if each.what != "wait"}
        awaited = {each.given for each in captured if each[:2] == (self._main, "wait")}
        joined = all(
            end.what == "record" and end.given in awaited
            for number, end in ends.items()
            if number != self._main
        )
        return 0 if joined else UNJOINED

    def _launch_graph(self, plan: int, stream: Any) -> None:
        main, *captured = self.graphs[plan]
        streams, events = {main: number_of(stream)}, dict[int, int]()
        new = partial(next, self._numbers)
        for each in captured:
            if each.what == "fill":
                self._give(stream, partial(c.memset, each.given[0], 255, each.given[2]))
        for each in captured:
            if each.stream not in streams:
                streams[each.stream] = new()
                self._beside.add(streams[each.stream])
            if each.what == "record":
                self._record_event(events.setdefault(each.given, new()), streams[each.stream])
            elif each.what == "wait":
                self._wait_event(streams[each.stream], events[each.given], 0)
            else:
                self._give(streams[each.stream], partial(self._run_captured, each.given))

    def _run_captured(self, command: Any) -> None:
        self.done.append(command)
        if isinstance(command, HostLaunch):
            self._run(command)
        else:
            c.memmove(*command)


def number_of(given: Any) -> int:
    """Return the number of a stream or an event, which may be one of C."""
    number: int = getattr(given, "value", given)
    return number
