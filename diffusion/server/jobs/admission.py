"""Admission: whether a queue takes one more job, and when to come again."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from diffusion.server.engine.interface import Engine, EngineState
from diffusion.server.errors import BusyError, UnavailableError
from diffusion.server.jobs.fair_queue import FairQueue
from diffusion.server.jobs.job import Job
from diffusion.server.jobs.request import WorkLimits
from diffusion.server.metrics import Metrics

__all__ = ["Admission", "SchedulerOptions"]

LONGEST_WAIT: Final = 600
REMEMBERED: Final = 20
"""Jobs whose durations tell how long one takes."""


@dataclass(frozen=True)
class SchedulerOptions:
    """Limits of the queue. ``queue``: jobs that may wait; ``preview_every``: steps, 0 for none.

    ``memory``: bytes of the pictures that waiting jobs start from.
    """

    queue: int = 100
    preview_every: int = 5
    work: WorkLimits = field(default_factory=WorkLimits)
    memory: int = 1 << 30


class Admission:
    """The rules by which jobs are let into a queue.

    Attributes:
        adding: jobs that are let in, and are still being written.
    """

    def __init__(
        self,
        queue: FairQueue,
        options: SchedulerOptions,
        engines: Sequence[Engine],
        metrics: Metrics,
    ) -> None:
        self.adding = 0
        self._queue, self._options, self._engines = queue, options, engines
        self._metrics = metrics
        self._durations: deque[float] = deque(maxlen=REMEMBERED)

    def note_duration(self, seconds: float) -> None:
        """Remember how long a job took."""
        self._durations.append(seconds)

    def expected_wait(self) -> int:
        """Return the seconds until the queue will have moved by one job."""
        mean = sum(self._durations) / len(self._durations) if self._durations else 1.0
        at_once = sum(engine.capacity for engine in self._engines)
        return max(1, min(LONGEST_WAIT, round(mean / at_once)))

    def require_room(self, *, draining: bool) -> None:
        """Raise `UnavailableError` or `BusyError` where no job can be taken."""
        if draining:
            self._metrics.refused.labels("draining").inc()
            raise UnavailableError("the server is stopping; come again once it is back", 5)
        if all(engine.status.state is EngineState.FAILED for engine in self._engines):
            self._metrics.refused.labels("no_device").inc()
            raise UnavailableError(f"no device can draw: {self._engines[0].status.reason}")
        if len(self._queue) + self.adding >= self._options.queue:
            self._metrics.refused.labels("queue_full").inc()
            message = f"{len(self._queue)} jobs wait, as many as this server lets; come later"
            raise BusyError(message, self.expected_wait())

    def require_memory(self, job: Job) -> None:
        """Raise `BusyError` where the pictures of the jobs that wait would take too much memory."""
        if job.picture_bytes and len(self._queue):
            waiting = sum(each.picture_bytes for each in self._queue)
            if waiting + job.picture_bytes > self._options.memory:
                self._metrics.refused.labels("memory_full").inc()
                message = f"jobs wait with pictures of {waiting >> 20} MiB; come later"
                raise BusyError(message, self.expected_wait())
