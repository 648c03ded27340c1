"""``/internal``: the routes that AUTOMATIC1111's own page asks, which some clients use, too."""

from __future__ import annotations

import base64
import json
import os
import platform
from collections.abc import Mapping, Sequence
from importlib import metadata
from typing import Annotated

from fastapi import APIRouter
from fastapi.responses import PlainTextResponse
from pydantic import BaseModel, ConfigDict, Field

from diffusion.release import version
from diffusion.server.jobs.job import Job, JobState
from diffusion.server.routes.given import Admin, CurrentUser, Parts
from diffusion.server.routes.sdapi.lists import ram
from diffusion.server.routes.sdapi.progress import remaining_seconds
from diffusion.server.services import Services

__all__ = ["router"]

router = APIRouter(prefix="/internal", tags=["internal"])

_PACKAGES = ("fastapi", "numpy", "pillow", "uvicorn", "wgpu", "wgpudawn")


class ProgressBody(BaseModel):
    """A task, and the number of the last preview that the client has."""

    model_config = ConfigDict(extra="ignore")

    id_task: Annotated[str, Field(max_length=200)] = ""
    id_live_preview: int = -1
    live_preview: bool = True


@router.get("/ping")
async def answer_ping(user: CurrentUser) -> Mapping[str, object]:
    """Answer with nothing, as the WebUI does."""
    return {}


@router.get("/pending-tasks")
async def list_pending_tasks(services: Parts, user: CurrentUser) -> Mapping[str, object]:
    """List the user's tasks that wait: the names that clients gave them, or their numbers."""
    waiting = services.scheduler.waiting_of(user.name)
    names = list(dict.fromkeys(job.origin.task or job.id for job in waiting))
    return {"size": len(names), "tasks": names}


@router.post("/progress")
async def tell_task_progress(
    body: ProgressBody, services: Parts, user: CurrentUser
) -> Mapping[str, object]:
    """Tell how far a task is: a request with this ``force_task_id``, or a job by its number.

    A preview comes as a data URL, and only where it is newer than the client's.
    """
    jobs = _jobs_of(services, user.name, body.id_task)
    running = next((job for job in jobs if job.state is JobState.RUNNING), None)
    queued = running is None and any(job.state is JobState.QUEUED for job in jobs)
    answer: dict[str, object] = {
        "active": running is not None,
        "queued": queued,
        "completed": bool(jobs) and running is None and not queued,
        "progress": None,
        "eta": None,
        "live_preview": None,
        "id_live_preview": -1,
        "textinfo": "In queue..." if queued else "Waiting...",
    }
    if running is None:
        return answer
    progress = running.progress
    number, preview = progress.preview_number, progress.preview
    if body.live_preview and preview is not None and number != body.id_live_preview:
        encoded = base64.b64encode(preview).decode()
        answer["live_preview"] = f"data:image/jpeg;base64,{encoded}"
    return answer | {
        "progress": round(running.share, 4),
        "eta": remaining_seconds(running),
        "id_live_preview": number or -1,
        "textinfo": progress.stage or None,
    }


def _jobs_of(services: Services, user: str, task: str) -> list[Job]:
    """Return the jobs of a user's task that are in memory, oldest first."""
    own = (job for job in services.scheduler.jobs.values() if job.origin.user == user)
    return [job for job in own if task and task in (job.id, job.origin.task)]


@router.get("/quicksettings-hint")
async def list_option_names(user: CurrentUser) -> Sequence[Mapping[str, str]]:
    """List the options that clients most often show."""
    return [
        {"name": "sd_model_checkpoint", "label": "Stable Diffusion checkpoint"},
        {"name": "CLIP_stop_at_last_layers", "label": "Clip skip"},
        {"name": "randn_source", "label": "Random number generator source."},
        {"name": "samples_format", "label": "File format for images"},
    ]


@router.get("/sysinfo", response_class=PlainTextResponse)
@router.get("/sysinfo-download", response_class=PlainTextResponse)
async def tell_system(services: Parts, user: Admin) -> PlainTextResponse:
    """Return facts about the machine and the program, as JSON text; no path is among them."""
    facts = {
        "Platform": platform.platform(),
        "Python": platform.python_version(),
        "Version": version(),
        "Packages": {name: _version_of(name) for name in _PACKAGES},
        "CPU": {"model": platform.machine(), "count logical": os.cpu_count()},
        "RAM": ram(),
        "Devices": [
            {"device": engine.status.device, "state": engine.status.state.value}
            for engine in services.engines
        ],
        "Models": len(services.models.entries),
    }
    return PlainTextResponse(json.dumps(facts, indent=4))


def _version_of(package: str) -> str | None:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return None
