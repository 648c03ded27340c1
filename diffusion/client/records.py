"""What a server tells of jobs, pictures, models, downloads and adapters, as records.

Fields that a newer server adds are left out.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import MISSING, dataclass, fields
from typing import Any, Final, TypeVar

from PIL import Image

from diffusion.client.errors import ForeignAnswerError

__all__ = [
    "ControlModel",
    "Download",
    "Embedding",
    "Event",
    "Job",
    "LoraRecord",
    "Model",
    "PictureRecord",
    "PreprocessorRecord",
    "ThresholdRecord",
    "VaeRecord",
    "read_record",
]

T = TypeVar("T")

FINAL_STATES: Final = frozenset({"done", "cancelled", "failed"})


@dataclass(frozen=True)
class PictureRecord:
    """A finished picture of a job. ``partial``: it was stopped before its last step."""

    number: int
    seed: int
    width: int
    height: int
    infotext: str
    partial: bool = False


@dataclass(frozen=True)
class Job:
    """A job as it was when the server answered; `Client.show` asks anew.

    ``state``: queued, running, done, cancelled or failed. ``progress``: 0 to 1. ``preview``: the
    number of the newest preview, None where there is none. Times are Unix times.
    """

    id: str
    state: str
    model: str
    seed: int
    count: int
    created: float
    priority: int = 0
    ended: float | None = None
    stage: str = ""
    step: int = 0
    steps: int = 0
    progress: float = 0.0
    eta_seconds: float | None = None
    preview: int | None = None
    message: str = ""
    pictures: tuple[PictureRecord, ...] = ()

    @property
    def is_final(self) -> bool:
        """Tell whether nothing will change any more."""
        return self.state in FINAL_STATES


@dataclass(frozen=True)
class Event:
    """An event of a job.

    ``name``: state, stage, progress, preview, picture or end. ``data``: what the server sent.
    ``job``: the whole job, with state and end. ``picture``: that is finished now. ``preview``: the
    pictures as the network sees them now, if previews were asked for.
    """

    name: str
    data: Mapping[str, Any]
    job: Job | None = None
    picture: PictureRecord | None = None
    preview: Image.Image | None = None

    @property
    def step(self) -> int | None:
        """The step that a progress event tells of."""
        return self.data.get("step")

    @property
    def steps(self) -> int | None:
        """The number of all steps, of a progress event."""
        return self.data.get("steps")


@dataclass(frozen=True)
class Model:
    """A model that requests may name. ``bytes``: in the device's memory, None if not loaded."""

    name: str
    title: str
    loaded: bool
    sha256: str | None = None
    bytes: int | None = None


@dataclass(frozen=True)
class Download:
    """A download as it was when the server answered. ``done`` of ``bytes`` are there."""

    id: str
    model: str
    state: str
    message: str = ""
    licence: str = ""
    bytes: int = 0
    done: int = 0

    @property
    def is_final(self) -> bool:
        """Tell whether nothing will change any more."""
        return self.state in FINAL_STATES


@dataclass(frozen=True)
class LoraRecord:
    """A LoRA: its name in prompts, its trainer's name for it, and the notes in its file."""

    name: str
    alias: str
    notes: Mapping[str, str]


@dataclass(frozen=True)
class Embedding:
    """A word of textual inversion. ``problem``: why the model cannot draw with it, if it cannot."""

    name: str
    vectors: int
    width: int
    problem: str | None = None


@dataclass(frozen=True)
class ControlModel:
    """A control network by its name; ``title``: with eight digits of a hash.

    ``kind``: ``control``, ``ip-adapter`` or ``image-encoder``; None where the file does not tell.
    """

    name: str
    title: str
    kind: str | None = None


@dataclass(frozen=True)
class VaeRecord:
    """A VAE by its name, which `Models` may have."""

    name: str


@dataclass(frozen=True)
class ThresholdRecord:
    """A number that a preprocessor reads, and its range."""

    title: str
    default: float
    least: float
    most: float


@dataclass(frozen=True)
class PreprocessorRecord:
    """A preprocessor: its names, what it shows, and the numbers that it reads, if any."""

    name: str
    label: str
    kind: str | None = None
    needs_mask: bool = False
    a: ThresholdRecord | None = None
    b: ThresholdRecord | None = None


def read_record(kind: type[T], data: object, path: str) -> T:
    """Return a record of a part of the answer to ``path``. Raises `ForeignAnswerError`."""
    if not isinstance(data, Mapping):
        raise ForeignAnswerError(path, f"{kind.__name__} must be an object")
    known = fields(kind)  # type: ignore[arg-type]
    missing = [each.name for each in known if each.default is MISSING and each.name not in data]
    if missing:
        raise ForeignAnswerError(path, f"{kind.__name__} lacks {', '.join(missing)}")
    given = {each.name: data[each.name] for each in known if each.name in data}
    if kind is Job:
        pictures = given.get("pictures", ())
        given["pictures"] = tuple(read_record(PictureRecord, each, path) for each in pictures)
    for name in ("a", "b") if kind is PreprocessorRecord else ():
        if given.get(name) is not None:
            given[name] = read_record(ThresholdRecord, given[name], path)
    return kind(**given)
