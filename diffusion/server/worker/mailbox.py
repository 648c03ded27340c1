"""The worker's end of the pipe: a thread reads it, so that a stop is known during a step."""

from __future__ import annotations

import os
import queue
import threading
from multiprocessing.connection import Connection

from diffusion.server.engine.messages import Command, EngineEvent, Stop, StopJob

__all__ = ["Mailbox"]

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
        threading.Thread(target=self._read, name="mailbox", daemon=True).start()

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

    def send(self, event: EngineEvent) -> None:
        """Send an event to the server; without it, end the process."""
        try:
            self._connection.send(event)
        except OSError:
            os._exit(0)

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

    def forget(self, job: str) -> None:
        """Forget the stops of a job that has ended."""
        with self._lock:
            self._stops.pop(job, None)
