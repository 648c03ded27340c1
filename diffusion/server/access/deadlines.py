"""Deadlines for receiving a request and sending its answer, which uvicorn has none of.

A client that sends a byte a second would hold a connection for ever. Here a request's head must
have come within one time, and all of its body within another. A client that takes nothing of its
answer for a time is cut off, too: the server keeps the rest of it in memory.
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
    send_seconds: ClassVar[float]

    _timer: asyncio.TimerHandle | None = None
    _timer_for: str = ""
    _send_timer: asyncio.TimerHandle | None = None
    _unsent = 0

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
        self._disarm_sending()
        super().connection_lost(exc)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._arm_sending()

    def resume_writing(self) -> None:
        self._disarm_sending()
        super().resume_writing()

    def _arm_sending(self) -> None:
        self._unsent = self.transport.get_write_buffer_size()
        self._send_timer = self.loop.call_later(self.send_seconds, self._check_sending)

    def _disarm_sending(self) -> None:
        if self._send_timer is not None:
            self._send_timer.cancel()
            self._send_timer = None

    def _check_sending(self) -> None:
        """Cut off a client that has taken nothing since the last look."""
        if self.transport.get_write_buffer_size() < self._unsent:
            self._arm_sending()
        else:
            self._send_timer = None
            self.transport.abort()

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


def protocol_with_deadlines(head: float, body: float, send: float) -> type[H11Protocol]:
    """Return uvicorn's protocol with seconds for a request's head, for all of it, and to send.

    ``send``: the longest time in which a client takes nothing of its answer.
    """

    class Protocol(_DeadlineProtocol):
        head_seconds = head
        body_seconds = body
        send_seconds = send

    return Protocol
