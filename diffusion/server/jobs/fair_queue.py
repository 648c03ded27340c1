"""The queue: higher priorities first, then users in turn, and each user's jobs as they came."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Iterator

from diffusion.server.jobs.job import Job

__all__ = ["FairQueue"]


class FairQueue:
    """Jobs that wait. A user with many jobs delays another user's first job by one at most."""

    def __init__(self) -> None:
        self._levels: dict[int, OrderedDict[str, deque[Job]]] = {}

    def __len__(self) -> int:
        return sum(len(jobs) for level in self._levels.values() for jobs in level.values())

    def __iter__(self) -> Iterator[Job]:
        """Yield the jobs in the order in which they would start now."""
        for priority in sorted(self._levels, reverse=True):
            lines = [deque(jobs) for jobs in self._levels[priority].values()]
            while lines:
                for line in lines:
                    yield line.popleft()
                lines = [line for line in lines if line]

    def add(self, job: Job, first: bool = False) -> None:
        """Add a job at the end of its user's line; ``first``: before all of its priority."""
        level = self._levels.setdefault(job.origin.priority, OrderedDict())
        line = level.setdefault(job.origin.user, deque())
        if first:
            line.appendleft(job)
            level.move_to_end(job.origin.user, last=False)
        else:
            line.append(job)

    def pop(self) -> Job | None:
        """Take the next job out; None where none waits."""
        for priority in sorted(self._levels, reverse=True):
            level = self._levels[priority]
            for user, line in level.items():
                job = line.popleft()
                self._leave(priority, user, served=True)
                return job
        return None

    def remove(self, job: Job) -> bool:
        """Take a job out wherever it stands; tell whether it was there."""
        level = self._levels.get(job.origin.priority)
        line = level.get(job.origin.user) if level is not None else None
        if line is None or job not in line:
            return False
        line.remove(job)
        self._leave(job.origin.priority, job.origin.user, served=False)
        return True

    def move(self, job: Job, place: int) -> bool:
        """Move a job to a place, from 0, among those of its user and priority.

        Tell whether it waits.
        """
        level = self._levels.get(job.origin.priority)
        line = level.get(job.origin.user) if level is not None else None
        if line is None or job not in line:
            return False
        line.remove(job)
        line.insert(place, job)
        return True

    def _leave(self, priority: int, user: str, served: bool) -> None:
        """Drop an empty line; a user who was served stands last."""
        level = self._levels[priority]
        if not level[user]:
            del level[user]
        elif served:
            level.move_to_end(user)
        if not level:
            del self._levels[priority]
