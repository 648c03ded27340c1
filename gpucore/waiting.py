"""Waiting for the device and for its lock: in pauses, other threads and tasks run.

Nothing blocks inside an engine, so that Ctrl-C and timeouts of an event loop end any wait. A wait
that was ended leaves the device as it was: the work goes on, and may be waited for again.
"""

from __future__ import annotations

import functools
import sys
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from typing import Concatenate, ParamSpec, Protocol, TypeVar

__all__ = [
    "Awaited",
    "Lock",
    "Locked",
    "start_async",
    "under_lock",
    "wait_async",
    "wait_in_turns",
]

P = ParamSpec("P")
R = TypeVar("R")
V = TypeVar("V")

# Seconds. A task's pause grows with the time waited so far, so that the wait is at most a quarter
# longer than the work. After 20 ms the event loop wakes 200 times a second.
_FIRST_PAUSE = 0.0001
_LONGEST_PAUSE = 0.005
_GROWTH = 1.25
# A thread's wait polls without pauses at first, then is at most a twentieth longer than the work.
_BUSY = 0.0002
_SHARE = 0.05
_LONGEST_SLEEP = 0.001


class Awaited(Protocol):
    """Work that is not finished."""

    @property
    def done(self) -> bool:
        """True once it is; the check takes no time."""


class Lock(AbstractContextManager[object], Protocol):
    """A re-entrant lock."""

    def acquire(self, blocking: bool = True) -> bool:
        """Take it; return False where another thread has it and ``blocking`` is false."""

    def release(self) -> None:
        """Give it back."""


class Locked(Protocol):
    """Something with a lock."""

    lock: Lock


S = TypeVar("S", bound=Locked)


def under_lock(method: Callable[Concatenate[S, P], R]) -> Callable[Concatenate[S, P], R]:
    """Return the method, called under its object's ``lock``."""

    @functools.wraps(method)
    def call_under_lock(self: S, /, *arguments: P.args, **options: P.kwargs) -> R:
        with self.lock:
            return method(self, *arguments, **options)

    return call_under_lock


def wait_in_turns(
    pending: Awaited,
    lock: AbstractContextManager[object] | None = None,
    meanwhile: Callable[[], object] | None = None,
) -> None:
    """Block until ``pending`` is done; take ``lock`` for each look, so that others have turns.

    ``meanwhile`` is called once, under the lock, where there is something to wait for.
    """
    turn = nullcontext() if lock is None else lock

    def look() -> bool:
        with turn:
            return pending.done

    if look():
        return
    with turn:
        if meanwhile is not None:
            meanwhile()
    began = time.perf_counter()
    while not look():
        waited = time.perf_counter() - began
        time.sleep(0 if waited < _BUSY else min(waited * _SHARE, _LONGEST_SLEEP))


async def wait_async(pending: Awaited, lock: Lock) -> None:
    """Return once ``pending`` is done; other tasks and threads run meanwhile.

    Works under asyncio and trio. Cancelling the task leaves nothing behind. Other tasks run once
    before the first look: software OpenGL does all the work in it.
    """
    await _sleep_function()(0)
    await start_async(lambda: pending.done or None, lock)


async def start_async(start: Callable[[], V | None], lock: Lock) -> V:
    """Call ``start`` under ``lock`` until it returns something, with pauses; return that.

    The task never waits for the lock: while another thread has it, other tasks run.
    """
    sleep = _sleep_function()
    for pause in _pauses():
        if lock.acquire(blocking=False):
            try:
                result = start()
            finally:
                lock.release()
            if result is not None:
                return result
        await sleep(pause)
    raise AssertionError("pauses do not end")


def _pauses() -> Iterator[float]:
    yield 0
    pause = _FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * _GROWTH, _LONGEST_PAUSE)


def _sleep_function() -> Callable[[float], Awaitable[object]]:
    """Return the sleep function of the event loop that runs this task."""
    trio = sys.modules.get("trio")
    if trio is not None and trio.lowlevel.in_trio_run():
        sleep: Callable[[float], Awaitable[object]] = trio.sleep
        return sleep
    import asyncio  # a tenth of a process's start; loaded already where a task runs under it

    return asyncio.sleep
