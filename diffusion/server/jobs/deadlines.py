"""Deadlines: timers for jobs that are of no use later."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Coroutine

from diffusion.server.jobs.job import Job

__all__ = ["Deadlines"]


class Deadlines:
    """Calls ``expire(job)`` in the event loop for each job that is watched when its time comes."""

    def __init__(self, expire: Callable[[Job], Coroutine[None, None, None]]) -> None:
        self._expire = expire
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def watch(self, job: Job) -> None:
        """Watch a job, if it has a deadline."""
        if job.origin.deadline is not None:
            delay = max(0.0, job.origin.deadline - time.time())
            self._timers[job.id] = asyncio.get_running_loop().call_later(delay, self._call, job)

    def _call(self, job: Job) -> None:
        self._timers.pop(job.id, None)
        task = asyncio.ensure_future(self._expire(job))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    def forget(self, job: Job) -> None:
        """Watch a job no more."""
        timer = self._timers.pop(job.id, None)
        if timer is not None:
            timer.cancel()

    def close(self) -> None:
        """Watch none any more."""
        for timer in self._timers.values():
            timer.cancel()
        self._timers.clear()
