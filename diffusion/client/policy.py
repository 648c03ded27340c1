"""When a request is tried again."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

__all__ = ["Policy"]

FIRST_PAUSE: Final = 0.5
LONGEST_PAUSE: Final = 8.0


@dataclass(frozen=True)
class Policy:
    """The limits of trying again.

    Args:
        retries: how often a request is sent again, where the server is busy (429, 503) or does not
            answer. One that could be done twice has an idempotency key, so that it is not.
        longest_wait: seconds of ``Retry-After`` above which the error is raised at once.
        timeout: seconds between two pieces of an answer, and for a connection, of 10 at most.
    """

    retries: int = 4
    longest_wait: float = 60.0
    timeout: float = 60.0

    def pause(self, attempt: int) -> float:
        """Return the seconds to wait after an attempt, which counts from 0."""
        return min(FIRST_PAUSE * 2.0**attempt, LONGEST_PAUSE)
