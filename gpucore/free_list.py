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
    """Idle handles. `take` wastes at most a share ``slack`` of what is asked, and ``grain``."""

    def __init__(self, slack: float = 1.25, grain: int = 256) -> None:
        self._slack = slack
        self._grain = grain
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
        if at == len(self._sizes) or self._sizes[at] > nbytes * self._slack + self._grain:
            return None
        self._sizes.pop(at)
        return self._handles.pop(at)

    def drain(self) -> list[H]:
        """All handles; none is left."""
        handles, self._handles, self._sizes = self._handles, [], []
        return handles
