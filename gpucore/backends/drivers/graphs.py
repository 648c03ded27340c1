"""Making a driver's graph of commands, by capturing them from a stream.

Copies from memory of the host, or launches that are ``beside`` the others, are captured from a
stream of their own, so that the card makes them while it computes: see `sides`.
"""

from __future__ import annotations

import ctypes as c
from collections.abc import Sequence
from typing import Final, Protocol

from gpucore.backends.drivers.driver import Driver
from gpucore.backends.drivers.sides import has_sides, with_sides
from gpucore.backends.interface import Command

__all__ = ["make_graph"]

# Numbers that CUDA and HIP share.
_NON_BLOCKING: Final = 1
_NO_TIMING: Final = 2
_RELAXED: Final = 2  # a capture that does not mind what other threads do


class Run(Protocol):
    """Runs a command in a stream. Without ``follows`` it begins when all before it is done."""

    def __call__(self, command: Command, stream: int, *, follows: bool = True) -> None: ...


def make_graph(driver: Driver, stream: int, commands: Sequence[Command], run: Run) -> int:
    """Return the address of a graph that can be launched. Raises `DriverError`, and as ``run``."""
    graph, plan = c.c_void_p(), c.c_void_p()
    side = _Side(driver) if has_sides(commands) else None
    try:
        driver("begin_capture", stream, _RELAXED)
        try:
            if side is None:
                for command in commands:
                    run(command, stream)
            else:
                side.capture(stream, commands, run)
        except BaseException:
            driver.code("end_capture", stream, c.byref(graph))
            raise
        driver("end_capture", stream, c.byref(graph))
        driver("instantiate_graph", c.byref(plan), graph)
    finally:
        if graph.value:
            driver.code("destroy_graph", graph)
        if side is not None:
            side.destroy()
    return plan.value or 0


class _Side:
    """A stream beside that of a capture, and the events that order both."""

    def __init__(self, driver: Driver) -> None:
        self._driver = driver
        self._events: list[int] = []
        made = c.c_void_p()
        driver("create_stream", c.byref(made), _NON_BLOCKING)
        self._stream = made.value or 0

    def capture(self, main: int, commands: Sequence[Command], run: Run) -> None:
        """Give both streams their commands; at the end the main one has waited for the other."""
        self._driver("wait_event", self._stream, self._event_in(main))
        events: dict[int, int] = {}
        for number, each in enumerate(with_sides(commands)):
            stream = self._stream if each.beside else main
            if each.after is not None:
                self._driver("wait_event", stream, events[each.after])
            run(each.command, stream, follows=each.after is None)
            if each.awaited:
                events[number] = self._event_in(stream)
        self._driver("wait_event", main, self._event_in(self._stream))

    def _event_in(self, stream: int) -> int:
        """Record a new event in a stream."""
        event = c.c_void_p()
        self._driver("create_event", c.byref(event), _NO_TIMING)
        self._events.append(event.value or 0)
        self._driver("record_event", event, stream)
        return event.value or 0

    def destroy(self) -> None:
        """Give events and stream back; the graph needs neither."""
        for event in self._events:
            self._driver.code("destroy_event", event)
        self._driver.code("destroy_stream", self._stream)
