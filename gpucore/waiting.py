"""Awaiting the device in any event loop: it is polled, with pauses in between."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

from gpucore.backends import Pending, PendingRead

__all__ = ["wait_async"]

# Seconds. The pause grows with the time waited so far, so that the wait is at most a quarter
# longer than the work. After 20 ms the event loop wakes 200 times a second.
_FIRST_PAUSE = 0.0001
_LONGEST_PAUSE = 0.005
_GROWTH = 1.25


async def wait_async(pending: Pending | PendingRead) -> None:
    """Return once ``pending.wait()`` no longer blocks; other tasks run meanwhile.

    Works under asyncio and trio. The task itself polls the device, since an engine may not be safe
    to call from another thread. Cancelling the task leaves nothing behind.
    """
    sleep = _sleep_function()
    await sleep(0)
    pause = _FIRST_PAUSE
    while not pending.done:
        await sleep(pause)
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)


def _sleep_function() -> Callable[[float], Awaitable[object]]:
    """Return the sleep function of the event loop that runs this task."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        sleep: Callable[[float], Awaitable[object]] = trio.sleep
        return sleep
    import asyncio  # a tenth of a process's start; loaded already where a task runs under it

    return asyncio.sleep
