"""A job: what was asked, by whom, how far it is, and what came of it."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import Enum
from pathlib import Path

from PIL import Image

from diffusion.server.engine.messages import NOTHING_BESIDE, ModelsBeside, Stop
from diffusion.server.jobs.event_log import EventLog
from diffusion.server.jobs.request import JobRequest
from diffusion.settings import Settings

__all__ = ["Job", "JobState", "Origin", "PictureRecord", "Progress"]


class JobState(Enum):
    """States of a job. The last three are final."""

    QUEUED = "queued"
    RUNNING = "running"
    DONE = "done"
    CANCELLED = "cancelled"
    FAILED = "failed"

    @property
    def is_final(self) -> bool:
        """Tell whether nothing will change any more."""
        return self in (JobState.DONE, JobState.CANCELLED, JobState.FAILED)


@dataclass(frozen=True)
class PictureRecord:
    """A finished picture. ``file``: its name in the output folder."""

    number: int
    file: str
    seed: int
    width: int
    height: int
    infotext: str
    partial: bool = False


@dataclass
class Progress:
    """The progress of a job; times are of `time.monotonic`.

    Attributes:
        first_step: when step 1 was done.
    """

    stage: str = ""
    index: int = 0
    total: int = 0
    started: float | None = None
    first_step: float | None = None
    preview: bytes | None = None
    preview_number: int = 0

    @property
    def share(self) -> float:
        """The share that is done, 0 to 1."""
        return self.index / self.total if self.total else 0.0

    @property
    def eta(self) -> float | None:
        """Seconds that are left, from the steps after the first; None before the second."""
        if self.first_step is None or self.index < 2:
            return None
        return (time.monotonic() - self.first_step) / (self.index - 1) * (self.total - self.index)


@dataclass(frozen=True)
class Origin:
    """Facts about how a job came.

    ``acknowledged``: its number was handed out, so that it outlives a restart; otherwise a client
    waits for the pictures. ``interface``: the routes that it came through; ``task``: a client's own
    name for it. ``deadline``: seconds since 1970 after which nobody needs it; None for never.
    ``part``: its place among the ``parts`` jobs of one request.
    """

    user: str
    interface: str = "jobs"
    acknowledged: bool = True
    priority: int = 0
    key: str | None = None
    task: str = ""
    deadline: float | None = None
    part: int = 0
    parts: int = 1


@dataclass(eq=False)
class Job:
    """A job.

    ``settings``: of the request, with the seed that was drawn; ``path``: of its model;
    ``attempts``: starts; ``beside``: the models that draw a part of it.

    ``worker``: the engine that draws it, or drew it last.

    ``message``: why it failed; ``passing``: another try later may not. ``stop``: how it was asked
    to stop; ``late``: by its deadline.
    """

    id: str
    request: JobRequest
    settings: Settings = field(repr=False)
    model: str
    path: Path
    origin: Origin
    created: float
    beside: ModelsBeside = NOTHING_BESIDE
    state: JobState = JobState.QUEUED
    message: str = ""
    wrong_input: bool = False
    passing: bool = False
    attempts: int = 0
    worker: str = ""
    ended: float | None = None
    stop: Stop | None = None
    late: bool = False
    progress: Progress = field(default_factory=Progress, repr=False)
    pictures: list[PictureRecord] = field(default_factory=list, repr=False)
    log: EventLog = field(default_factory=EventLog, repr=False)
    final: asyncio.Event = field(default_factory=asyncio.Event, repr=False)

    @property
    def picture_bytes(self) -> int:
        """The bytes in memory of the pictures that it starts from: decoded, and as base64."""
        start = self.settings.init_image
        pictures = list[Image.Image | None]()
        for each in self.settings.controls:
            pictures += [each.image, each.region, each.mask]
        for prompt in self.settings.image_prompts:
            pictures += [*prompt.images, prompt.region, prompt.negative]
        pictures.append(self.settings.hires.first if self.settings.hires else None)
        if start is not None:
            pictures += [start.image, start.inpaint.mask if start.inpaint else None]
        return sum(map(_picture_bytes, pictures)) + self.request.picture_bytes

    def drop_pictures(self) -> None:
        """Let go of the pictures that it started from, and of its preview: it has ended."""
        start = self.settings.init_image
        if start is not None:
            start = replace(start, image=Image.new("L", (1, 1)), inpaint=None)
        hires = self.settings.hires and replace(self.settings.hires, first=None)
        self.settings = replace(
            self.settings, init_image=start, hires=hires, controls=(), image_prompts=()
        )
        second = self.request.hires and self.request.hires.model_copy(update={"first": None})
        nothing = {"init_image": None, "hires": second, "controls": (), "image_prompts": ()}
        self.request = self.request.model_copy(update=nothing)
        self.progress.preview = None

    @property
    def share(self) -> float:
        """The share of its request that is done, 0 to 1."""
        return (self.origin.part + self.progress.share) / self.origin.parts

    def report(self) -> Mapping[str, object]:
        """Return what clients see of it."""
        progress = self.progress
        eta = progress.eta if self.state is JobState.RUNNING else None
        return {
            "id": self.id,
            "state": self.state.value,
            "model": self.model,
            "worker": self.worker or None,
            "prompt": self.request.prompt,
            "seed": self.settings.seed,
            "count": self.settings.count,
            "priority": self.origin.priority,
            "created": self.created,
            "ended": self.ended,
            "stage": progress.stage,
            "step": progress.index,
            "steps": progress.total,
            "progress": 1.0 if self.state is JobState.DONE else round(progress.share, 4),
            "eta_seconds": None if eta is None else round(eta, 2),
            "preview": progress.preview_number or None,
            "message": self.message,
            "pictures": [picture_report(self.id, each) for each in self.pictures],
        }


def _picture_bytes(picture: Image.Image | None) -> int:
    """Return the bytes of a decoded picture, at most four for each pixel."""
    return 0 if picture is None else 4 * picture.width * picture.height


def picture_report(job: str, picture: PictureRecord) -> Mapping[str, object]:
    """Return what clients see of a picture."""
    return {
        "number": picture.number,
        "url": f"/api/v1/jobs/{job}/pictures/{picture.number}",
        "seed": picture.seed,
        "width": picture.width,
        "height": picture.height,
        "infotext": picture.infotext,
        "partial": picture.partial,
    }
