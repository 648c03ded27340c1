"""``/sdapi/v1/progress``, ``interrupt`` and ``skip``: of the user's own jobs."""

from __future__ import annotations

import base64
import time
from collections.abc import Mapping

from fastapi import APIRouter

from diffusion.server.engine.messages import Stop
from diffusion.server.jobs.job import Job
from diffusion.server.routes.given import CurrentUser, Parts
from gpucore.integers import ceil_div

__all__ = ["remaining_seconds", "router"]

router = APIRouter(prefix="/sdapi/v1", tags=["sdapi"])


@router.get("/progress")
async def tell_progress(
    services: Parts, user: CurrentUser, skip_current_image: bool = False
) -> Mapping[str, object]:
    """Tell how far the user's oldest running job is."""
    running = services.scheduler.running_of(user.name)
    waiting = services.scheduler.waiting_of(user.name)
    if not running:
        return {
            "progress": 0.0,
            "eta_relative": 0.0,
            "state": _state(None, starting=bool(waiting)),
            "current_image": None,
            "textinfo": "waiting" if waiting else None,
            "current_task": waiting[0].origin.task or waiting[0].id if waiting else None,
        }
    job = running[0]
    preview = None if skip_current_image else job.progress.preview
    return {
        "progress": round(job.share, 4),
        "eta_relative": remaining_seconds(job) or 0.0,
        "state": _state(job),
        "current_image": None if preview is None else base64.b64encode(preview).decode(),
        "textinfo": job.progress.stage or None,
        "current_task": job.origin.task or job.id,
    }


def remaining_seconds(job: Job) -> float | None:
    """Return the seconds until a request's last job ends; None where that is not known yet."""
    eta, started = job.progress.eta, job.progress.started
    if eta is None or started is None:
        return None
    later = job.origin.parts - job.origin.part - 1
    return eta + later * (time.monotonic() - started + eta)


def _state(job: Job | None, starting: bool = False) -> Mapping[str, object]:
    """Return the state in AUTOMATIC1111's words; steps are those of the batch under way."""
    state: dict[str, object] = {
        "skipped": False,
        "interrupted": False,
        "stopping_generation": False,
        "job": "",
        "job_count": -1 if starting else 0,
        "job_timestamp": "0",
        "job_no": 0,
        "sampling_step": 0,
        "sampling_steps": 0,
    }
    if job is None:
        return state
    batches = ceil_div(job.settings.count, job.settings.batch or min(job.settings.count, 4))
    steps = max(1, job.progress.total // batches)
    batch = max(0, job.progress.index - 1) // steps
    return state | {
        "interrupted": job.stop is not None,
        "job": job.origin.interface.rpartition("/")[2],
        "job_count": batches * job.origin.parts,
        "job_timestamp": time.strftime("%Y%m%d%H%M%S", time.localtime(job.created)),
        "job_no": job.origin.part * batches + batch,
        "sampling_step": job.progress.index - batch * steps,
        "sampling_steps": job.progress.total // batches,
    }


@router.post("/interrupt")
async def interrupt_jobs(services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """End the user's running jobs after the step under way; what exists is returned to them."""
    for job in services.scheduler.running_of(user.name):
        await services.scheduler.stop(job, Stop.KEEP)
    return {}


@router.post("/skip")
async def skip_batch(services: Parts, user: CurrentUser) -> None:
    """End the batch under way of the user's running jobs, and go on with the next."""
    for job in services.scheduler.running_of(user.name):
        await services.scheduler.stop(job, Stop.SKIP)
