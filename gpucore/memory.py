"""The buffer pool: exact accounting, best fit, and arenas that a graph keeps to itself.

Separate GPU buffers, never slices of one: WebGPU tracks hazards per buffer, so two tensors in
one buffer could not be read and written by the same dispatch.
"""

from __future__ import annotations

import bisect
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpucore.backends import Backend
from gpucore.errors import LimitError, OutOfMemoryError

__all__ = ["Arena", "MemoryStats", "Pool", "Storage", "storage_size"]

_GRAIN = 256
_SLACK = 1.25


def storage_size(nbytes: int) -> int:
    """Bytes that a storage of ``nbytes`` has at least: what a kernel may bind of it."""
    return max(_GRAIN, (nbytes + _GRAIN - 1) // _GRAIN * _GRAIN)


@dataclass(frozen=True)
class MemoryStats:
    """Bytes: ``live`` in buffers in use, ``reserved`` taken from the device, and their peaks.

    Buffers count in units of 256 bytes, whatever the size of the memory that serves them again.
    """

    live: int
    peak: int
    reserved: int
    peak_reserved: int


class FreeList:
    """Idle handles, sorted by size; ``take`` finds the best fit with little waste."""

    def __init__(self) -> None:
        self._sizes: list[int] = []
        self._handles: list[Any] = []

    def put(self, handle: Any) -> None:
        at = bisect.bisect_right(self._sizes, handle.nbytes)
        self._sizes.insert(at, handle.nbytes)
        self._handles.insert(at, handle)

    def take(self, nbytes: int) -> Any | None:
        at = bisect.bisect_left(self._sizes, nbytes)
        if at == len(self._sizes) or self._sizes[at] > nbytes * _SLACK + _GRAIN:
            return None
        self._sizes.pop(at)
        return self._handles.pop(at)

    def drain(self) -> list[Any]:
        handles, self._handles, self._sizes = self._handles, [], []
        return handles


class Arena:
    """Where a storage's handle goes back to: the pool's own list, or a graph's private one."""

    def __init__(self) -> None:
        self.free = FreeList()
        self.parent: Arena | None = None

    def close(self, parent: Arena) -> None:
        """Give all to ``parent``, now and whatever comes back later."""
        self.parent = parent
        for handle in self.free.drain():
            parent.give(handle)

    def give(self, handle: Any) -> None:
        target = self
        while target.parent is not None:
            target = target.parent
        target.free.put(handle)


class Storage:
    """Device memory held by one or more buffer views; goes back to its arena with the last."""

    __slots__ = ("_nbytes", "_pool", "arena", "handle")

    def __init__(self, pool: Pool, arena: Arena, handle: Any, nbytes: int) -> None:
        self._pool, self.arena, self.handle, self._nbytes = pool, arena, handle, nbytes

    def __del__(self) -> None:
        if self.handle is not None:
            self._pool.release(self.arena, self.handle, self._nbytes)
            self.handle = None


class Pool:
    """Allocates storages of a backend and reuses them.

    The garbage collector may end a storage at any time, amid a call of the pool too: `release` and
    `close_arena` only note what is to be done, and the next call does it. For the same reason the
    pool refers to every handle: one reachable from a storage alone would be finalised with it.

    ``flush`` submits recorded commands; it is called before idle memory is freed for want of room.
    """

    def __init__(self, backend: Backend, flush: Callable[[], None]) -> None:
        self._backend = backend
        self._flush = flush
        self._common = Arena()
        self._arenas = [self._common]
        self._handles: set[Any] = set()
        self._noted: deque[tuple[Arena, Any | None, int]] = deque()
        self._live = self._peak = self._reserved = self._peak_reserved = 0

    @property
    def stats(self) -> MemoryStats:
        """What is in use now, and the most that ever was."""
        self._settle()
        return MemoryStats(self._live, self._peak, self._reserved, self._peak_reserved)

    def reset_peak(self) -> None:
        """Start the peaks again from what is in use now."""
        self._settle()
        self._peak, self._peak_reserved = self._live, self._reserved

    def allocate(self, nbytes: int) -> Storage:
        """Storage of at least ``nbytes``; contents undefined. `LimitError`, `OutOfMemoryError`."""
        self._settle()
        size = storage_size(nbytes)
        arena = self._arenas[-1]
        handle = arena.free.take(size)
        if handle is None and arena is not self._common:
            handle = self._common.free.take(size)
        if handle is None:
            handle = self._new(size)
        self._live += size
        self._peak = max(self._peak, self._live)
        return Storage(self, arena, handle, size)

    def _new(self, size: int) -> Any:
        limits = self._backend.info.limits
        most = min(
            limits.get("max_buffer_size", size), limits.get("max_storage_buffer_binding_size", size)
        )
        if size > most:
            raise LimitError(
                f"a buffer of {size} bytes is over the limit of {most} bytes of "
                f"{self._backend.info.name} ({self._backend.info.backend}): split the array"
            )
        try:
            handle = self._backend.allocate(size)
        except OutOfMemoryError:
            self._flush()
            self.trim()
            handle = self._backend.allocate(size)
        self._handles.add(handle)
        self._reserved += handle.nbytes
        self._peak_reserved = max(self._peak_reserved, self._reserved)
        return handle

    def release(self, arena: Arena, handle: Any, nbytes: int) -> None:
        """Called by a dying storage of ``nbytes``."""
        self._noted.append((arena, handle, nbytes))

    def _settle(self) -> None:
        """Do what was noted."""
        while self._noted:
            arena, handle, nbytes = self._noted.popleft()
            self._live -= nbytes
            if handle is None:
                arena.close(self._common)
            else:
                arena.give(handle)

    def trim(self) -> int:
        """Give idle buffers back to the device; returns the bytes freed.

        The caller has submitted what it recorded: a destroyed buffer must not be in a command
        that is still to be submitted.
        """
        self._settle()
        freed = 0
        for handle in self._common.free.drain():
            freed += handle.nbytes
            self._handles.remove(handle)
            self._backend.free(handle)
        self._reserved -= freed
        return freed

    def open_arena(self) -> Arena:
        """Allocations go to a new arena until `leave_arena`."""
        arena = Arena()
        self._arenas.append(arena)
        return arena

    def leave_arena(self) -> None:
        """Back to the arena before."""
        self._arenas.pop()

    def close_arena(self, arena: Arena) -> None:
        """Hand a left arena's memory to the pool."""
        self._noted.append((arena, None, 0))
