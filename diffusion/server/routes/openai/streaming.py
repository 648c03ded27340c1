"""Streams of pictures: previews as they come, then each finished picture."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing
from dataclasses import dataclass, field

from diffusion.errors import DiffusionError
from diffusion.server.engine.messages import Stop
from diffusion.server.error_answers import answer_to
from diffusion.server.errors import UnavailableError
from diffusion.server.jobs.event_log import Event
from diffusion.server.jobs.job import Job
from diffusion.server.routes.event_stream import PING, event_text, with_pings
from diffusion.server.routes.openai.answers import AnswerForm, partial_fields, picture_fields
from diffusion.server.routes.waiting import end_of_job
from diffusion.server.services import Services

__all__ = ["StreamPlan", "stream_pictures"]

_STOPS: set[asyncio.Task[None]] = set()
"""Stops under way of jobs whose clients have left; the loop alone would forget them."""


@dataclass
class StreamPlan:
    """The events of one stream. ``name``: their first part; ``partials``: previews of each picture.

    ``size``: that was asked for, in pixels; None for the model's own.
    """

    name: str
    form: AnswerForm
    partials: int
    size: tuple[int, int] | None
    _finished: set[int] = field(default_factory=set, init=False)
    _sent: int = field(default=0, init=False)
    _step: int = field(default=0, init=False)
    _total: int = field(default=0, init=False)

    def note_step(self, job: Job, data: Mapping[str, object]) -> None:
        """Note the step that a job is at, counted within the picture that is drawn now."""
        done, total = int(str(data["step"])), int(str(data["steps"]))
        self._total = max(1, total // job.settings.count)
        self._step = (done - 1) % self._total + 1

    def end_picture(self, number: int) -> bool:
        """Begin to count for the next picture; tell whether this one is new.

        A job whose worker was lost is drawn once more, and its first pictures come a second time.
        """
        self._sent, is_new = 0, number not in self._finished
        self._finished.add(number)
        return is_new

    def next_partial(self) -> int | None:
        """Return the number of the partial picture that is due at this step; None for none."""
        due = self._total * (self._sent + 1) // (self.partials + 1)
        if self._sent >= self.partials or self._step < due:
            return None
        self._sent += 1
        return self._sent - 1


async def stream_pictures(services: Services, job: Job, plan: StreamPlan) -> AsyncIterator[str]:
    """Yield the events of a job in OpenAI's form. A client that leaves cancels it."""
    try:
        async with aclosing(with_pings(job.log.follow(0))) as events:
            async for event in events:
                text = PING if event is None else await _translate(services, job, plan, event)
                if text is not None:
                    yield text
        if not job.state.is_final:  # the server stops, and has closed all logs
            yield _failure(UnavailableError("the server is stopping; come again once it is back"))
    finally:
        if not job.state.is_final:
            task = asyncio.ensure_future(services.scheduler.stop(job, Stop.DROP))
            _STOPS.add(task)
            task.add_done_callback(_STOPS.discard)


async def _translate(services: Services, job: Job, plan: StreamPlan, event: Event) -> str | None:
    """Return the text of a job's event; None for one that OpenAI's clients do not know."""
    if event.name == "progress":
        plan.note_step(job, event.data)
    elif event.name == "preview":
        return await _partial_text(job, plan, event)
    elif event.name == "picture":
        return await _picture_text(services, job, plan, event)
    elif event.last:
        problem = end_of_job(services, job)
        return None if problem is None else _failure(problem)
    return None


async def _picture_text(services: Services, job: Job, plan: StreamPlan, event: Event) -> str | None:
    """Return the event of a finished picture, unless it was sent or forgotten since."""
    number = event.data["number"]
    picture = next((each for each in job.pictures if each.number == number), None)
    if picture is None or not plan.end_picture(picture.number):
        return None
    try:
        fields = await picture_fields(services, picture, plan.form)
    except DiffusionError as error:
        return _failure(error)
    name = f"{plan.name}.completed"
    return event_text(name, {"type": name, **fields})


async def _partial_text(job: Job, plan: StreamPlan, event: Event) -> str | None:
    """Return the event of a preview that is due, unless a newer one is there already."""
    progress = job.progress
    if progress.preview is None or progress.preview_number != event.data["number"]:
        return None
    number = plan.next_partial()
    if number is None:
        return None
    fields = await asyncio.to_thread(partial_fields, progress.preview, plan.size, plan.form)
    name = f"{plan.name}.partial_image"
    return event_text(name, {"type": name, "partial_image_index": number, **fields})


def _failure(error: DiffusionError) -> str:
    """Return the event that OpenAI's clients raise an error for."""
    return event_text("error", {"type": "error", **answer_to("/v1", error).body})
