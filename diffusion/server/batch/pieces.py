"""Pieces: one picture of a line each, so that all workers are busy to the last line."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

from diffusion.server.batch.lines import ModelNames, read_request
from diffusion.server.engine.messages import NOTHING_BESIDE, Drawn, ModelsBeside
from diffusion.settings import Settings

__all__ = ["Outcome", "Piece", "Work", "piece_of"]


@dataclass(frozen=True)
class Work:
    """Pictures of one line that are still to be drawn; it can be sent to another machine.

    ``request``: JSON; ``seed``: of picture 0; ``model``: as the line names it; ``numbers``: of the
    pictures.
    """

    key: str
    request: str
    seed: int
    model: str | None
    numbers: tuple[int, ...]


@dataclass(frozen=True)
class Piece:
    """A picture to draw. ``path``: of its model; ``attempts``: how often it was begun before.

    ``beside``: its other models.
    """

    key: str
    number: int
    path: Path
    settings: Settings
    attempts: int = 0
    beside: ModelsBeside = NOTHING_BESIDE

    @property
    def name(self) -> str:
        """A name that no other piece has."""
        return f"{self.key}/{self.number}"


@dataclass(frozen=True)
class Outcome:
    """The result of a piece: a picture, or a reason why there is none."""

    key: str
    number: int
    drawn: Drawn | None
    reason: str = ""


def piece_of(work: Work, number: int, models: ModelNames) -> Piece:
    """Return picture ``number`` of a line's work. Raises `SettingsError`, `UnknownModelError`."""
    request = read_request(work.request)
    settings = replace(request.settings(), seed=work.seed).part(number, 1)
    path, beside = models.find(work.model), models.beside(request)
    return Piece(work.key, number, path, replace(settings, batch=1), beside=beside)
