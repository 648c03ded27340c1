"""Idle memory, sorted by size: the best fit with little waste is found by bisection."""

from __future__ import annotations

import bisect
from typing import Generic, Protocol, TypeVar

__all__ = ["FreeList"]


class _Sized(Protocol):
    @property
    def nbytes(self) -> int: ...


H = TypeVar("H", bound=_Sized)


class FreeList(Generic[H]):
    """Idle handles. `take` gives at most ``slack`` times what is asked, and ``grain`` more.

    From ``large`` bytes on it may be twice what is asked: there, memory of its own costs more than
    what a loan wastes.
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
        """Bytes of all handles in it."""
        return sum(self._sizes)

    def put(self, handle: H) -> None:
        """Keep a handle."""
        at = bisect.bisect_right(self._sizes, handle.nbytes)
        self._sizes.insert(at, handle.nbytes)
        self._handles.insert(at, handle)

    def take(self, nbytes: int) -> H | None:
        """The smallest handle of at least ``nbytes``; None where the best wastes too much."""
        at = bisect.bisect_left(self._sizes, nbytes)
        most = nbytes * (2 if nbytes >= self._large else self._slack) + self._grain
        if at == len(self._sizes) or self._sizes[at] > most:
            return None
        self._sizes.pop(at)
        return self._handles.pop(at)

    def drain(self) -> list[H]:
        """All handles; none is left."""
        handles, self._handles, self._sizes = self._handles, [], []
        return handles
