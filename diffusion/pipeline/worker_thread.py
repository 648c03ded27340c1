"""A blocking iterator in an event loop: its work is done by a thread."""

from __future__ import annotations

import threading
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import suppress
from typing import TypeVar

from diffusion.errors import StoppedError
from diffusion.pipeline.events import Step

__all__ = ["in_thread"]

T = TypeVar("T")


async def in_thread(
    start: Callable[[Callable[[Step], None]], Iterator[T]],
) -> AsyncGenerator[T]:
    """Yield what ``start(on_step)`` yields in a thread of its own.

    Closing this generator, or cancelling the task that reads it, raises an error in ``on_step`` and
    waits until the thread has ended. Errors of the thread are raised here.
    """
    import asyncio  # takes time to load; loaded already where a loop runs

    loop = asyncio.get_running_loop()
    items: asyncio.Queue[T | None] = asyncio.Queue()
    stopped = threading.Event()

    def put(item: T | None) -> None:
        loop.call_soon_threadsafe(items.put_nowait, item)

    def stop_if_asked(_: Step) -> None:
        if stopped.is_set():
            raise StoppedError

    def work() -> None:
        try:
            for item in start(stop_if_asked):
                put(item)
        finally:
            put(None)

    task = loop.run_in_executor(None, work)
    try:
        while (item := await items.get()) is not None:
            yield item
        await task
    finally:
        stopped.set()
        with suppress(StoppedError):
            await asyncio.shield(task)
