"""Which engine a job goes to.

Jobs of one model share the calls of the UNet (see `diffusion.batching`), so that an engine without
jobs of other models comes first. Then the least busy one does, by the share of its room that is
taken, and among equals one that has the model in memory. A job that lost an engine before runs
alone: if it brings engines down, it takes others with it once at most.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Protocol

from diffusion.server.engine.interface import Engine, EngineState
from diffusion.server.jobs.job import Job

__all__ = ["Placeable", "Running", "choose_engine"]

Running = tuple[Engine, Job]
"""A job that runs, and where."""


class Placeable(Protocol):
    """A job as placing sees it. ``path``: of its model; ``attempts``: starts."""

    @property
    def path(self) -> Path: ...

    @property
    def attempts(self) -> int: ...


def choose_engine(
    engines: Sequence[Engine], running: Iterable[tuple[Engine, Placeable]], job: Placeable
) -> Engine | None:
    """Return the best ready engine with room for a job; None for none."""
    jobs: dict[int, list[Placeable]] = {id(engine): [] for engine in engines}
    for engine, other in running:
        jobs[id(engine)].append(other)

    def cost(engine: Engine) -> tuple[bool, float, bool]:
        others = jobs[id(engine)]
        mixed = any(other.path != job.path for other in others)
        cold = all(each.model != job.path for each in engine.status.models)
        return mixed, len(others) / engine.capacity, cold

    free = [each for each in engines if _has_room(each, job, jobs[id(each)])]
    return min(free, key=cost, default=None)


def _has_room(engine: Engine, job: Placeable, others: Sequence[Placeable]) -> bool:
    """Tell whether an engine can take a job beside the others that it runs."""
    if engine.status.state is not EngineState.READY or len(others) >= engine.capacity:
        return False
    alone = job.attempts > 0 or any(other.attempts > 1 for other in others)
    return not (others and alone)
