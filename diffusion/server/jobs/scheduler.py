"""The scheduler: it takes jobs in, hands them to engines, and keeps what comes back.

A job goes to an engine that is ready and has room: see `diffusion.server.jobs.placement`. Events of
an engine are handled in their order by one task, which writes pictures before it tells of them. A
job whose engine is lost is tried once more, alone, before all others of its priority.
"""

from __future__ import annotations

import asyncio
import hashlib
import secrets
import sqlite3
import time
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace
from typing import Final

import structlog

from diffusion.errors import DiffusionError, OutputError
from diffusion.server.adapters import AdapterTables
from diffusion.server.engine.interface import Engine
from diffusion.server.engine.messages import (
    Draw,
    Drawn,
    Ending,
    EngineEvent,
    Failed,
    Finished,
    Lost,
    MapFailed,
    MapMade,
    ModelsChanged,
    Previewed,
    Ready,
    Staged,
    Stepped,
    Stop,
    StopJob,
)
from diffusion.server.errors import ConflictError, ServerError, UnavailableError
from diffusion.server.jobs.admission import Admission, SchedulerOptions
from diffusion.server.jobs.checking import check_request, models_beside, name_models
from diffusion.server.jobs.deadlines import Deadlines
from diffusion.server.jobs.fair_queue import FairQueue
from diffusion.server.jobs.history import History, StoredJob
from diffusion.server.jobs.job import Job, JobState, Origin, PictureRecord, Progress, picture_report
from diffusion.server.jobs.outputs import Outputs
from diffusion.server.jobs.placement import Running, choose_engine
from diffusion.server.jobs.request import JobRequest
from diffusion.server.maps import MapMaker
from diffusion.server.metrics import Metrics
from diffusion.server.models import ModelTable

__all__ = ["Scheduler"]

KEPT: Final = 200
"""Jobs that ended and whose events can still be followed."""
ATTEMPTS: Final = 2
_LATE: Final = "its deadline passed before it was done"
_LOST_SEVERAL = "the worker was lost {} times while it drew this job: {}"

log = structlog.get_logger()


class Scheduler:
    """The jobs of a server. Call everything in the event loop."""

    def __init__(
        self,
        engines: Sequence[Engine],
        history: History,
        outputs: Outputs,
        models: ModelTable,
        metrics: Metrics,
        options: SchedulerOptions | None = None,
        *,
        adapters: AdapterTables,
        maps: MapMaker,
    ) -> None:
        self.engines, self.history, self.outputs = engines, history, outputs
        self.models, self.metrics = models, metrics
        self.options = options or SchedulerOptions()
        self.adapters, self.maps = adapters, maps
        self.queue = FairQueue()
        self.admission = Admission(self.queue, self.options, engines, metrics)
        self.jobs: OrderedDict[str, Job] = OrderedDict()
        self.running: dict[str, Running] = {}
        self.draining = False
        self._deadlines = Deadlines(self._expire)
        self._last_step: dict[str, float] = {}
        self._inboxes: list[asyncio.Queue[EngineEvent]] = []
        self._tasks: list[asyncio.Task[None]] = []

    # ------------------------------------------------------------------ start and end

    async def start(self) -> None:
        """Start the engines, and queue what an earlier stop of the server cut off."""
        await self._restore()
        for engine in self.engines:
            inbox: asyncio.Queue[EngineEvent] = asyncio.Queue()
            self._inboxes.append(inbox)
            self._tasks.append(asyncio.create_task(self._consume(engine, inbox)))
            await engine.start(self.maps.listener(engine, inbox.put_nowait))
        self._dispatch()

    async def _restore(self) -> None:
        for stored in await self.history.do(self.history.unfinished_jobs):
            try:
                job = self._revive(stored)
            except (DiffusionError, ValueError) as error:
                message = f"the server was restarted, and the job cannot go on: {error}"
                end = self.history.end_job
                await self.history.do(end, stored.id, JobState.FAILED, message)
                continue
            if job is None:
                message = "the server was stopped while its client waited"
                end = self.history.end_job
                await self.history.do(end, stored.id, JobState.CANCELLED, message)
                continue
            self.jobs[job.id] = job
            self.queue.add(job)
            job.log.add("state", job.report())
            self._deadlines.watch(job)

    def _revive(self, stored: StoredJob) -> Job | None:
        """Return a stored job; None where nobody waits for it any more. Raises its errors."""
        if not stored.origin.acknowledged or stored.request is None:
            return None
        if stored.attempts >= ATTEMPTS:
            raise UnavailableError(f"it was begun {stored.attempts} times")
        request = JobRequest.model_validate_json(stored.request)
        model = self.models.find(stored.model)
        return Job(
            stored.id,
            request,
            request.settings(),
            model.name,
            model.path,
            stored.origin,
            stored.created,
            models_beside(request, self.models, self.adapters),
            attempts=stored.attempts,
        )

    async def drain(self, seconds: float) -> None:
        """Take no more jobs; wait for those that run, at most ``seconds``.

        What waits is kept for the next start. Jobs whose client waits for an answer are cancelled.
        """
        self.draining = True
        for job in list(self.queue):
            if not job.origin.acknowledged:
                await self.stop(job, Stop.DROP)
        deadline = time.monotonic() + seconds
        while (self.running or self.admission.adding) and time.monotonic() < deadline:
            await asyncio.sleep(0.02)
        for job in self.jobs.values():
            job.log.close()

    async def close(self) -> None:
        """End the engines and the history. Jobs that still run begin anew at the next start."""
        self.draining = True
        self._deadlines.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        for engine in self.engines:
            await engine.close()
        self.history.close()

    # ------------------------------------------------------------------ taking jobs in

    async def submit(self, request: JobRequest, origin: Origin) -> Job | StoredJob:
        """Check, write and queue a job; return it.

        One that was sent before with the same idempotency key is returned as it is now.
        Raises `SettingsError`, `RefusedError`, `BusyError`, `UnavailableError`, `ConflictError`.
        """
        digest = "" if origin.key is None else await asyncio.to_thread(_digest_of, request)
        earlier = await self._find_by_key(origin, digest)
        if earlier is not None:
            return earlier
        self.admission.require_room(draining=self.draining)
        self.admission.adding += 1
        try:
            return await self._add(request, origin, digest)
        except sqlite3.IntegrityError:  # the same key came twice at once
            earlier = await self._find_by_key(origin, digest)
            if earlier is None:
                raise
            return earlier
        finally:
            self.admission.adding -= 1
            self.metrics.queue_depth.set(len(self.queue))

    async def _add(self, request: JobRequest, origin: Origin, digest: str) -> Job:
        model = self.models.find(request.model)
        named = name_models(request, self.models)
        clean, settings = await check_request(named, self.adapters)
        self.options.work.check(settings)
        now = time.time()
        number = f"{int(now * 1000):012x}{secrets.token_hex(6)}"
        beside = models_beside(clean, self.models, self.adapters)
        job = Job(number, clean, settings, model.name, model.path, origin, now, beside)
        self.admission.require_memory(job)
        await self.history.do(self.history.add_job, job, digest)
        self.jobs[job.id] = job
        self.queue.add(job)
        job.log.add("state", job.report())
        self._deadlines.watch(job)
        if self.draining and not origin.acknowledged:
            await self.stop(job, Stop.DROP)  # the drain began while it was written
        self._dispatch()
        return job

    async def _find_by_key(self, origin: Origin, digest: str) -> Job | StoredJob | None:
        """Return the job of an idempotency key. Raises `ConflictError` for another request."""
        if origin.key is None:
            return None
        stored = await self.history.do(self.history.job_by_key, origin.user, origin.key)
        if stored is None:
            return None
        if stored.digest != digest:
            message = "this Idempotency-Key came with another request before; take a new one"
            raise ConflictError(message)
        return self.jobs.get(stored.id) or stored

    # ------------------------------------------------------------------ handing jobs out

    def _dispatch(self) -> None:
        """Hand waiting jobs to engines that have room."""
        while not self.draining and len(self.queue):
            engine = choose_engine(self.engines, self.running.values(), next(iter(self.queue)))
            if engine is None:
                break
            job = self.queue.pop()
            assert job is not None
            self._hand_over(job, engine)
        self.metrics.queue_depth.set(len(self.queue))
        self.metrics.count_running({each: self.count_running(each) for each in self.engines})

    def _hand_over(self, job: Job, engine: Engine) -> None:
        job.state, job.attempts = JobState.RUNNING, job.attempts + 1
        job.progress = Progress(started=time.monotonic())
        job.pictures.clear()
        job.worker = engine.name
        self.running[job.id] = engine, job
        job.log.add("state", job.report())
        asked = job.request.preview_every
        every = self.options.preview_every if asked is None else asked
        engine.send(Draw(job.id, job.path, job.settings, every, job.beside))

    async def stop(self, job: Job, how: Stop) -> None:
        """Stop a job: one that waits at once, one that runs after its step. Does no harm twice."""
        if job.state is JobState.QUEUED:
            if how is Stop.DROP and self.queue.remove(job):
                await self._end(job, JobState.CANCELLED)
        elif job.state is JobState.RUNNING and job.id in self.running:
            if how is not Stop.SKIP:
                job.stop = how
            self.running[job.id][0].send(StopJob(job.id, how))

    async def _expire(self, job: Job) -> None:
        """End a job whose deadline has come."""
        if job.state is JobState.QUEUED and self.queue.remove(job):
            await self._end(job, JobState.FAILED, _LATE)
        elif job.state is JobState.RUNNING:
            job.late = True
            await self.stop(job, Stop.DROP)

    async def reorder(self, job: Job, priority: int | None, place: int | None) -> None:
        """Change the priority of a job that waits, or its place in its user's line, from 0.

        None leaves one as it is; with another priority the job comes last. Raises `ConflictError`.
        """
        before = job.origin.priority
        if job.state is not JobState.QUEUED or not any(each is job for each in self.queue):
            raise ConflictError(f"job {job.id} does not wait any more; only such can be moved")
        if priority not in (None, before):
            assert priority is not None
            self.queue.remove(job)
            job.origin = replace(job.origin, priority=priority)
            self.queue.add(job)
        if place is not None:
            self.queue.move(job, place)
        if job.origin.priority != before:
            await self.history.do(self.history.set_priority, job.id, job.origin.priority)
        job.log.add("state", job.report())

    # ------------------------------------------------------------------ what engines say

    async def _consume(self, engine: Engine, inbox: asyncio.Queue[EngineEvent]) -> None:
        while True:
            event = await inbox.get()
            try:
                await self._handle(engine, event)
            except (DiffusionError, OSError, sqlite3.Error) as error:
                log.error("an event failed", kind=type(event).__name__, error=str(error))
                await self._give_up(event, str(error))

    async def _give_up(self, event: EngineEvent, message: str) -> None:
        """Fail the job of an event that could not be kept, such as with a full disk."""
        entry = self.running.get(getattr(event, "job", ""))
        if entry is None:
            return
        engine, job = entry
        engine.send(StopJob(job.id, Stop.DROP))
        job.passing = True
        await self._end(job, JobState.FAILED, message)

    async def _handle(self, engine: Engine, event: EngineEvent) -> None:
        if isinstance(event, Ready):
            self._dispatch()
            return
        if isinstance(event, ModelsChanged):
            self.metrics.count_bytes(engine, event)
            return
        if isinstance(event, Lost):
            await self._retry(engine, event)
            return
        if isinstance(event, Ending | MapMade | MapFailed):
            return  # `Lost` follows; maps are for `MapMaker`
        entry = self.running.get(event.job)
        if entry is None:
            return  # it was given up before
        job = entry[1]
        if isinstance(event, Drawn):
            await self._keep(job, event)
        elif isinstance(event, Finished):
            dropped = job.stop is Stop.DROP and event.stopped
            if dropped and job.late:
                await self._end(job, JobState.FAILED, _LATE)
            else:
                await self._end(job, JobState.CANCELLED if dropped else JobState.DONE)
        elif isinstance(event, Failed):
            job.wrong_input = event.wrong_input
            await self._end(job, JobState.FAILED, event.message)
        else:
            await self._note_progress(job, event)

    async def _note_progress(self, job: Job, event: EngineEvent) -> None:
        progress = job.progress
        if isinstance(event, Staged):
            progress.stage = event.name
            job.log.add("stage", {"stage": event.name})
        elif isinstance(event, Stepped):
            now = time.monotonic()
            if event.index == 1 or progress.first_step is None:
                progress.first_step = now
            else:
                self.metrics.step_seconds.observe(now - self._last_step.get(job.id, now))
            self._last_step[job.id] = now
            progress.stage, progress.index, progress.total = "drawing", event.index, event.total
            eta = progress.eta
            job.log.add(
                "progress",
                {
                    "step": event.index,
                    "steps": event.total,
                    "progress": round(progress.share, 4),
                    "eta_seconds": None if eta is None else round(eta, 2),
                },
            )
        elif isinstance(event, Previewed):
            progress.preview, progress.preview_number = event.jpeg, progress.preview_number + 1
            url = f"/api/v1/jobs/{job.id}/preview"
            job.log.add("preview", {"number": progress.preview_number, "url": url})
        else:  # it has begun
            await self.history.do(self.history.begin_job, job)

    async def _keep(self, job: Job, drawn: Drawn) -> None:
        """Write a picture and its row, then tell of it. Raises `OutputError`."""
        try:
            file = await asyncio.to_thread(
                self.outputs.write, job.id, drawn.number, job.created, drawn.png
            )
        except OutputError as error:  # a client need not know the server's folders
            raise OutputError("the picture", error.reason, error.hint) from error
        record = PictureRecord(
            drawn.number,
            file,
            drawn.seed,
            drawn.width,
            drawn.height,
            drawn.infotext,
            drawn.partial,
        )
        await self.history.do(self.history.add_picture, job.id, record)
        job.pictures.append(record)
        self.metrics.pictures.inc()
        job.log.add("picture", picture_report(job.id, record))

    async def _end(self, job: Job, state: JobState, message: str = "") -> None:
        """Write the end of a job, tell of it, and let the next begin.

        Where it cannot be written, the job has ended all the same: its place is for others.
        """
        try:
            await self.history.do(self.history.end_job, job.id, state, message)
        except (ServerError, sqlite3.Error) as error:
            log.error("the end of a job could not be written", job=job.id, error=str(error))
        self.running.pop(job.id, None)
        self._deadlines.forget(job)
        self._last_step.pop(job.id, None)
        job.state, job.message, job.ended = state, message, time.time()
        job.drop_pictures()
        if job.progress.started is not None:
            seconds = time.monotonic() - job.progress.started
            self.admission.note_duration(seconds)
            self.metrics.job_seconds.observe(seconds)
        self.metrics.jobs.labels(state.value).inc()
        job.log.add("end", job.report(), last=True)
        job.final.set()
        ended = [each.id for each in self.jobs.values() if each.state.is_final]
        for old in ended[: max(0, len(ended) - KEPT)]:
            del self.jobs[old]
        self._dispatch()

    async def _retry(self, engine: Engine, lost: Lost) -> None:
        """Queue the jobs of a lost engine once more, before all others of their priority."""
        self.metrics.restarts.labels(engine.name).inc()
        log.warning("an engine was lost", engine=engine.name, reason=lost.reason)
        for number in lost.jobs:
            entry = self.running.pop(number, None)
            if entry is None:
                continue
            job = entry[1]
            if job.stop is not None:
                await self._end(job, JobState.CANCELLED, lost.reason)
            elif job.attempts >= ATTEMPTS:
                message, job.passing = _LOST_SEVERAL.format(job.attempts, lost.reason), True
                await self._end(job, JobState.FAILED, message)
            else:
                job.state = JobState.QUEUED
                self.queue.add(job, first=True)
                job.log.add("state", {**job.report(), "message": f"{lost.reason}; once more"})
        self._dispatch()

    # ------------------------------------------------------------------ looking

    def count_running(self, engine: Engine) -> int:
        """Return how many jobs an engine draws now."""
        return sum(other is engine for other, _ in self.running.values())

    def running_of(self, user: str) -> list[Job]:
        """Return the jobs of a user that are drawn now, oldest first."""
        return [job for _, job in self.running.values() if job.origin.user == user]

    def waiting_of(self, user: str) -> list[Job]:
        """Return the jobs of a user that wait, the next first."""
        return [job for job in self.queue if job.origin.user == user]


def _digest_of(request: JobRequest) -> str:
    """Return what tells a request from others with the same key."""
    return hashlib.sha256(request.model_dump_json().encode()).hexdigest()
