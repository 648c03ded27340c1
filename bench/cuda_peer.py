"""What peers on the same card have in common: how their calls are timed, on CUDA's own clock."""

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

    def timed(self, make: Callable[[Any], Call]) -> tuple[float, bool]:
        """Median seconds of a call over 20 samples, and whether a graph replayed them.

        ``make`` gets the library's module. A sample is a CUDA graph of calls, as our own calls are
        replayed from a graph: neither counts its host's time. What cannot be captured is called
        as it is, one call behind the other. The card is kept busy for a while before. Nothing of
        it runs or holds memory afterwards, so that it is alone on the card as we are.
        """
        try:
            with self._scope():
                return self._measured(make(self._module))
        finally:
            self._free()

    def seconds(self, make: Callable[[Any], Call]) -> float:
        """The median alone."""
        return self.timed(make)[0]

    def _measured(self, call: Call) -> tuple[float, bool]:
        once = self._warmed(call)
        count = max(1, min(_MOST_CALLS, math.ceil(_SAMPLE_S / once)))

        def row() -> None:
            for _ in range(count):
                call()

        replay = self._captured(row)
        run = replay or row
        end = time.perf_counter() + _BUSY_S
        while time.perf_counter() < end:
            self._elapsed(run)
        samples = [self._elapsed(run) for _ in range(_SAMPLES)]
        return statistics.median(samples) / count, replay is not None

    def _warmed(self, call: Call) -> float:
        """Seconds of a call that has been made before, where capturing wants it."""
        for _ in range(_WARM_CALLS):
            self._elapsed(call)
        return min(self._elapsed(call) for _ in range(3))

    @property
    @abstractmethod
    def _module(self) -> Any:
        """What entries get to make their operands and calls with."""

    @abstractmethod
    def _scope(self) -> AbstractContextManager[object]:
        """What all calls are made in."""

    @abstractmethod
    def _captured(self, row: Call) -> Call | None:
        """Replays of a row; None for what reads back (a solver's status) or refuses capture."""

    @abstractmethod
    def _elapsed(self, call: Call) -> float:
        """Seconds between two events around what is called."""

    @abstractmethod
    def _free(self) -> None:
        """Give back the card's memory."""
