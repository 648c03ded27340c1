"""Downloads of models from the Hugging Face Hub into the cache that other tools share.

They run one after another, each on a thread of its own, since the Hub's client blocks. One that is
cancelled, or that the server's stop cuts off, goes on where it was when it is asked for again.
"""

from __future__ import annotations

import asyncio
import secrets
import threading
import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Final, TypeVar

import structlog

from diffusion.checkpoints import hub
from diffusion.checkpoints.hub.model_names import split_model_name
from diffusion.checkpoints.hub.offers import bytes_on_disk
from diffusion.errors import DiffusionError, StoppedError
from diffusion.server.errors import BusyError
from diffusion.server.jobs.event_log import EventLog
from diffusion.server.jobs.job import JobState
from diffusion.server.models import ModelTable

__all__ = ["Download", "DownloadRequest", "Downloads"]

T = TypeVar("T")

MOST_WAITING: Final = 20
KEPT: Final = 100
"""Downloads that ended and can still be looked at."""
REPORT_SECONDS: Final = 0.25
"""Time between two events that tell how far a download is."""

log = structlog.get_logger()


@dataclass(frozen=True)
class DownloadRequest:
    """A model as the Hub names it. ``variant``: ``plain`` or ``fp16``; None for the smaller."""

    model: str
    revision: str = "main"
    variant: str | None = None


@dataclass(eq=False)
class Download:
    """A download. ``done``: bytes of each file that are here; ``sizes``: of each file."""

    id: str
    asked: DownloadRequest
    created: float
    state: JobState = JobState.QUEUED
    message: str = ""
    licence: str = ""
    ended: float | None = None
    sizes: dict[str, int] = field(default_factory=dict, repr=False)
    done: dict[str, int] = field(default_factory=dict, repr=False)
    stopping: threading.Event = field(default_factory=threading.Event, repr=False)
    log: EventLog = field(default_factory=EventLog, repr=False)

    def report(self) -> Mapping[str, object]:
        """Return what clients see of it."""
        return {
            "id": self.id,
            "model": self.asked.model,
            "revision": self.asked.revision,
            "variant": self.asked.variant,
            "state": self.state.value,
            "message": self.message,
            "licence": self.licence,
            "bytes": sum(self.sizes.values()),
            "done": sum(self.done.values()),
            "files": [
                {"name": name, "bytes": size, "done": self.done.get(name, 0)}
                for name, size in self.sizes.items()
            ],
            "created": self.created,
            "ended": self.ended,
        }

    def begin(self, offer: hub.Offer) -> None:
        """Note what the Hub offers, and which of it is here already."""
        self.licence = offer.licence
        self.sizes = {file.name: file.size for file in offer.files}
        self.done = {
            file.name: bytes_on_disk(offer.folder, offer.commit, file) for file in offer.files
        }


class Downloads:
    """The downloads of a server. Call everything in the event loop."""

    def __init__(self, models: ModelTable) -> None:
        self._models = models
        self._all: OrderedDict[str, Download] = OrderedDict()
        self._tasks: set[asyncio.Task[None]] = set()
        self._turn = asyncio.Lock()

    @property
    def all(self) -> list[Download]:
        """All downloads that are known, newest first."""
        return list(reversed(self._all.values()))

    def find(self, number: str) -> Download | None:
        """Return a download by its number; None for an unknown one."""
        return self._all.get(number)

    def start(self, asked: DownloadRequest) -> Download:
        """Begin a download, or return the one under way for the same model.

        Raises `SettingsError` for what is no name of a model, and `BusyError`.
        """
        split_model_name(asked.model)
        open_ones = [each for each in self._all.values() if not each.state.is_final]
        for each in open_ones:
            if each.asked == asked and not each.stopping.is_set():
                return each
        if len(open_ones) >= MOST_WAITING:
            raise BusyError(f"{len(open_ones)} downloads wait; come again later", 60)
        download = Download(secrets.token_hex(12), asked, time.time())
        self._all[download.id] = download
        download.log.add("state", download.report())
        task = asyncio.ensure_future(self._run(download))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        return download

    def cancel(self, download: Download) -> None:
        """Stop a download: at once where it waits, else when its next bytes come."""
        download.stopping.set()
        if download.state is JobState.QUEUED:
            self._end(download, JobState.CANCELLED)

    async def close(self) -> None:
        """Stop all downloads. Their threads end by themselves; what came is kept."""
        for download in self._all.values():
            download.stopping.set()
            download.log.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _run(self, download: Download) -> None:
        async with self._turn:
            if download.state.is_final:
                return
            download.state = JobState.RUNNING
            download.log.add("state", download.report())
            try:
                await self._fetch(download)
            except StoppedError:
                self._end(download, JobState.CANCELLED)
            except (DiffusionError, OSError) as error:
                self._end(download, JobState.FAILED, str(error))
            except Exception as error:
                log.error("a download failed", model=download.asked.model, exc_info=error)
                message = "the server made a mistake; its log has the details"
                self._end(download, JobState.FAILED, message)

    async def _fetch(self, download: Download) -> None:
        """Ask the Hub, fetch, and let requests name the model. Raises `ModelError` and others."""
        asked, loop = download.asked, asyncio.get_running_loop()
        offer = await _on_thread(
            lambda: hub.fetch_offer(asked.model, asked.revision, asked.variant)
        )
        download.begin(offer)
        download.log.add("state", download.report())
        reported = time.monotonic()

        def note(name: str, done: int) -> None:  # on the thread, for each piece that came
            nonlocal reported
            if download.stopping.is_set():
                raise StoppedError
            if time.monotonic() - reported > REPORT_SECONDS or done == download.sizes[name]:
                reported = time.monotonic()
                loop.call_soon_threadsafe(self._note, download, name, done)

        if download.stopping.is_set():
            raise StoppedError
        await _on_thread(lambda: hub.pull(offer, note))
        await self._models.refresh()
        download.done = dict(download.sizes)
        self._end(download, JobState.DONE)

    def _note(self, download: Download, name: str, done: int) -> None:
        """Tell of bytes that came, unless the end is known already."""
        if download.state is JobState.RUNNING:
            download.done[name] = done
            came, size = sum(download.done.values()), sum(download.sizes.values())
            download.log.add("progress", {"file": name, "done": came, "bytes": size})

    def _end(self, download: Download, state: JobState, message: str = "") -> None:
        download.state, download.message, download.ended = state, message, time.time()
        download.log.add("end", download.report(), last=True)
        log.info("a download has ended", model=download.asked.model, state=state.value)
        ended = [each.id for each in self._all.values() if each.state.is_final]
        for old in ended[: max(0, len(ended) - KEPT)]:
            del self._all[old]


async def _on_thread(work: Callable[[], T]) -> T:
    """Return what ``work`` returns, or raise what it raises, from a thread.

    It is none of the event loop's own threads: those would keep a server that stops waiting.
    """
    loop = asyncio.get_running_loop()
    result: asyncio.Future[T] = loop.create_future()

    def settle(value: T | None, error: BaseException | None) -> None:
        if result.done():
            return
        if error is not None:
            result.set_exception(error)
        else:
            result.set_result(value)  # type: ignore[arg-type]

    def run() -> None:
        value: T | None = None
        problem: BaseException | None = None
        try:
            value = work()
        except Exception as error:  # noqa: BLE001 - it is raised where it is awaited
            problem = error
        if not loop.is_closed():
            loop.call_soon_threadsafe(settle, value, problem)

    threading.Thread(target=run, name="download", daemon=True).start()
    return await result
