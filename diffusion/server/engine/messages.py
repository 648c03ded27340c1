"""The messages between the server and an engine: small frozen records that can be pickled.

The pipe that carries them to a worker process is private to the two, so that pickles of a stranger
never come through it. Pictures travel as the bytes of their files.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path
from typing import Final, TypeAlias

from diffusion.control import Control
from diffusion.settings import Settings

__all__ = [
    "NOTHING_BESIDE",
    "Command",
    "Draw",
    "Drawn",
    "Ending",
    "EngineEvent",
    "Enlarge",
    "Failed",
    "Finished",
    "LoadModel",
    "LoadedModel",
    "Lost",
    "MakeMap",
    "MapFailed",
    "MapMade",
    "ModelsBeside",
    "ModelsChanged",
    "Previewed",
    "Ready",
    "RefreshAdapters",
    "Shutdown",
    "Staged",
    "Started",
    "Stepped",
    "Stop",
    "StopJob",
    "UnloadModels",
]


class Stop(Enum):
    """Ways to stop a job: drop it, end it with the pictures as they are, or end one batch so."""

    DROP = "drop"
    KEEP = "keep"
    SKIP = "skip"


# ------------------------------------------------------------------ to an engine


@dataclass(frozen=True)
class ModelsBeside:
    """The models that draw a part of a job; None where its own model does.

    ``vae``: encodes and decodes. ``refiner``: makes the steps after the share ``switch``.
    ``hires``: makes the second pass.
    """

    vae: Path | None = None
    refiner: Path | None = None
    switch: float = 0.8
    hires: Path | None = None

    @property
    def models(self) -> tuple[Path, ...]:
        """The models among them."""
        return tuple(each for each in (self.refiner, self.hires) if each is not None)


NOTHING_BESIDE: Final = ModelsBeside()


@dataclass(frozen=True)
class Draw:
    """Draw a job: ``settings`` by the model at ``model``; a preview each ``preview_every`` steps.

    0 makes no previews. ``beside``: see `ModelsBeside`.
    """

    job: str
    model: Path
    settings: Settings
    preview_every: int = 0
    beside: ModelsBeside = NOTHING_BESIDE

    @property
    def models(self) -> tuple[Path, ...]:
        """All models that draw it, its own first."""
        return (self.model, *self.beside.models)


@dataclass(frozen=True)
class StopJob:
    """Stop a job after the step under way."""

    job: str
    how: Stop


@dataclass(frozen=True)
class LoadModel:
    """Load a model now, before a job asks for it."""

    model: Path


@dataclass(frozen=True)
class UnloadModels:
    """Give the memory of models back: of one, or of all if None."""

    model: Path | None = None


@dataclass(frozen=True)
class RefreshAdapters:
    """Look for files of adapters again, once nothing runs."""


@dataclass(frozen=True)
class MakeMap:
    """Make the map of a control's picture at ``size``; None for what its preprocessor makes.

    ``number``: a name of its own, for the answer.
    """

    number: str
    control: Control = field(repr=False)
    size: tuple[int, int] | None = None


@dataclass(frozen=True)
class Enlarge:
    """Enlarge a picture by a network to ``size``; the answer is that of `MakeMap`.

    ``number``: a name of its own, for the answer. ``png``: the picture's file.
    """

    number: str
    upscaler: Path
    png: bytes = field(repr=False)
    size: tuple[int, int]


@dataclass(frozen=True)
class Shutdown:
    """End the process once nothing runs."""


Command: TypeAlias = (
    Draw | StopJob | LoadModel | UnloadModels | RefreshAdapters | MakeMap | Enlarge | Shutdown
)


# ------------------------------------------------------------------ from an engine


@dataclass(frozen=True)
class LoadedModel:
    """A model in an engine's memory, and its bytes there."""

    model: Path
    nbytes: int


@dataclass(frozen=True)
class Ready:
    """The device is open; ``device``: its name; ``capacity``: the jobs that it draws at once."""

    device: str
    software: bool = False
    capacity: int = 1


@dataclass(frozen=True)
class ModelsChanged:
    """The models in memory now; the one that was used last stands last."""

    models: tuple[LoadedModel, ...]
    reserved: int = 0


@dataclass(frozen=True)
class Started:
    """A job begins."""

    job: str


@dataclass(frozen=True)
class Staged:
    """A part of a job begins: ``loading model``, or the name of a `diffusion.Stage`."""

    job: str
    name: str


@dataclass(frozen=True)
class Stepped:
    """A step of a job is computed: ``index`` of ``total`` over all its batches."""

    job: str
    index: int
    total: int


@dataclass(frozen=True)
class Previewed:
    """The pictures of a job as the network sees them now, one beside the other, as a JPEG."""

    job: str
    jpeg: bytes = field(repr=False)


@dataclass(frozen=True)
class Drawn:
    """A picture of a job is finished: ``number`` counts from 0.

    ``png``: its file, with its infotext. ``partial``: it was stopped before its last step.
    """

    job: str
    number: int
    png: bytes = field(repr=False)
    seed: int
    width: int
    height: int
    infotext: str = field(repr=False)
    partial: bool = False


@dataclass(frozen=True)
class Finished:
    """All that a job will give has come; ``stopped``: because it was asked to stop."""

    job: str
    stopped: bool = False


@dataclass(frozen=True)
class Failed:
    """A job cannot be drawn. ``wrong_input``: the request is at fault, so that 422 answers it."""

    job: str
    message: str
    wrong_input: bool = False


@dataclass(frozen=True)
class MapMade:
    """A map is made, or a picture enlarged; ``png``: its file."""

    number: str
    png: bytes = field(repr=False)


@dataclass(frozen=True)
class MapFailed:
    """A map cannot be made, or a picture not enlarged. ``wrong_input``: the request is at fault."""

    number: str
    message: str
    wrong_input: bool = False


@dataclass(frozen=True)
class Ending:
    """The process cannot go on, and ends; ``reason``: a sentence."""

    reason: str


@dataclass(frozen=True)
class Lost:
    """The engine lost its process or device with these jobs on it, and starts again.

    ``reason``: a sentence.
    """

    jobs: tuple[str, ...]
    reason: str


EngineEvent: TypeAlias = (
    Ready
    | ModelsChanged
    | Started
    | Staged
    | Stepped
    | Previewed
    | Drawn
    | Finished
    | Failed
    | MapMade
    | MapFailed
    | Ending
    | Lost
)
