"""The operations of a server, each as an exchange that both clients drive."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable
from typing import Final, Literal, TypeVar

from PIL import Image

from diffusion.client.errors import (
    ForeignAnswerError,
    JobEndedError,
    NotFoundError,
    WaitTimeoutError,
)
from diffusion.client.exchange import Call, Exchange, Pause, perform, read_json
from diffusion.client.policy import Policy
from diffusion.client.records import Download, Job, Model, read_record
from diffusion.errors import SettingsError
from diffusion.images import decode_image

__all__ = ["FileKind", "Operations"]

FileKind = Literal["png", "webp", "jpeg"]
Ended = TypeVar("Ended", Job, Download)

FIRST_LOOK: Final = 0.05
"""Seconds until a job is looked at again, which grow up to `LONGEST_LOOK`."""
LONGEST_LOOK: Final = 1.0
PAGE: Final = 100


class Operations:
    """The operations, under one policy of trying again."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    def submit(
        self, body: dict[str, object], priority: int = 0, key: str | None = None
    ) -> Exchange[Job]:
        """Queue a job, once, however often it must be sent."""
        headers = {"idempotency-key": key or uuid.uuid4().hex}
        parameters = {"priority": str(priority)}
        return self._job(Call("POST", "/api/v1/jobs", parameters, body, headers))

    def show(self, job: str) -> Exchange[Job]:
        """Ask for a job."""
        return self._job(Call("GET", f"/api/v1/jobs/{job}"))

    def cancel(self, job: str) -> Exchange[Job]:
        """Cancel a job."""
        return self._job(Call("DELETE", f"/api/v1/jobs/{job}"))

    def page(self, before: str | None) -> Exchange[list[Job]]:
        """List up to `PAGE` jobs, newest first, older than one if given."""
        parameters = {"limit": str(PAGE)} | ({} if before is None else {"before": before})
        call = Call("GET", "/api/v1/jobs", parameters)
        tree = read_json((yield from perform(call, self.policy)), call)
        return [read_record(Job, each, call.path) for each in tree.get("jobs", ())]

    def wait(self, job: str, timeout: float | None) -> Exchange[Job]:
        """Look at a job until its pictures are there. Raises `JobEndedError` and others."""
        return (yield from self._wait(lambda: self.show(job), f"job {job}", timeout))

    def pictures(self, job: Job) -> Exchange[list[Image.Image]]:
        """Fetch the pictures that a job has, in their order."""
        found = []
        for record in sorted(job.pictures, key=lambda each: each.number):
            file = yield from self.file(job.id, record.number, "png")
            found.append(_open(file, f"/api/v1/jobs/{job.id}"))
        return found

    def file(self, job: str, number: int, kind: FileKind) -> Exchange[bytes]:
        """Fetch the file of a picture."""
        call = Call("GET", f"/api/v1/jobs/{job}/pictures/{number}", {"format": kind})
        return (yield from perform(call, self.policy)).content

    def preview(self, job: str) -> Exchange[Image.Image | None]:
        """Fetch the newest preview; None where there is none now."""
        call = Call("GET", f"/api/v1/jobs/{job}/preview")
        try:
            answer = yield from perform(call, self.policy)
        except NotFoundError:
            return None
        return _open(answer.content, call.path)

    def models(self) -> Exchange[list[Model]]:
        """List the models."""
        return self._models(Call("GET", "/api/v1/models"))

    def change_models(self, action: str, model: str | None = None) -> Exchange[list[Model]]:
        """Load or unload a model, or look for models anew."""
        body = None if model is None else {"model": model}
        return self._models(Call("POST", f"/api/v1/models/{action}", body=body))

    def download(self, model: str, revision: str, variant: str | None) -> Exchange[Download]:
        """Begin to download a model; the server returns the one under way if there is one."""
        body = {"model": model, "revision": revision, "variant": variant}
        return self._download(Call("POST", "/api/v1/models/download", body=body))

    def show_download(self, download: str) -> Exchange[Download]:
        """Ask for a download."""
        return self._download(Call("GET", f"/api/v1/models/downloads/{download}"))

    def cancel_download(self, download: str) -> Exchange[Download]:
        """Cancel a download."""
        return self._download(Call("DELETE", f"/api/v1/models/downloads/{download}"))

    def change_of(self, known: Download) -> Exchange[Download]:
        """Look at a download until it differs from what is known of it."""
        pause = FIRST_LOOK
        while True:
            found = yield from self.show_download(known.id)
            if found != known:
                return found
            yield Pause(pause)
            pause = min(pause * 1.5, LONGEST_LOOK)

    def wait_for_download(self, download: str, timeout: float | None) -> Exchange[Download]:
        """Look at a download until its model is there. Raises `JobEndedError` and others."""
        what = f"download {download}"
        return (yield from self._wait(lambda: self.show_download(download), what, timeout))

    def _job(self, call: Call) -> Exchange[Job]:
        answer = yield from perform(call, self.policy)
        return read_record(Job, read_json(answer, call), call.path)

    def _models(self, call: Call) -> Exchange[list[Model]]:
        tree = read_json((yield from perform(call, self.policy)), call)
        return [read_record(Model, each, call.path) for each in tree.get("models", ())]

    def _download(self, call: Call) -> Exchange[Download]:
        answer = yield from perform(call, self.policy)
        return read_record(Download, read_json(answer, call), call.path)

    def _wait(
        self, look: Callable[[], Exchange[Ended]], what: str, timeout: float | None
    ) -> Exchange[Ended]:
        deadline = None if timeout is None else time.monotonic() + timeout
        pause = FIRST_LOOK
        while True:
            found = yield from look()
            if found.state == "done":
                return found
            if found.is_final:
                raise JobEndedError(what, found.state, found.message)
            if deadline is not None and time.monotonic() + pause > deadline:
                assert timeout is not None
                raise WaitTimeoutError(what, timeout)
            yield Pause(pause)
            pause = min(pause * 1.5, LONGEST_LOOK)


def _open(file: bytes, path: str) -> Image.Image:
    """Return the picture in a file. Raises `ForeignAnswerError`."""
    try:
        return decode_image(file, "picture", path)
    except SettingsError as error:
        raise ForeignAnswerError(path, str(error)) from error
