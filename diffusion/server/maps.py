"""What a worker makes of pictures without a drawing: maps, and enlarged pictures."""

from __future__ import annotations

import asyncio
import secrets
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from diffusion.control import Control
from diffusion.server.engine.interface import Engine, EngineState, Listener
from diffusion.server.engine.messages import (
    EngineEvent,
    Enlarge,
    Lost,
    MakeMap,
    MapFailed,
    MapMade,
)
from diffusion.server.errors import BusyError, RefusedError, ServerError, UnavailableError

__all__ = ["MapMaker"]

MOST_WAITING: Final = 32
LONGEST_WAIT: Final = 120.0
"""Seconds; a worker makes maps between the steps of its jobs, and after a model is loaded."""


class _Asked(NamedTuple):
    """A map that a worker was asked for."""

    engine: Engine
    answer: asyncio.Future[bytes]


class MapMaker:
    """Asks workers for maps and enlarged pictures. Call everything in the event loop."""

    def __init__(self, engines: Sequence[Engine]) -> None:
        self._engines = engines
        self._asked: dict[str, _Asked] = {}

    def listener(self, engine: Engine, others: Listener) -> Listener:
        """Return a listener to an engine that keeps what maps are about, and hands on the rest."""

        def listen(event: EngineEvent) -> None:
            if isinstance(event, MapMade | MapFailed):
                self._answer(event)
                return
            if isinstance(event, Lost):
                self._lose(engine, event.reason)
            others(event)

        return listen

    async def make(self, control: Control, size: tuple[int, int] | None) -> bytes:
        """Return the map of a control's picture at a size as a PNG; see `make_map`.

        Raises `RefusedError`, `BusyError`, `UnavailableError` and `ServerError`.
        """
        return await self._ask(lambda number: MakeMap(number, control, size))

    async def enlarge(self, upscaler: Path, png: bytes, size: tuple[int, int]) -> bytes:
        """Return a picture's file, enlarged by a network to a size, as a PNG. Raises as `make`."""
        return await self._ask(lambda number: Enlarge(number, upscaler, png, size))

    async def _ask(self, command: Callable[[str], MakeMap | Enlarge]) -> bytes:
        """Send a command with a new number to a worker; return what it answers."""
        if len(self._asked) >= MOST_WAITING:
            raise BusyError(f"{len(self._asked)} pictures are being made; come later", 2)
        number, answer = secrets.token_hex(12), asyncio.get_running_loop().create_future()
        engine = self._choose_engine()
        self._asked[number] = _Asked(engine, answer)
        try:
            engine.send(command(number))
            return await asyncio.wait_for(answer, LONGEST_WAIT)
        except TimeoutError:
            message = f"the picture was not made within {LONGEST_WAIT:.0f} s; come again"
            raise UnavailableError(message, 5) from None
        finally:
            del self._asked[number]

    def _choose_engine(self) -> Engine:
        """Return the engine that makes the fewest maps. Raises `UnavailableError`."""
        ready = [each for each in self._engines if each.status.state is EngineState.READY]
        if not ready:
            raise UnavailableError("no device can make a picture now; come again", 5)
        busy = Counter(id(each.engine) for each in self._asked.values())
        return min(ready, key=lambda engine: busy[id(engine)])

    def _answer(self, event: MapMade | MapFailed) -> None:
        asked = self._asked.get(event.number)
        if asked is None or asked.answer.done():
            return  # nobody waits any more
        if isinstance(event, MapMade):
            asked.answer.set_result(event.png)
        else:
            kind = RefusedError if event.wrong_input else ServerError
            asked.answer.set_exception(kind(event.message))

    def _lose(self, engine: Engine, reason: str) -> None:
        """Tell those who wait for a lost engine."""
        for each in self._asked.values():
            if each.engine is engine and not each.answer.done():
                problem = UnavailableError(f"the worker was lost: {reason}; come again", 5)
                each.answer.set_exception(problem)
