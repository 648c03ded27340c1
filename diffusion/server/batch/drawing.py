"""Draw the work of a batch by worker processes of this machine."""

from __future__ import annotations

from collections.abc import Iterator

from diffusion.errors import DiffusionError
from diffusion.server.batch.lines import ModelNames
from diffusion.server.batch.pieces import Outcome, Piece, Work, piece_of
from diffusion.server.batch.pool import EnginePool

__all__ = ["LocalDrawing"]


class LocalDrawing:
    """Draws work on engines of this machine. Use it in a ``with`` block of its pool."""

    def __init__(self, pool: EnginePool, models: ModelNames) -> None:
        self._pool, self._models = pool, models
        self._unfit: list[Outcome] = []

    def draw(self, works: Iterator[Work]) -> Iterator[Outcome]:
        """Yield the outcome of each picture, as they come. Raises `UnavailableError`."""
        for outcome in self._pool.draw(self._pieces(works)):
            yield from self._take_unfit()
            yield outcome
        yield from self._take_unfit()

    def _pieces(self, works: Iterator[Work]) -> Iterator[Piece]:
        """Yield the pictures of work; one that cannot be drawn here has an outcome at once."""
        for work in works:
            for number in work.numbers:
                try:
                    yield piece_of(work, number, self._models)
                except DiffusionError as error:
                    self._unfit.append(Outcome(work.key, number, None, str(error)))

    def _take_unfit(self) -> Iterator[Outcome]:
        unfit, self._unfit = self._unfit, []
        yield from unfit
