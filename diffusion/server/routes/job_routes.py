"""``/api/v1/jobs``: submit, look, cancel, follow by events, and fetch pictures."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Final, Literal

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import StreamingResponse

from diffusion.server.access.users import User
from diffusion.server.engine.messages import Stop
from diffusion.server.errors import ConflictError, ForbiddenError, NotFoundError
from diffusion.server.jobs.event_log import Event
from diffusion.server.jobs.history import StoredJob
from diffusion.server.jobs.job import Job, Origin
from diffusion.server.jobs.request import JobRequest
from diffusion.server.pictures import MEDIA_TYPES, convert_png
from diffusion.server.routes.given import CurrentUser, Parts
from diffusion.server.services import Services

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"])

PING_SECONDS: Final = 15.0
JobNumber = Annotated[str, Path(alias="job", pattern="^[0-9a-f]{24}$")]
Report = Mapping[str, object]


@router.post("", status_code=202)
async def submit_job(
    asked: JobRequest,
    services: Parts,
    user: CurrentUser,
    response: Response,
    priority: Annotated[int, Query(ge=-10, le=10)] = 0,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Report:
    """Queue a job. With the same ``Idempotency-Key`` the same request makes no second one.

    A priority above 0 needs the scope admin.
    """
    if priority > 0 and not user.admin:
        raise ForbiddenError(f"{user.name} lacks the scope admin, which a priority above 0 needs")
    origin = Origin(user.name, "jobs", True, priority, idempotency_key)
    job = await services.scheduler.submit(asked, origin)
    response.headers["location"] = f"/api/v1/jobs/{job.id}"
    return _report(job)


@router.get("")
async def list_jobs(
    services: Parts,
    user: CurrentUser,
    before: Annotated[str | None, Query(pattern="^[0-9a-f]{24}$")] = None,
    limit: Annotated[int, Query(ge=1, le=500)] = 50,
) -> Mapping[str, list[Report]]:
    """List jobs, newest first: one's own, for admins all; ``before`` a job, for the next page.

    ``place``: where a waiting job stands in the queue, from 0.
    """
    owner = None if user.admin else user.name
    stored = await services.history.do(services.history.jobs, owner, before, limit)
    reports = [_report(services.scheduler.jobs.get(each.id) or each) for each in stored]
    places = {job.id: place for place, job in enumerate(services.scheduler.queue)}
    return {"jobs": [{**each, "place": places.get(str(each["id"]))} for each in reports]}


@router.get("/{job}")
async def show_job(number: JobNumber, services: Parts, user: CurrentUser) -> Report:
    """Show a job."""
    return _report(await _find(services, user, number))


@router.delete("/{job}")
async def cancel_job(number: JobNumber, services: Parts, user: CurrentUser) -> Report:
    """Cancel a job: at once where it waits, after the step under way where it runs.

    One that has ended stays as it is.
    """
    job = await _find(services, user, number)
    if isinstance(job, Job):
        await services.scheduler.stop(job, Stop.DROP)
    return _report(job)


router.post("/{job}/cancel")(cancel_job)


@router.post("/{job}/move")
async def move_job(
    number: JobNumber,
    services: Parts,
    user: CurrentUser,
    place: Annotated[int, Query(ge=0, le=100_000)] = 0,
) -> Report:
    """Move a waiting job to a place, from 0, among its user's jobs of the same priority.

    The order holds until the server is started anew.
    """
    job = await _find(services, user, number)
    if not isinstance(job, Job) or not services.scheduler.queue.move(job, place):
        raise ConflictError("this job does not wait any more")
    return _report(job)


@router.get("/{job}/events", response_class=StreamingResponse)
async def follow_job(
    number: JobNumber,
    services: Parts,
    user: CurrentUser,
    last_event_id: Annotated[str | None, Header(max_length=100)] = None,
) -> StreamingResponse:
    """Follow a job by server-sent events: state, stage, progress, preview, picture, end.

    A client that comes again with ``Last-Event-ID`` gets what it missed; where that is not kept any
    more, and at the start, an event ``state`` shows the whole job.
    """
    job = await _find(services, user, number)
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    stream = _events(job, last_event_id)
    return StreamingResponse(stream, media_type="text/event-stream", headers=headers)


@router.get("/{job}/preview", response_class=Response)
async def show_preview(number: JobNumber, services: Parts, user: CurrentUser) -> Response:
    """Return the newest preview of a job that is drawn now, as a JPEG."""
    job = await _find(services, user, number)
    preview = job.progress.preview if isinstance(job, Job) else None
    if preview is None:
        raise NotFoundError("this job has no preview now")
    return Response(preview, media_type="image/jpeg")


@router.get("/{job}/result", response_class=Response)
async def fetch_result(
    number: JobNumber,
    services: Parts,
    user: CurrentUser,
    kind: Annotated[Literal["png", "webp", "jpeg"], Query(alias="format")] = "png",
) -> Response:
    """Return the first picture of a job."""
    return await fetch_picture(number, 0, services, user, kind)


@router.get("/{job}/pictures/{place}", response_class=Response)
async def fetch_picture(
    number: JobNumber,
    place: Annotated[int, Path(ge=0, le=100_000)],
    services: Parts,
    user: CurrentUser,
    kind: Annotated[Literal["png", "webp", "jpeg"], Query(alias="format")] = "png",
) -> Response:
    """Return a picture of a job, with its settings in it."""
    job = await _find(services, user, number)
    pictures = (
        job.pictures
        if isinstance(job, Job)
        else await services.history.do(services.history.pictures, job.id)
    )
    picture = next((each for each in pictures if each.number == place), None)
    if picture is None:
        raise NotFoundError(f"job {number} has no picture {place} yet; its report lists all")
    file = await asyncio.to_thread(services.outputs.read, picture.file)
    if kind != "png":
        file = await asyncio.to_thread(convert_png, file, kind, picture.infotext)
    headers = {"content-disposition": f'inline; filename="{number}-{place}.{kind}"'}
    return Response(file, media_type=MEDIA_TYPES[kind], headers=headers)


async def _find(services: Services, user: User, number: str) -> Job | StoredJob:
    """Return a job of the user, for admins of anybody. Raises `NotFoundError`."""
    job = services.scheduler.jobs.get(number)
    if job is not None and (user.admin or job.origin.user == user.name):
        return job
    owner = None if user.admin else user.name
    stored = await services.history.do(services.history.job, number, owner)
    if stored is None:
        raise NotFoundError(f"there is no job {number}; GET /api/v1/jobs lists yours")
    return stored


def _report(job: Job | StoredJob) -> Report:
    return job.report() if isinstance(job, Job) else job.report


async def _events(job: Job | StoredJob, last_event_id: str | None) -> AsyncIterator[str]:
    """Yield the events of a job as text, and a comment where nothing happens for long."""
    if isinstance(job, StoredJob):
        yield _event_text("end", job.report)
        return
    place = job.log.place_of(last_event_id)
    if place is None:
        place = job.log.count
        name = "end" if job.state.is_final else "state"
        yield _event_text(name, job.report(), Event(place, name, {}).id)
        if job.state.is_final:
            return
    events = job.log.follow(place)
    coming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=PING_SECONDS)
            if not done:
                yield ": still here\n\n"
                continue
            event = coming.result()
            if event is None:
                return
            yield _event_text(event.name, event.data, event.id)
            coming = asyncio.ensure_future(anext(events, None))
    finally:
        coming.cancel()


def _event_text(name: str, data: Report, number: str | None = None) -> str:
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {name}\ndata: {json.dumps(data)}\n\n"
