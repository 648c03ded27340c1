"""Awaiting the device from any event loop: it is looked at, with pauses between the looks."""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable

from gpucore.backends import Pending, PendingRead

__all__ = ["wait_async"]

# Seconds. The pause grows with the time waited so far, so that the wait is at most a quarter
# longer than the work; after 20 ms of it the loop is woken 200 times a second.
_FIRST_PAUSE = 0.0001
_LONGEST_PAUSE = 0.005
_GROWTH = 1.25


async def wait_async(pending: Pending | PendingRead) -> None:
    """Return once ``pending.wait()`` no longer blocks; other tasks run meanwhile.

    Works under asyncio and trio. The device is looked at from the task itself, since an engine
    need not be safe to call from another thread: cancelling the task leaves nothing behind.
    """
    sleep = _sleep()
    await sleep(0)
    pause = _FIRST_PAUSE
    while not pending.done:
        await sleep(pause)
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)


def _sleep() -> Callable[[float], Awaitable[object]]:
    """The sleep of the event loop that runs this task."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        sleep: Callable[[float], Awaitable[object]] = trio.sleep
        return sleep
    import asyncio  # it takes a tenth of the start of a process, and is there where it is used

    return asyncio.sleep
