"""Interleaved rounds: in each, everyone makes one row of launches, in an order that turns."""

from __future__ import annotations

import math
import statistics
import time
from collections.abc import Callable, Sequence

__all__ = ["median_seconds"]

_SAMPLE_S = 0.02
_MOST_CALLS = 200
_WARM_ROUNDS = 3

Call = Callable[[], object]


def median_seconds(makers: Sequence[Callable[[int], Call]], rounds: int) -> list[float]:
    """Return the median seconds of one launch of each side over ``rounds``.

    ``makers`` return a call that makes so many launches and waits for them: so many that the first
    side's row takes 20 ms, and that the waiting is of no weight. Some rounds before warm the card.
    """
    once = makers[0](1)
    once()
    shortest = min(_seconds(once) for _ in range(3))
    count = max(1, min(_MOST_CALLS, math.ceil(_SAMPLE_S / shortest)))
    rows = [make(count) for make in makers]
    samples: list[list[float]] = [[] for _ in rows]
    for n in range(_WARM_ROUNDS + rounds):
        for k in range(len(rows)):
            at = (n + k) % len(rows)
            taken = _seconds(rows[at])
            if n >= _WARM_ROUNDS:
                samples[at].append(taken / count)
    return [statistics.median(each) for each in samples]


def _seconds(call: Call) -> float:
    start = time.perf_counter()
    call()
    return time.perf_counter() - start
