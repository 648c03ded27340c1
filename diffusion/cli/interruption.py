"""Ctrl-C as a wish that is granted at the next safe place.

Python's own way, an exception at whatever instruction runs, is lost where that instruction stands
in a callback of an engine: such exceptions are printed and dropped.
"""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

__all__ = ["Interruption", "interruptible"]


class Interruption:
    """Whether the user wants to stop."""

    def __init__(self, told: Callable[[], None]) -> None:
        self.wanted = False
        self._told = told

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The first Ctrl-C is noted and told; a second ends the process at once."""
        if self.wanted:
            signal.signal(number, signal.SIG_DFL)
            os.kill(os.getpid(), number)
        self.wanted = True
        self._told()

    def check(self) -> None:
        """A safe place to stop: raises `KeyboardInterrupt` if that is wanted."""
        if self.wanted:
            raise KeyboardInterrupt


@contextmanager
def interruptible(told: Callable[[], None]) -> Iterator[Interruption]:
    """Note Ctrl-C inside the block; ``told`` is called at the first."""
    interruption = Interruption(told)
    if threading.current_thread() is not threading.main_thread():
        yield interruption  # only the main thread may handle signals
        return
    before = signal.signal(signal.SIGINT, interruption.handle)
    try:
        yield interruption
    finally:
        signal.signal(signal.SIGINT, before)
