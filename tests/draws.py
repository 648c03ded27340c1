"""How many cases Hypothesis draws: all in ``make test-all``, else some."""

from __future__ import annotations

import os

__all__ = ["draws"]

ALL = bool(os.environ.get("AVILA_TEST_ENGINES")) and not os.environ.get("AVILA_TEST_USUAL")
# A drawn case on a software renderer often compiles kernels of its own, half a second each.
SHARE = 0.2
LEAST = 3


def draws(count: int) -> int:
    """Return how many of ``count`` cases to draw."""
    return count if ALL else max(round(SHARE * count), min(count, LEAST))
