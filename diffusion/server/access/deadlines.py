"""Deadlines for receiving a request, which uvicorn has none of.

A client that sends a byte a second would hold a connection for ever. Here a request's head must
have come within one time, and all of its body within another.
"""

from __future__ import annotations

import asyncio
from typing import Any, ClassVar

import h11
from uvicorn.protocols.http.h11_impl import H11Protocol

__all__ = ["protocol_with_deadlines"]


class _DeadlineProtocol(H11Protocol):
    head_seconds: ClassVar[float]
    body_seconds: ClassVar[float]

    _timer: asyncio.TimerHandle | None = None
    _timer_for: str = ""

    def connection_made(self, transport: Any) -> None:
        super().connection_made(transport)
        self._arm("head", self.head_seconds)

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        state = self.conn.their_state
        if state is h11.IDLE:
            self._arm("head", self.head_seconds)
        elif state is h11.SEND_BODY:
            self._arm("body", self.body_seconds)
        else:
            self._disarm()

    def connection_lost(self, exc: Exception | None) -> None:
        self._disarm()
        super().connection_lost(exc)

    def _arm(self, part: str, seconds: float) -> None:
        """Start the time of a part, unless it runs: bytes that come do not prolong it."""
        if self._timer is not None and self._timer_for == part:
            return
        self._disarm()
        self._timer_for = part
        self._timer = self.loop.call_later(seconds, self._expire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if self.transport is not None:
            self.transport.abort()


def protocol_with_deadlines(head: float, body: float) -> type[H11Protocol]:
    """Return uvicorn's protocol with the seconds for a request's head and for all of it."""

    class Protocol(_DeadlineProtocol):
        head_seconds = head
        body_seconds = body

    return Protocol
