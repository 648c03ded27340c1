"""Reading ahead: threads read what is asked for next."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Hashable, Iterable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final, Generic, Self, TypeVar

__all__ = ["ReadAhead"]

K = TypeVar("K", bound=Hashable)
V = TypeVar("V")

_MOST_AHEAD: Final = 96 << 20
"""Bytes that are read before they are asked for."""
_READERS: Final = min(4, max(1, (os.cpu_count() or 1) // 2))
"""Threads that read. One copies out of the system's cache less quickly than devices take it."""


class ReadAhead(Generic[K, V]):
    """Things that threads read before they are asked for, in an ``order``, inside a context.

    ``read_one`` reads one of them, ``size`` tells its bytes. Some 100 MB at most are ahead.
    """

    def __init__(
        self, order: Iterable[K], read_one: Callable[[K], V], size: Callable[[K], int]
    ) -> None:
        self._read_one, self._size = read_one, size
        self._left = deque(order)
        self._names = set(self._left)
        self._coming: deque[tuple[K, Future[V]]] = deque()
        self._bytes = 0

    def __enter__(self) -> Self:
        self._readers = ThreadPoolExecutor(_READERS)
        return self

    def __exit__(self, *error: object) -> None:
        self._readers.shutdown(cancel_futures=True)

    def begin(self, at_least: int = 0, used: int = 0) -> None:
        """Have things read while they, and ``used`` bytes, are few."""
        while self._left:
            size = self._size(self._left[0])
            if self._bytes + used + size > _MOST_AHEAD and len(self._coming) >= at_least:
                return
            name = self._left.popleft()
            self._bytes += size
            self._coming.append((name, self._readers.submit(self._read_one, name)))

    def read(self, name: K) -> V:
        """Return one of them, and have the next ones read."""
        if name not in self._names:  # it came before
            return self._read_one(name)
        found: Future[V] | None = None
        while found is None:
            self.begin(at_least=1)
            first, future = self._coming.popleft()
            self._bytes -= self._size(first)
            self._names.discard(first)
            found = future if first == name else None
        self.begin(used=self._size(name))
        return found.result()
