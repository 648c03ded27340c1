"""``/api/v1/jobs``: submit, look, cancel, follow by events, and fetch pictures."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from typing import Annotated, Literal

from fastapi import APIRouter, Header, Path, Query, Response
from fastapi.responses import StreamingResponse

from diffusion.server.engine.messages import Stop
from diffusion.server.errors import ForbiddenError, NotFoundError
from diffusion.server.jobs.history import StoredJob
from diffusion.server.jobs.job import Job, Origin
from diffusion.server.jobs.request import JobRequest
from diffusion.server.pictures import MEDIA_TYPES, convert_png
from diffusion.server.routes.bodies import PictureRoute
from diffusion.server.routes.event_stream import event_text, follow_log, stream_answer
from diffusion.server.routes.finding import find_job, find_picture
from diffusion.server.routes.given import CurrentUser, Parts

__all__ = ["router"]

router = APIRouter(prefix="/api/v1/jobs", tags=["jobs"], route_class=PictureRoute)

JobNumber = Annotated[str, Path(alias="job", pattern="^[0-9a-f]{24}$")]
Report = Mapping[str, object]


@router.post("", status_code=202)
async def submit_job(
    asked: JobRequest,
    services: Parts,
    user: CurrentUser,
    response: Response,
    priority: Annotated[int, Query(ge=-10, le=10)] = 0,
    deadline: Annotated[float | None, Query(gt=0, le=86400, allow_inf_nan=False)] = None,
    idempotency_key: Annotated[str | None, Header(min_length=1, max_length=200)] = None,
) -> Report:
    """Queue a job. With the same ``Idempotency-Key`` the same request makes no second one.

    A priority above 0 needs the scope admin. ``deadline``: seconds from now; a job that is not done
    by then is stopped and fails.
    """
    if priority > 0 and not user.admin:
        raise ForbiddenError(f"{user.name} lacks the scope admin, which a priority above 0 needs")
    until = None if deadline is None else time.time() + deadline
    origin = Origin(user.name, "jobs", True, priority, idempotency_key, deadline=until)
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
    return _report(await find_job(services, user, number))


@router.delete("/{job}")
async def cancel_job(number: JobNumber, services: Parts, user: CurrentUser) -> Report:
    """Cancel a job: at once where it waits, after the step under way where it runs.

    One that has ended stays as it is.
    """
    job = await find_job(services, user, number)
    if isinstance(job, Job):
        await services.scheduler.stop(job, Stop.DROP)
    return _report(job)


router.post("/{job}/cancel")(cancel_job)


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
    job = await find_job(services, user, number)
    if isinstance(job, StoredJob):
        return stream_answer(_one_event("end", job.report))
    return stream_answer(follow_log(job.log, job.report, job.state.is_final, last_event_id))


@router.get("/{job}/preview", response_class=Response)
async def show_preview(number: JobNumber, services: Parts, user: CurrentUser) -> Response:
    """Return the newest preview of a job that is drawn now, as a JPEG."""
    job = await find_job(services, user, number)
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
    picture = await find_picture(services, user, number, place)
    file = await asyncio.to_thread(services.outputs.read, picture.file)
    if kind != "png":
        file = await asyncio.to_thread(convert_png, file, kind, picture.infotext)
    headers = {"content-disposition": f'inline; filename="{number}-{place}.{kind}"'}
    return Response(file, media_type=MEDIA_TYPES[kind], headers=headers)


def _report(job: Job | StoredJob) -> Report:
    return job.report() if isinstance(job, Job) else job.report


async def _one_event(name: str, data: Report) -> AsyncIterator[str]:
    yield event_text(name, data)
