"""Idle memory, sorted by size, so that bisection finds the best fit."""

from __future__ import annotations

import bisect
from typing import Generic, Protocol, TypeVar

__all__ = ["FreeList"]


class _Sized(Protocol):
    """Anything with a size in bytes."""

    @property
    def nbytes(self) -> int: ...


H = TypeVar("H", bound=_Sized)


class FreeList(Generic[H]):
    """Idle handles, the smallest first.

    `take` returns a handle of at most ``slack`` times the bytes asked for, plus ``grain``. From
    ``large`` bytes on it may have twice the bytes: there, new memory costs more than the waste.
    """

    def __init__(self, slack: float = 1.25, grain: int = 256, large: int = 1 << 25) -> None:
        self._slack = slack
        self._grain = grain
        self._large = large
        self._sizes: list[int] = []
        self._handles: list[H] = []

    def __len__(self) -> int:
        return len(self._handles)

    @property
    def nbytes(self) -> int:
        """Bytes of all handles in the list."""
        return sum(self._sizes)

    def put(self, handle: H) -> None:
        """Add an idle handle."""
        at = bisect.bisect_right(self._sizes, handle.nbytes)
        self._sizes.insert(at, handle.nbytes)
        self._handles.insert(at, handle)

    def take(self, nbytes: int) -> H | None:
        """Remove and return the smallest handle of at least ``nbytes``.

        Return None where there is none, or where even the smallest wastes too much.
        """
        at = bisect.bisect_left(self._sizes, nbytes)
        most = nbytes * (2 if nbytes >= self._large else self._slack) + self._grain
        if at == len(self._sizes) or self._sizes[at] > most:
            return None
        self._sizes.pop(at)
        return self._handles.pop(at)

    def drain(self) -> list[H]:
        """Remove and return all handles."""
        handles, self._handles, self._sizes = self._handles, [], []
        return handles
