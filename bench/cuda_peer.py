"""The common part of peers on the same card: timing of their calls with CUDA's events."""

from __future__ import annotations

import math
import statistics
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

__all__ = ["Call", "CudaPeer"]

_BUSY_S = 0.1
_SAMPLE_S = 0.005
_MOST_CALLS = 200
_SAMPLES = 20
_WARM_CALLS = 3

Call = Callable[[], object]


class CudaPeer(ABC):
    """A library that drives the card through CUDA."""

    def time_calls(self, make: Callable[[Any], Call]) -> tuple[float, bool]:
        """Return the median seconds of a call over 20 samples, and whether a graph replayed it.

        ``make`` gets the library's module and returns the call. A sample is a CUDA graph of calls:
        our own calls are replayed from a graph, too, so that no side counts the host's time. A call
        that cannot be captured is made directly, several times in a row. The card is kept busy
        before the samples. Afterwards the peer's memory is freed, so that the next measurement has
        the card for itself.
        """
        try:
            with self._scope():
                return self._measure(make(self._module))
        finally:
            self._free()

    def seconds(self, make: Callable[[Any], Call]) -> float:
        """Return the median seconds of a call."""
        return self.time_calls(make)[0]

    def _measure(self, call: Call) -> tuple[float, bool]:
        once = self._warm_up(call)
        count = max(1, min(_MOST_CALLS, math.ceil(_SAMPLE_S / once)))

        def row() -> None:
            for _ in range(count):
                call()

        replay = self._capture(row)
        run = replay or row
        end = time.perf_counter() + _BUSY_S
        while time.perf_counter() < end:
            self._time_call(run)
        samples = [self._time_call(run) for _ in range(_SAMPLES)]
        return statistics.median(samples) / count, replay is not None

    def _warm_up(self, call: Call) -> float:
        """Make some first calls, which a capture needs; return the seconds of one call."""
        for _ in range(_WARM_CALLS):
            self._time_call(call)
        return min(self._time_call(call) for _ in range(3))

    @property
    @abstractmethod
    def _module(self) -> Any:
        """The library's module, which entries use for operands and calls."""

    @abstractmethod
    def _scope(self) -> AbstractContextManager[object]:
        """Return the context in which all calls are made."""

    @abstractmethod
    def _capture(self, row: Call) -> Call | None:
        """Return a call that replays ``row`` from a graph, or None where it cannot be captured.

        A solver that reads its status back to the host cannot be captured.
        """

    @abstractmethod
    def _time_call(self, call: Call) -> float:
        """Return the seconds between an event before the call and one after it."""

    @abstractmethod
    def _free(self) -> None:
        """Free the card's memory."""
