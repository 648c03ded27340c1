"""Server-sent events: their text, and a sign of life where nothing happens for long."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Final

from fastapi.responses import StreamingResponse

from diffusion.server.jobs.event_log import Event, EventLog

__all__ = ["PING", "event_text", "follow_log", "stream_answer", "with_pings"]

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


async def follow_log(
    log: EventLog, report: Callable[[], Mapping[str, object]], ended: bool, last_id: str | None
) -> AsyncIterator[str]:
    """Yield a log's events as text, from where a client that comes back has stopped.

    Where that is not kept, and at the first time, the whole ``report`` comes first, as ``end``
    where all has ``ended``, else as ``state``.
    """
    place = log.place_of(last_id)
    if place is None:
        place = log.count
        name = "end" if ended else "state"
        yield event_text(name, report(), Event(place, name, {}).id)
        if ended:
            return
    async with aclosing(with_pings(log.follow(place))) as events:
        async for event in events:
            yield PING if event is None else event_text(event.name, event.data, event.id)


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
