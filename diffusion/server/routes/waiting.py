"""Draw and wait: for routes whose answer is the pictures. A client that leaves cancels its job."""

from __future__ import annotations

import asyncio

from fastapi import Request

from diffusion.server.engine.messages import Stop
from diffusion.server.errors import ConflictError, RefusedError, ServerError, UnavailableError
from diffusion.server.jobs.job import Job, JobState, Origin
from diffusion.server.jobs.request import JobRequest
from diffusion.server.services import Services

__all__ = ["draw_and_wait"]


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
    if job.state is JobState.DONE:
        return job
    if job.state is JobState.FAILED:
        raise RefusedError(job.message) if job.wrong_input else ServerError(job.message)
    if services.scheduler.draining:
        raise UnavailableError("the server is stopping; come again once it is back", 5)
    raise ConflictError("the job was cancelled before its pictures were there")


async def _wait_for_leave(request: Request) -> None:
    """Return once the client has closed its connection."""
    while (await request.receive())["type"] != "http.disconnect":
        pass
