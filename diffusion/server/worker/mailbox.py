"""The worker's end of the pipe: a thread reads it, so that a stop is known during a step.

Another thread writes to it. It also makes the files of pictures, while the device goes on.
"""

from __future__ import annotations

import os
import queue
import threading
import traceback
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Final

from diffusion.server.engine.messages import Command, EngineEvent, Stop, StopJob

__all__ = ["Mailbox"]

MOST_UNSENT: Final = 64
"""Events that may wait to be sent; beyond it, who sends waits."""

_RANK = {Stop.SKIP: 0, Stop.KEEP: 1, Stop.DROP: 2}


class Mailbox:
    """Commands as they come, and the stops that were asked for.

    When the pipe closes, the server is gone: the process ends at once, whatever it computes.
    """

    def __init__(self, connection: Connection[EngineEvent, Command]) -> None:
        self._connection = connection
        self._commands: queue.SimpleQueue[Command] = queue.SimpleQueue()
        self._stops: dict[str, Stop] = {}
        self._lock = threading.Lock()
        self._unsent: queue.Queue[Callable[[], EngineEvent]] = queue.Queue(MOST_UNSENT)
        for work in (self._read, self._write):
            threading.Thread(target=work, name="mailbox", daemon=True).start()

    def _read(self) -> None:
        while True:
            try:
                command = self._connection.recv()
            except (EOFError, OSError):
                os._exit(0)
            if isinstance(command, StopJob):
                with self._lock:
                    before = self._stops.get(command.job, Stop.SKIP)
                    self._stops[command.job] = max(before, command.how, key=_RANK.__getitem__)
            else:
                self._commands.put(command)

    def _write(self) -> None:
        while True:
            make = self._unsent.get()
            try:
                self._connection.send(make())
            except OSError:
                os._exit(0)
            except BaseException:  # noqa: BLE001 - without this thread the process is mute
                traceback.print_exc()
                os._exit(1)
            finally:
                self._unsent.task_done()

    def send(self, event: EngineEvent) -> None:
        """Send an event to the server, after those before it; without a server, end the process."""
        self._unsent.put(lambda: event)

    def send_later(self, make: Callable[[], EngineEvent]) -> None:
        """Send the event that ``make()`` returns, which the mailbox's thread calls in its turn."""
        self._unsent.put(make)

    def flush(self) -> None:
        """Wait until all is sent."""
        self._unsent.join()

    def next_command(self, wait: bool) -> Command | None:
        """Return the next command; None where none is there and ``wait`` is False."""
        try:
            return self._commands.get(block=wait)
        except queue.Empty:
            return None

    def stop_of(self, job: str) -> Stop | None:
        """Return how a job is to stop; None for not at all. A skip is returned once."""
        with self._lock:
            how = self._stops.get(job)
            if how is Stop.SKIP:
                del self._stops[job]
            return how

    def has_stop(self, job: str) -> bool:
        """Tell whether a job is to stop or to skip, which stays as it is."""
        with self._lock:
            return job in self._stops

    def forget(self, job: str) -> None:
        """Forget the stops of a job that has ended."""
        with self._lock:
            self._stops.pop(job, None)
