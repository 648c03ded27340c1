"""The operations of a server, each as an exchange that both clients drive.

They are the clients' methods too: see `diffusion.client.methods`.
"""

from __future__ import annotations

import base64
import time
import uuid
from collections.abc import Callable
from typing import Final, Literal, TypeVar
from urllib.parse import quote

from PIL import Image

from diffusion.client.errors import (
    ForeignAnswerError,
    JobEndedError,
    NotFoundError,
    WaitTimeoutError,
)
from diffusion.client.exchange import Call, Exchange, Pause, perform, read_json
from diffusion.client.job_json import Drawing, Models, encode_picture, job_body
from diffusion.client.policy import Policy
from diffusion.client.records import (
    ControlModel,
    Download,
    Embedding,
    Job,
    LoraRecord,
    Model,
    PreprocessorRecord,
    VaeRecord,
    read_record,
)
from diffusion.errors import SettingsError
from diffusion.images import decode_image

__all__ = ["FileKind", "Operations", "id_of"]

FileKind = Literal["png", "webp", "jpeg"]
Ended = TypeVar("Ended", Job, Download)
Row = TypeVar("Row")

FIRST_LOOK: Final = 0.05
"""Seconds until a job is looked at again, which grow up to `LONGEST_LOOK`."""
LONGEST_LOOK: Final = 1.0
PAGE: Final = 100


class Operations:
    """The operations, under one policy of trying again."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy

    # ------------------------------------------------------------------ jobs

    def submit(
        self,
        drawing: Drawing,
        *,
        model: str | Models | None = None,
        priority: int = 0,
        key: str | None = None,
        preview_every: int | None = None,
    ) -> Exchange[Job]:
        """Queue a job, once however often it must be sent, and return it.

        ``drawing``: a prompt, `Settings`, or a job's JSON. ``key``: with the same idempotency key
        the same request makes no second job, even from another program; by default a new one.
        ``preview_every``: steps from preview to preview; None for the server's own number.
        """
        body = job_body(drawing, model, preview_every)
        headers = {"idempotency-key": key or uuid.uuid4().hex}
        parameters = {"priority": str(priority)}
        return (yield from self._job(Call("POST", "/api/v1/jobs", parameters, body, headers)))

    def show(self, job: Job | str) -> Exchange[Job]:
        """Return a job as it is now."""
        return (yield from self._job(Call("GET", _path_of(job))))

    def cancel(self, job: Job | str) -> Exchange[Job]:
        """Cancel a job: within a step where it runs. One that has ended stays as it is."""
        return (yield from self._job(Call("DELETE", _path_of(job))))

    def page(self, before: str | None) -> Exchange[list[Job]]:
        """Return up to `PAGE` jobs, newest first, older than one if given."""
        parameters = {"limit": str(PAGE)} | ({} if before is None else {"before": before})
        call = Call("GET", "/api/v1/jobs", parameters)
        return (yield from self._rows(call, "jobs", Job))

    def wait(self, job: Job | str, timeout: float | None = None) -> Exchange[Job]:
        """Return a job once it is done.

        Raises `JobEndedError` for one that failed or was cancelled, and `WaitTimeoutError` after
        ``timeout`` seconds; the job goes on then.
        """
        what = f"job {id_of(job)}"
        return (yield from self._wait(lambda: self.show(job), what, timeout))

    def pictures(self, job: Job | str) -> Exchange[list[Image.Image]]:
        """Return the pictures that a job has until now, with their settings in ``info``."""
        if not (isinstance(job, Job) and job.is_final):
            job = yield from self.show(job)
        found = []
        for record in sorted(job.pictures, key=lambda each: each.number):
            file = yield from self.picture_file(job, record.number)
            found.append(_open(file, _path_of(job)))
        return found

    def picture_file(
        self, job: Job | str, number: int = 0, kind: FileKind = "png"
    ) -> Exchange[bytes]:
        """Return the file of a picture of a job, with its settings in it."""
        call = Call("GET", f"{_path_of(job)}/pictures/{number}", {"format": kind})
        return (yield from perform(call, self.policy)).content

    def preview(self, job: Job | str) -> Exchange[Image.Image | None]:
        """Return the newest preview; None where there is none now."""
        call = Call("GET", f"{_path_of(job)}/preview")
        try:
            answer = yield from perform(call, self.policy)
        except NotFoundError:
            return None
        return _open(answer.content, call.path)

    # ------------------------------------------------------------------ models

    def models(self) -> Exchange[list[Model]]:
        """Return the models that requests may name."""
        return (yield from self._models(Call("GET", "/api/v1/models")))

    def load_model(self, model: str) -> Exchange[list[Model]]:
        """Let the server load a model before a job asks for it; return all. It is for admins."""
        return (yield from self._models(_post("/api/v1/models/load", {"model": model})))

    def unload_model(self, model: str) -> Exchange[list[Model]]:
        """Give the memory of a model back, unless jobs run; return all. It is for admins."""
        return (yield from self._models(_post("/api/v1/models/unload", {"model": model})))

    def refresh_models(self) -> Exchange[list[Model]]:
        """Let the server look for models anew; return all. It is for admins."""
        return (yield from self._models(_post("/api/v1/models/refresh")))

    def download_model(
        self, model: str, revision: str = "main", variant: str | None = None
    ) -> Exchange[Download]:
        """Let the server fetch a model from the Hugging Face Hub. It is for admins.

        Where it does so already, that download is returned.
        """
        body = {"model": model, "revision": revision, "variant": variant}
        return (yield from self._download(_post("/api/v1/models/download", body)))

    def show_download(self, download: Download | str) -> Exchange[Download]:
        """Return a download as it is now."""
        return (yield from self._download(Call("GET", _path_of_download(download))))

    def cancel_download(self, download: Download | str) -> Exchange[Download]:
        """Cancel a download; what has come is kept for the next."""
        return (yield from self._download(Call("DELETE", _path_of_download(download))))

    def change_of(self, known: Download) -> Exchange[Download]:
        """Return a download once it differs from what is known of it."""
        pause = FIRST_LOOK
        while True:
            found = yield from self.show_download(known)
            if found != known:
                return found
            yield Pause(pause)
            pause = min(pause * 1.5, LONGEST_LOOK)

    def wait_for_download(
        self, download: Download | str, timeout: float | None = None
    ) -> Exchange[Download]:
        """Return a download once the model is there. Raises as `wait`."""
        what = f"download {id_of(download)}"
        return (yield from self._wait(lambda: self.show_download(download), what, timeout))

    # ------------------------------------------------------------------ adapters

    def loras(self) -> Exchange[list[LoraRecord]]:
        """Return the LoRAs that prompts may name, as ``<lora:name:weight>``."""
        return (yield from self._rows(Call("GET", "/api/v1/loras"), "loras", LoraRecord))

    def embeddings(self, model: str | None = None) -> Exchange[list[Embedding]]:
        """Return the words of textual inversion that prompts may have, as a model sees them."""
        call = Call("GET", "/api/v1/embeddings", {} if model is None else {"model": model})
        return (yield from self._rows(call, "embeddings", Embedding))

    def control_models(self) -> Exchange[list[ControlModel]]:
        """Return the ControlNets and T2I-Adapters that `Control` may name."""
        call = Call("GET", "/api/v1/control-models")
        return (yield from self._rows(call, "control_models", ControlModel))

    def vaes(self) -> Exchange[list[VaeRecord]]:
        """Return the VAEs that `Models` may name in place of a model's own."""
        return (yield from self._rows(Call("GET", "/api/v1/vaes"), "vaes", VaeRecord))

    def preprocessors(self) -> Exchange[list[PreprocessorRecord]]:
        """Return what makes maps of pictures, with the numbers that each reads."""
        call = Call("GET", "/api/v1/preprocessors")
        return (yield from self._rows(call, "preprocessors", PreprocessorRecord))

    def refresh_adapters(self) -> Exchange[None]:
        """Let the server look for LoRAs, words and control networks anew. It is for admins."""
        yield from perform(_post("/api/v1/adapters/refresh"), self.policy)

    def make_map(
        self,
        image: Image.Image,
        preprocessor: str,
        *,
        resolution: int | None = None,
        threshold_a: float | None = None,
        threshold_b: float | None = None,
    ) -> Exchange[Image.Image]:
        """Return the map of a picture, as a control network would read it."""
        body = {
            "image": encode_picture(image),
            "preprocessor": preprocessor,
            "resolution": resolution,
            "threshold_a": threshold_a,
            "threshold_b": threshold_b,
        }
        call = _post("/api/v1/preprocess", body)
        tree = read_json((yield from perform(call, self.policy)), call)
        try:
            file = base64.b64decode(tree["image"], validate=True)
        except (KeyError, TypeError, ValueError) as error:
            raise ForeignAnswerError(call.path, "it has no picture") from error
        return _open(file, call.path)

    # ------------------------------------------------------------------ reading answers

    def _job(self, call: Call) -> Exchange[Job]:
        answer = yield from perform(call, self.policy)
        return read_record(Job, read_json(answer, call), call.path)

    def _models(self, call: Call) -> Exchange[list[Model]]:
        return (yield from self._rows(call, "models", Model))

    def _rows(self, call: Call, key: str, kind: type[Row]) -> Exchange[list[Row]]:
        tree = read_json((yield from perform(call, self.policy)), call)
        return [read_record(kind, each, call.path) for each in tree.get(key, ())]

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


def id_of(given: Job | Download | str) -> str:
    """Return the number of a job or a download, as it stands in a path."""
    return quote(given if isinstance(given, str) else given.id, safe="")


def _path_of(job: Job | str) -> str:
    return f"/api/v1/jobs/{id_of(job)}"


def _path_of_download(download: Download | str) -> str:
    return f"/api/v1/models/downloads/{id_of(download)}"


def _post(path: str, body: object = None) -> Call:
    return Call("POST", path, body=body)


def _open(file: bytes, path: str) -> Image.Image:
    """Return the picture in a file. Raises `ForeignAnswerError`."""
    try:
        return decode_image(file, "picture", path)
    except SettingsError as error:
        raise ForeignAnswerError(path, str(error)) from error
