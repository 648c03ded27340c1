"""The buffer pool: exact accounting, best fit, and what graphs keep.

Separate GPU buffers, never slices of one: WebGPU tracks hazards per buffer, so two tensors in
one buffer could not be read and written by the same dispatch.
"""

from __future__ import annotations

import os
import re
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gpucore.backends import Backend
from gpucore.errors import ArgumentError, LimitError, OutOfMemoryError
from gpucore.integers import ceil_div
from gpucore.memory.free_list import FreeList
from gpucore.memory.sharing import Planned, Scratch, Share, Slot, shared_slots
from gpucore.not_copyable import NotCopyable

__all__ = [
    "LIMIT_VARIABLE",
    "Arena",
    "MemoryStats",
    "Pool",
    "Storage",
    "memory_limit",
    "readable",
    "storage_size",
]

LIMIT_VARIABLE = "GPUCORE_MEMORY_LIMIT"

_GRAIN = 256
_SIZE = re.compile(r"(\d{1,18}(?:\.\d+)?)\s*(?:([kmgt])(i?))?b?", re.IGNORECASE)


def storage_size(nbytes: int) -> int:
    """Bytes that a storage of ``nbytes`` has at least: what a kernel may bind of it."""
    return max(_GRAIN, ceil_div(nbytes, _GRAIN) * _GRAIN)


@dataclass(frozen=True, repr=False)
class MemoryStats:
    """Bytes: ``live`` in buffers in use, ``reserved`` taken from the device, and their peaks.

    Buffers count in units of 256 bytes, whatever the size of the memory that serves them again.
    ``buffers`` is how many are in use, ``limit`` the most that may be reserved (None: all that the
    device gives), ``staging`` what reads go through, beside the reserved (see `Device.staging`).
    """

    live: int
    peak: int
    reserved: int
    peak_reserved: int
    buffers: int = 0
    limit: int | None = None
    staging: int = 0

    def __repr__(self) -> str:
        limit = "none" if self.limit is None else readable(self.limit)
        return (
            f"MemoryStats(live {readable(self.live)} in {self.buffers} buffers, "
            f"peak {readable(self.peak)}; reserved {readable(self.reserved)}, "
            f"peak {readable(self.peak_reserved)}, limit {limit}; "
            f"staging {readable(self.staging)})"
        )


def readable(nbytes: int) -> str:
    """Bytes for people.

    >>> readable(1536)
    '1.5 KiB'
    """
    value = float(nbytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"


def memory_limit(told: str | None = None) -> int | None:
    """Bytes that ``GPUCORE_MEMORY_LIMIT`` allows, as 2GiB, 500 MB or 1073741824; None if unset.

    ``told``: its text, where it is not to be taken from the environment. Raises `ArgumentError`
    where it is no size.
    """
    text = (os.environ.get(LIMIT_VARIABLE, "") if told is None else told).strip()
    if not text:
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ArgumentError(
            f"{LIMIT_VARIABLE}={text!r} is no size: write bytes or a unit, as in 2GiB or 500MB"
        )
    power = " kmgt".index((match[2] or " ").lower())
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


class Arena:
    """Where a storage's handle goes back to: the pool's own list, or a graph's private one.

    ``made``: what was allocated in a capture; ``share``: what the graph shares with others.
    """

    def __init__(self) -> None:
        self.free: FreeList[Any] = FreeList()
        self.parent: Arena | None = None
        self.made: list[tuple[Planned, weakref.ref[Storage]]] = []
        self.share = Share([])

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


class Storage(NotCopyable):
    """Device memory held by one or more buffer views; goes back to its arena with the last.

    ``handle`` is a `Planned` while the capture that made it is under way, and None after one that
    there was no room for.
    """

    __slots__ = ("__weakref__", "_nbytes", "_pool", "arena", "handle")

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
    ``limit`` is the most that may be reserved, in bytes; it may be set at any time, and what is
    over it already stays.
    """

    def __init__(
        self, backend: Backend, flush: Callable[[], None], limit: int | None = None
    ) -> None:
        self._backend = backend
        self._flush = flush
        self.limit = limit
        self._common = Arena()
        self._arenas = [self._common]
        self._handles: set[Any] = set()
        self._noted: deque[tuple[Arena, Any | None, int]] = deque()
        self._scratch = Scratch(self._take, self._destroy, self._common.give)
        self._live = self._peak = self._reserved = self._peak_reserved = self._buffers = 0

    @property
    def stats(self) -> MemoryStats:
        """What is in use now, and the most that ever was."""
        self._settle()
        return MemoryStats(
            self._live,
            self._peak,
            self._reserved,
            self._peak_reserved,
            self._buffers,
            self.limit,
            self._backend.staging.nbytes,
        )

    @property
    def idle(self) -> int:
        """Bytes that nobody uses, kept for whoever comes next: what `trim` frees."""
        self._settle()
        return self._common.free.nbytes

    def reset_peak(self) -> None:
        """Start the peaks again from what is in use now."""
        self._settle()
        self._peak, self._peak_reserved = self._live, self._reserved

    def allocate(self, nbytes: int) -> Storage:
        """Storage of at least ``nbytes``; contents undefined. `LimitError`, `OutOfMemoryError`."""
        self._settle()
        size = storage_size(nbytes)
        arena = self._arenas[-1]
        if arena is self._common:
            storage = Storage(self, arena, self._take(size), size)
        else:
            self._check_size(size)
            planned = Planned(size)
            storage = Storage(self, arena, planned, size)
            arena.made.append((planned, weakref.ref(storage)))
        self._live += size
        self._buffers += 1
        self._peak = max(self._peak, self._live)
        return storage

    def _take(self, size: int) -> Any:
        """Idle memory, or new."""
        handle = self._common.free.take(size)
        return self._new(size) if handle is None else handle

    def _check_size(self, size: int) -> None:
        limits = self._backend.info.limits
        most = min(
            limits.get("max_buffer_size", size), limits.get("max_storage_buffer_binding_size", size)
        )
        if size > most:
            raise LimitError(
                f"a buffer of {size} bytes is over the limit of {most} bytes of "
                f"{self._backend.info.name} ({self._backend.info.backend}): split the array"
            )

    def _new(self, size: int) -> Any:
        self._check_size(size)
        if self._is_over(size):
            self._make_room()
            if self._is_over(size):
                raise OutOfMemoryError(self._no_room(size, f"{LIMIT_VARIABLE} allows no more"))
        try:
            handle = self._backend.allocate(size)
        except OutOfMemoryError:
            self._make_room()
            # What is freed goes back only when nothing that was submitted uses it any more.
            self._backend.synchronize()
            try:
                handle = self._backend.allocate(size)
            except OutOfMemoryError as error:
                raise OutOfMemoryError(self._no_room(size, str(error))) from None
        self._handles.add(handle)
        self._reserved += handle.nbytes
        self._peak_reserved = max(self._peak_reserved, self._reserved)
        return handle

    def _is_over(self, size: int) -> bool:
        return self.limit is not None and self._reserved + size > self.limit

    def _make_room(self) -> None:
        self._flush()
        self.trim()
        self._backend.trim()

    def _no_room(self, size: int, why: str) -> str:
        """What to say when a buffer cannot be had; idle memory has been freed before."""
        limit = "none set" if self.limit is None else readable(self.limit)
        return (
            f"no room for a buffer of {readable(size)} on {self._backend.info.name} "
            f"({self._backend.info.backend}): live {readable(self._live)} in {self._buffers} "
            f"buffers, reserved {readable(self._reserved)}, limit {limit} ({why}). Release buffers "
            "(buffer.release(), or `with`) and graphs that you no longer need, use smaller ones, "
            f"or raise {LIMIT_VARIABLE}; idle memory was given back already, as device.trim() does"
        )

    def release(self, arena: Arena, handle: Any, nbytes: int) -> None:
        """Called by a dying storage of ``nbytes``."""
        self._noted.append((arena, handle, nbytes))

    def _settle(self) -> None:
        """Do what was noted."""
        while self._noted:
            arena, handle, nbytes = self._noted.popleft()
            if handle is None:
                self._scratch.leave(arena.share)
                arena.close(self._common)
                continue
            self._live -= nbytes
            self._buffers -= 1
            if not isinstance(handle, Planned):
                arena.give(handle)

    def trim(self) -> int:
        """Give idle buffers back to the device; returns the bytes freed.

        The caller has submitted what it recorded: a destroyed buffer must not be in a command
        that is still to be submitted.
        """
        self._settle()
        return self._free(self._common.free.drain())

    def _free(self, handles: list[Any]) -> int:
        for handle in handles:
            self._handles.remove(handle)
            self._backend.free(handle)
        freed: int = sum(handle.nbytes for handle in handles)
        self._reserved -= freed
        return freed

    def _destroy(self, handles: list[Any]) -> None:
        """What recorded commands may still use, and nobody else."""
        self._flush()
        self._free(handles)

    def open_arena(self) -> Arena:
        """Allocations go to a new arena until `leave_arena`."""
        arena = Arena()
        self._arenas.append(arena)
        return arena

    def leave_arena(self) -> None:
        """Back to the arena before."""
        self._arenas.pop()

    def furnish(self, arena: Arena, *, passing: bool = True) -> None:
        """Give memory to what was allocated in a left arena; without ``passing`` to lasting alone.

        Raises `OutOfMemoryError`, among others: lasting buffers that have none then stay without.
        """
        self._settle()
        made, arena.made = arena.made, []
        alive = [(planned, ref()) for planned, ref in made]
        lasting = [(planned, storage) for planned, storage in alive if storage is not None]
        others = [planned for planned, storage in alive if storage is None and passing]
        arena.share = Share(shared_slots(others))
        try:
            for planned, storage in lasting:
                planned.slot = Slot(planned.nbytes)
                storage.handle = planned.slot.handle = self._take(planned.nbytes)
            self._scratch.join(arena.share)
            self._scratch.find(arena.share)
        except BaseException:
            for planned, storage in lasting:
                if storage.handle is planned:
                    self._live -= planned.nbytes
                    self._buffers -= 1
                    storage.handle = None
            raise

    def find(self, share: Share) -> None:
        """Seek a graph's memory where that of others has moved it. Raises `OutOfMemoryError`."""
        self._settle()
        self._scratch.find(share)

    def close_arena(self, arena: Arena) -> None:
        """Hand a left arena's memory to the pool."""
        self._noted.append((arena, None, 0))
