"""Draw pieces on engines: each is kept busy, and what a lost one drew is drawn once more."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from dataclasses import replace
from types import TracebackType
from typing import Final, Self

from diffusion.server.batch.pieces import Outcome, Piece
from diffusion.server.engine.interface import Engine, EngineState
from diffusion.server.engine.messages import Draw, Drawn, EngineEvent, Failed, Finished, Lost
from diffusion.server.errors import UnavailableError
from diffusion.server.jobs.placement import choose_engine

__all__ = ["EnginePool"]

ATTEMPTS: Final = 2


class EnginePool:
    """Engines that draw for one caller, who is not in an event loop. Close it at the end.

    ``stopping``: tells whether no more pieces are to begin; those that run go on.
    """

    def __init__(self, engines: Sequence[Engine], stopping: Callable[[], bool]) -> None:
        self._engines, self._stopping = engines, stopping
        self._runner = asyncio.Runner()
        self._events: asyncio.Queue[tuple[Engine, EngineEvent]] = asyncio.Queue()
        self._running: dict[str, tuple[Engine, Piece]] = {}
        self._drawn: dict[str, Drawn] = {}
        self._again: deque[Piece] = deque()

    def __enter__(self) -> Self:
        self._runner.run(self._start())
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._runner.run(self._close())
        self._runner.close()

    async def _start(self) -> None:
        for engine in self._engines:
            await engine.start(lambda event, own=engine: self._events.put_nowait((own, event)))  # type: ignore[misc]

    async def _close(self) -> None:
        for engine in self._engines:
            await engine.close()

    def draw(self, pieces: Iterator[Piece]) -> Iterator[Outcome]:
        """Yield the outcome of each piece, as they come. Raises `UnavailableError`.

        Pieces are taken one by one, when there is room.
        """
        outcomes = self._draw(pieces)
        while True:
            try:
                yield self._runner.run(anext(outcomes))  # type: ignore[arg-type]
            except StopAsyncIteration:
                return

    async def _draw(self, pieces: Iterator[Piece]) -> AsyncIterator[Outcome]:
        upcoming = _Upcoming(pieces)
        while True:
            self._begin(upcoming)
            if not self._running and (upcoming.next is None or self._stopping()):
                return
            engine, event = await self._events.get()
            outcomes = list(self._handle(event))
            self._begin(upcoming)  # engines draw on while the caller writes
            for outcome in outcomes:
                yield outcome
            if all(each.status.state is EngineState.FAILED for each in self._engines):
                raise UnavailableError(f"no device can draw: {engine.status.reason}")

    def _begin(self, upcoming: _Upcoming) -> None:
        """Hand out pieces as long as there is room."""
        if self._stopping():
            return
        upcoming.put_back(self._again)
        while (piece := upcoming.next) is not None:
            engine = choose_engine(self._engines, self._running.values(), piece)
            if engine is None:
                return
            upcoming.take()
            self._running[piece.name] = engine, replace(piece, attempts=piece.attempts + 1)
            engine.send(Draw(piece.name, piece.path, piece.settings, beside=piece.beside))

    def _handle(self, event: EngineEvent) -> Iterator[Outcome]:
        """Take in an event; yield what it ends."""
        if isinstance(event, Drawn):
            self._drawn[event.job] = event
        elif isinstance(event, Finished | Failed):
            _, piece = self._running.pop(event.job)
            drawn = self._drawn.pop(event.job, None)
            reason = event.message if isinstance(event, Failed) else "the worker gave no picture"
            if isinstance(event, Failed) or drawn is None:
                yield Outcome(piece.key, piece.number, None, reason)
            else:
                yield Outcome(piece.key, piece.number, drawn)
        elif isinstance(event, Lost):
            yield from self._recover(event)

    def _recover(self, lost: Lost) -> Iterator[Outcome]:
        """Put pieces of a lost engine back; yield those that lost one too often."""
        for name in lost.jobs:
            _, piece = self._running.pop(name)
            self._drawn.pop(name, None)
            if piece.attempts < ATTEMPTS:
                self._again.append(piece)
            else:
                reason = f"the worker was lost {piece.attempts} times: {lost.reason}"
                yield Outcome(piece.key, piece.number, None, reason)


class _Upcoming:
    """Pieces with a look at the next one, and with some put back before the others."""

    def __init__(self, pieces: Iterator[Piece]) -> None:
        self._pieces = pieces
        self._first: deque[Piece] = deque()
        self._ended = False

    def put_back(self, pieces: deque[Piece]) -> None:
        """Put pieces before all others; ``pieces`` is empty then."""
        while pieces:
            self._first.appendleft(pieces.pop())

    @property
    def next(self) -> Piece | None:
        """The next piece, which stays; None at the end."""
        if not self._first and not self._ended:
            try:
                self._first.append(next(self._pieces))
            except StopIteration:
                self._ended = True
        return self._first[0] if self._first else None

    def take(self) -> None:
        """Take the next piece out."""
        self._first.popleft()
