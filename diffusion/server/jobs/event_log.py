"""The events of a job, numbered, so that a client that was cut off can go on where it was."""

from __future__ import annotations

import asyncio
import secrets
from collections import deque
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Final

__all__ = ["Event", "EventLog"]

KEPT: Final = 512
"""Events of one job that are kept; a client that missed more gets a snapshot."""

_BOOT: Final = secrets.token_hex(4)
"""Tells the numbers of this process from those before a restart."""


@dataclass(frozen=True)
class Event:
    """An event: ``number`` counts from 1. ``last``: none follows."""

    number: int
    name: str
    data: Mapping[str, object]
    last: bool = False

    @property
    def id(self) -> str:
        """The id that a client sends back as ``Last-Event-ID``."""
        return f"{_BOOT}-{self.number}"


class EventLog:
    """Events in order, and those who wait for the next."""

    def __init__(self) -> None:
        self._events: deque[Event] = deque(maxlen=KEPT)
        self._count = 0
        self._changed = asyncio.Event()
        self._closed = False

    def add(self, name: str, data: Mapping[str, object], last: bool = False) -> None:
        """Append an event and wake those who wait."""
        self._count += 1
        self._events.append(Event(self._count, name, data, last))
        self._wake()

    def close(self) -> None:
        """Let all followers end, as the server does when it stops."""
        self._closed = True
        self._wake()

    def _wake(self) -> None:
        self._changed.set()
        self._changed = asyncio.Event()

    @property
    def count(self) -> int:
        """The number of the newest event."""
        return self._count

    def place_of(self, last_event_id: str | None) -> int | None:
        """Return the number that a client has seen last; None where it needs a snapshot."""
        boot, _, number = (last_event_id or "").partition("-")
        if boot != _BOOT or not number.isascii() or not number.isdigit() or len(number) > 9:
            return None
        oldest = self._events[0].number if self._events else self._count + 1
        return int(number) if oldest - 1 <= int(number) <= self._count else None

    async def follow(self, after: int) -> AsyncIterator[Event]:
        """Yield events after a number as they come, up to the last one."""
        while True:
            changed = self._changed
            for event in [each for each in self._events if each.number > after]:
                after = event.number
                yield event
                if event.last:
                    return
            if self._closed:
                return
            if changed is self._changed:
                await changed.wait()
