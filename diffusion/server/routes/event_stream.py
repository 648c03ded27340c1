"""Server-sent events: their text, and a sign of life where nothing happens for long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from typing import Final

from fastapi.responses import StreamingResponse

from diffusion.server.jobs.event_log import Event

__all__ = ["PING", "PING_SECONDS", "event_text", "stream_answer", "with_pings"]

PING_SECONDS: Final = 15.0
PING: Final = ": still here\n\n"
"""A comment, which keeps proxies from closing the connection."""


def event_text(name: str, data: Mapping[str, object], number: str | None = None) -> str:
    """Return an event as text; ``number``: the id that a client may come back with."""
    head = "" if number is None else f"id: {number}\n"
    return f"{head}event: {name}\ndata: {json.dumps(data)}\n\n"


def stream_answer(texts: AsyncIterator[str]) -> StreamingResponse:
    """Return an answer that sends texts as they come, and that no proxy collects first."""
    headers = {"cache-control": "no-store", "x-accel-buffering": "no"}
    return StreamingResponse(texts, media_type="text/event-stream", headers=headers)


async def with_pings(events: AsyncIterator[Event]) -> AsyncGenerator[Event | None]:
    """Yield events as they come, and None where nothing came for `PING_SECONDS`."""
    coming = asyncio.ensure_future(anext(events, None))
    try:
        while True:
            done, _ = await asyncio.wait({coming}, timeout=PING_SECONDS)
            if not done:
                yield None
                continue
            event = coming.result()
            if event is None:
                return
            yield event
            coming = asyncio.ensure_future(anext(events, None))
    finally:
        coming.cancel()
