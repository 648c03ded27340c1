"""Draw and wait: for routes whose answer is the pictures. A client that leaves cancels its jobs."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import replace
from typing import Final

from fastapi import Request

from diffusion.server.engine.messages import Stop
from diffusion.server.errors import (
    BusyError,
    ConflictError,
    RefusedError,
    ServerError,
    UnavailableError,
)
from diffusion.server.jobs.job import Job, JobState, Origin
from diffusion.server.jobs.request import JobRequest
from diffusion.server.jobs.scheduler import Scheduler
from diffusion.server.services import Services

__all__ = ["draw_and_wait", "draw_series", "end_of_job", "require_pictures"]

AHEAD: Final = 4
"""Jobs of a series that wait or are drawn at once, so that engines always have some."""


async def draw_and_wait(
    request: Request, services: Services, asked: JobRequest, origin: Origin
) -> Job:
    """Return a job once its pictures are there. Raises as `Scheduler.submit`, and `ServerError`."""

    async def one() -> AsyncIterator[JobRequest]:
        yield asked

    (job,) = await draw_series(request, services, one(), origin)
    return job


async def draw_series(
    request: Request,
    services: Services,
    asked: AsyncIterator[JobRequest],
    origin: Origin,
    note_first: Callable[[Job], None] | None = None,
) -> list[Job]:
    """Return the jobs of several requests in their order, once their pictures are there.

    ``origin`` says how many there are; ``note_first`` is told of the first that is queued.
    One that is interrupted ends the series: those before it are returned, and it with what it has.
    Raises as `Scheduler.submit`, and `ServerError`.
    """
    scheduler, jobs = services.scheduler, list[Job]()
    leaving = asyncio.create_task(_wait_for_leave(request))
    try:
        async for each in asked:
            if len(jobs) >= AHEAD:
                await _wait(jobs[len(jobs) - AHEAD], leaving)
            if leaving.done() or _is_cut(jobs):
                break
            await _submit(scheduler, each, replace(origin, part=len(jobs)), jobs, leaving)
            if note_first is not None and len(jobs) == 1:
                note_first(jobs[0])
        for job in jobs:
            if _is_cut(jobs):
                await _drop([each for each in jobs if each.stop is None], scheduler)
            await _wait(job, leaving)
            if leaving.done():
                break
    finally:
        leaving.cancel()
        await _drop(jobs, scheduler)
    return _find_done(services, jobs)


async def _submit(
    scheduler: Scheduler,
    asked: JobRequest,
    origin: Origin,
    jobs: list[Job],
    leaving: asyncio.Task[None],
) -> None:
    """Add the job of a request; where the queue is full, once an earlier one of ours has ended."""
    while True:
        try:
            job = await scheduler.submit(asked, origin)
            break
        except BusyError:
            ours = next((each for each in jobs if not each.state.is_final), None)
            if ours is None:
                raise
            await _wait(ours, leaving)
            if leaving.done():
                return
    assert isinstance(job, Job), "a request without a key is never an earlier one"
    jobs.append(job)


def _is_cut(jobs: Sequence[Job]) -> bool:
    """Tell whether a job was interrupted, cancelled or failed, so that no more are drawn."""
    ends = (JobState.CANCELLED, JobState.FAILED)
    return any(job.stop is not None or job.state in ends for job in jobs)


def _find_done(services: Services, jobs: Sequence[Job]) -> list[Job]:
    """Return the jobs that were drawn. Raises `ServerError` where one failed, or none was drawn."""
    done = [job for job in jobs if job.state is JobState.DONE]
    for job in jobs:
        problem = end_of_job(services, job)
        if problem is not None and (not done or job.state is JobState.FAILED):
            raise problem
    if not done:
        raise ConflictError("the client left before a picture was there")
    return done


def end_of_job(services: Services, job: Job) -> ServerError | None:
    """Return the error that tells how a job has ended without its pictures; None for done."""
    if job.state is JobState.DONE:
        return None
    if job.state is JobState.FAILED:
        if job.passing:
            return UnavailableError(job.message, 5)
        return RefusedError(job.message) if job.wrong_input else ServerError(job.message)
    if services.scheduler.draining:
        return UnavailableError("the server is stopping; come again once it is back", 5)
    return ConflictError("the job was cancelled before its pictures were there")


def require_pictures(job: Job) -> None:
    """Raise `ConflictError` for a job that was interrupted before its first picture."""
    if not job.pictures:
        raise ConflictError("the job was interrupted before its first picture was there")


async def _wait(job: Job, leaving: asyncio.Task[None]) -> None:
    """Return once a job has ended, or the client has left."""
    if job.state.is_final:
        return
    ending = asyncio.ensure_future(job.final.wait())
    await asyncio.wait({leaving, ending}, return_when=asyncio.FIRST_COMPLETED)
    ending.cancel()


async def _drop(jobs: Sequence[Job], scheduler: Scheduler) -> None:
    for job in jobs:
        await scheduler.stop(job, Stop.DROP)  # one that has ended stays as it is


async def _wait_for_leave(request: Request) -> None:
    """Return once the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
