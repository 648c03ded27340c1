"""Ctrl-C, SIGTERM and SIGHUP as a request that takes effect at the next safe place.

Python's own way is an exception at whatever instruction runs. It is lost where that instruction
stands in a callback of an engine: such exceptions are printed and dropped.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from diffusion.cli.signals import STOPPING

__all__ = ["Interruption", "interruptible"]


class Interruption:
    """A request to stop, once Ctrl-C was typed; ``notify`` is called at the first Ctrl-C."""

    def __init__(self, notify: Callable[[], None]) -> None:
        self.requested = False
        self._notify = notify

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Record the first Ctrl-C; at the second, end the process at once."""
        if self.requested:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.requested = True
        self._notify()

    def check(self) -> None:
        """Raise `KeyboardInterrupt` if Ctrl-C was typed. Call it where stopping is safe."""
        if self.requested:
            raise KeyboardInterrupt


@contextmanager
def interruptible(notify: Callable[[], None]) -> Iterator[Interruption]:
    """Record Ctrl-C inside the block; ``notify`` is called at the first."""
    interruption = Interruption(notify)
    if threading.current_thread() is not threading.main_thread():
        yield interruption  # only the main thread may handle signals
        return
    numbers = [getattr(signal, name) for name in STOPPING if hasattr(signal, name)]
    before = {each: signal.getsignal(each) for each in numbers}
    caught = [each for each in numbers if before[each] is not signal.SIG_IGN]
    for each in caught:
        signal.signal(each, interruption.handle)
    try:
        yield interruption
    finally:
        for each in caught:
            signal.signal(each, before[each])
