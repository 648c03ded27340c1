"""Find a user's jobs and pictures, whether they are in memory or in the history alone."""

from __future__ import annotations

from diffusion.server.access.users import User
from diffusion.server.errors import NotFoundError
from diffusion.server.jobs.history import StoredJob
from diffusion.server.jobs.job import Job, PictureRecord
from diffusion.server.services import Services

__all__ = ["find_job", "find_picture"]


async def find_job(services: Services, user: User, number: str) -> Job | StoredJob:
    """Return a job of the user, for admins of anybody. Raises `NotFoundError`."""
    job = services.scheduler.jobs.get(number)
    if job is not None and (user.admin or job.origin.user == user.name):
        return job
    owner = None if user.admin else user.name
    stored = await services.history.do(services.history.job, number, owner)
    if stored is None:
        raise NotFoundError(f"there is no job {number}; GET /api/v1/jobs lists yours")
    return stored


async def find_picture(services: Services, user: User, number: str, place: int) -> PictureRecord:
    """Return a picture of the user's job, for admins of anybody's. Raises `NotFoundError`."""
    job = await find_job(services, user, number)
    pictures = (
        job.pictures
        if isinstance(job, Job)
        else await services.history.do(services.history.pictures, job.id)
    )
    found = next((each for each in pictures if each.number == place), None)
    if found is None:
        raise NotFoundError(f"job {number} has no picture {place} yet; its report lists all")
    return found
