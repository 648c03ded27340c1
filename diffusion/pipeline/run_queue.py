"""The queue of a device's runs: pictures that several threads ask for are drawn one by one."""

from __future__ import annotations

import threading
from collections.abc import Callable, Generator
from typing import TypeVar

from gpucore import CaptureError, Device, PerDevice

__all__ = ["RunQueue", "queue_of"]

E = TypeVar("E")
R = TypeVar("R")

_LOOK_SECONDS = 0.2  # Windows lets Ctrl-C through between two looks


class RunQueue:
    """Lets one thread's runs begin at a time; others wait until those are done or closed.

    A thread that begins a second run while its first is open need not wait: their steps alternate
    as it asks for them. A run is its thread's that asked for its last step. Where that has ended,
    nobody waits for the run.

    Attributes:
        turn: the lock in which each step is made, and whatever else uses a model's networks.
    """

    def __init__(self) -> None:
        self.turn = threading.RLock()
        self._open: dict[object, threading.Thread] = {}
        self._changed = threading.Condition()

    @property
    def is_idle(self) -> bool:
        """Tell whether no run is open."""
        return not self._open

    def events(self, make: Callable[[], Generator[E, R | None, None]]) -> Generator[E, R | None]:
        """Yield the events of ``make()``, each of them made in a turn, once the queue is free.

        What is sent or thrown goes on to them.
        """
        run = object()
        self._begin(run)
        try:
            with self.turn:
                events = make()
            # Closed without a turn: the collector may do that in a thread that has the device.
            try:
                reply: R | None = None
                thrown: Exception | None = None
                while True:
                    with self.turn:
                        self._open[run] = threading.current_thread()
                        try:
                            event = events.throw(thrown) if thrown else events.send(reply)
                        except StopIteration:
                            return
                        finally:  # an error refers to all that its run had
                            reply = thrown = None
                    try:
                        reply = yield event
                    except Exception as error:  # noqa: BLE001 - the run's own, to mend or to raise
                        thrown = error
            finally:
                events.close()
        finally:
            with self._changed:
                del self._open[run]
                self._changed.notify_all()

    def _begin(self, run: object) -> None:
        """Wait until no other thread has an open run, then open this one."""
        here = threading.current_thread()
        with self._changed:
            while any(each is not here and each.is_alive() for each in self._open.values()):
                self._changed.wait(_LOOK_SECONDS)
            self._open[run] = here


_queues: PerDevice[RunQueue] = PerDevice(lambda device: RunQueue())


def queue_of(device: Device) -> RunQueue:
    """Return the queue of a device.

    Raises `gpucore.CaptureError` inside ``device.capture()``, where a run would wait for threads
    that wait for the end of the capture.
    """
    with device.lock:  # raises after a fork
        if device.stream.is_capturing:
            raise CaptureError(
                "a pipeline inside device.capture(): it captures graphs and reads results itself; "
                "call it outside"
            )
        return _queues.of(device)
