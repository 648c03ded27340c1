"""Draw and wait: for routes whose answer is the pictures. A client that leaves cancels its job."""

from __future__ import annotations

import asyncio

from fastapi import Request

from diffusion.server.engine.messages import Stop
from diffusion.server.errors import ConflictError, RefusedError, ServerError, UnavailableError
from diffusion.server.jobs.job import Job, JobState, Origin
from diffusion.server.jobs.request import JobRequest
from diffusion.server.services import Services

__all__ = ["draw_and_wait", "end_of_job", "require_pictures"]


async def draw_and_wait(
    request: Request, services: Services, asked: JobRequest, origin: Origin
) -> Job:
    """Return a job once its pictures are there. Raises as `Scheduler.submit`, and `ServerError`."""
    job = await services.scheduler.submit(asked, origin)
    assert isinstance(job, Job), "a request without a key is never an earlier one"
    leaving = asyncio.create_task(_wait_for_leave(request))
    ending = asyncio.create_task(job.final.wait())
    try:
        await asyncio.wait({leaving, ending}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in (leaving, ending):
            task.cancel()
        if not job.state.is_final:
            await services.scheduler.stop(job, Stop.DROP)
    problem = end_of_job(services, job)
    if problem is not None:
        raise problem
    return job


def end_of_job(services: Services, job: Job) -> ServerError | None:
    """Return the error that tells how a job has ended without its pictures; None for done."""
    if job.state is JobState.DONE:
        return None
    if job.state is JobState.FAILED:
        return RefusedError(job.message) if job.wrong_input else ServerError(job.message)
    if services.scheduler.draining:
        return UnavailableError("the server is stopping; come again once it is back", 5)
    return ConflictError("the job was cancelled before its pictures were there")


def require_pictures(job: Job) -> None:
    """Raise `ConflictError` for a job that was interrupted before its first picture."""
    if not job.pictures:
        raise ConflictError("the job was interrupted before its first picture was there")


async def _wait_for_leave(request: Request) -> None:
    """Return once the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
