"""``/api/v1/queue`` and ``PATCH /api/v1/jobs/JOB``: what waits, and in which order."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from fastapi import APIRouter, Path
from pydantic import BaseModel, ConfigDict, Field

from diffusion.server.errors import ForbiddenError, NotFoundError, RefusedError
from diffusion.server.routes.given import CurrentUser, Parts

__all__ = ["router"]

router = APIRouter(prefix="/api/v1", tags=["jobs"])


class JobChange(BaseModel):
    """The changes to a job that waits.

    ``place``: in the line of its user's jobs of the same priority; 0 is the next.
    """

    model_config = ConfigDict(extra="forbid", strict=True)

    priority: Annotated[int, Field(ge=-10, le=10)] | None = None
    place: Annotated[int, Field(ge=0, le=100_000)] | None = None


@router.get("/queue")
async def list_waiting_jobs(services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """List the jobs that wait, the next first: one's own, for admins all.

    ``place`` counts those of all users that come before, from 0.
    """
    queue = list(services.scheduler.queue)
    own = ((place, job) for place, job in enumerate(queue) if _may_see(user, job.origin.user))
    jobs = [{**job.report(), "user": job.origin.user, "place": place} for place, job in own]
    return {"waiting": len(queue), "running": len(services.scheduler.running), "jobs": jobs}


@router.patch("/jobs/{job}")
async def change_job(
    change: JobChange,
    number: Annotated[str, Path(alias="job", pattern="^[0-9a-f]{24}$")],
    services: Parts,
    user: CurrentUser,
) -> Mapping[str, object]:
    """Change the priority of a job that waits, or move it; 409 where it waits no more.

    A priority above 0 needs the scope admin.
    """
    if change.priority is None and change.place is None:
        raise RefusedError("say what changes: priority, place or both")
    if (change.priority or 0) > 0 and not user.admin:
        raise ForbiddenError(f"{user.name} lacks the scope admin, which a priority above 0 needs")
    job = services.scheduler.jobs.get(number)
    if job is None or not _may_see(user, job.origin.user):
        raise NotFoundError(f"there is no job {number} that waits; GET /api/v1/queue lists yours")
    await services.scheduler.reorder(job, change.priority, change.place)
    return job.report()


def _may_see(user: CurrentUser, owner: str) -> bool:
    return user.admin or user.name == owner
