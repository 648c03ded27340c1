"""The pool of buffers: exact accounting, best fit, and the memory that graphs keep.

It hands out separate GPU buffers, never slices of one. WebGPU tracks hazards per buffer, so that
one dispatch could not read one tensor and write another in the same buffer.
"""

from __future__ import annotations

import os
import re
import weakref
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from gpucore.backends import Backend
from gpucore.backends.free_list import FreeList
from gpucore.errors import ArgumentError, LimitError, OutOfMemoryError
from gpucore.integers import ceil_div
from gpucore.memory.sharing import PlannedHandle, Scratch, Share, Slot, assign_slots
from gpucore.not_copyable import NotCopyable
from gpucore.sanitizer import checker

__all__ = [
    "LIMIT_VARIABLE",
    "Arena",
    "MemoryStats",
    "Pool",
    "Storage",
    "memory_limit",
    "size_text",
    "storage_size",
]

LIMIT_VARIABLE = "GPUCORE_MEMORY_LIMIT"

_GRAIN = 256
_SIZE = re.compile(r"(\d{1,18}(?:\.\d+)?)\s*(?:([kmgt])(i?))?b?", re.IGNORECASE)


def storage_size(nbytes: int) -> int:
    """Return the least bytes that a storage of ``nbytes`` has: what a kernel may bind of it."""
    return max(_GRAIN, ceil_div(nbytes, _GRAIN) * _GRAIN)


@dataclass(frozen=True, repr=False)
class MemoryStats:
    """Bytes: ``live`` in buffers in use, ``reserved`` taken from the device, and their peaks.

    Buffers count in units of 256 bytes, also where reused memory is larger. ``buffers`` is how many
    are in use, ``limit`` the most that may be reserved (None: all that the device gives).
    ``staging`` is the memory that reads go through, not counted as reserved (see `Device.staging`).
    """

    live: int
    peak: int
    reserved: int
    peak_reserved: int
    buffers: int = 0
    limit: int | None = None
    staging: int = 0

    def __repr__(self) -> str:
        limit = "none" if self.limit is None else size_text(self.limit)
        return (
            f"MemoryStats(live {size_text(self.live)} in {self.buffers} buffers, "
            f"peak {size_text(self.peak)}; reserved {size_text(self.reserved)}, "
            f"peak {size_text(self.peak_reserved)}, limit {limit}; "
            f"staging {size_text(self.staging)})"
        )


def size_text(nbytes: int) -> str:
    """Return a number of bytes as text for people.

    >>> size_text(1536)
    '1.5 KiB'
    """
    value = float(nbytes)
    for unit in ("B", "KiB", "MiB", "GiB"):
        if abs(value) < 1024:
            return f"{value:.4g} {unit}"
        value /= 1024
    return f"{value:.4g} TiB"


def memory_limit(text: str | None = None) -> int | None:
    """Return the bytes that ``GPUCORE_MEMORY_LIMIT`` allows; None if it is not set.

    It is a size such as 2GiB, 500 MB or 1073741824. ``text`` takes the place of the variable's
    value. Raises `ArgumentError` where it is no size.
    """
    text = (os.environ.get(LIMIT_VARIABLE, "") if text is None else text).strip()
    if not text:
        return None
    match = _SIZE.fullmatch(text)
    if match is None:
        raise ArgumentError(
            f"{LIMIT_VARIABLE} must be a size, got {text!r}; write bytes or a unit, as in 2GiB or "
            "500MB"
        )
    power = " kmgt".index((match[2] or " ").lower())
    return int(float(match[1]) * (1024 if match[3] else 1000) ** power)


class Arena:
    """The owner of storages' handles: the pool itself, or one captured graph.

    ``allocations`` were made in a capture; ``share`` is the scratch memory of the graph.
    """

    def __init__(self) -> None:
        self.free: FreeList[Any] = FreeList()
        self.parent: Arena | None = None
        self.allocations: list[tuple[PlannedHandle, weakref.ref[Storage]]] = []
        self.share = Share([])

    def close(self, parent: Arena) -> None:
        """Give ``parent`` all idle handles, and later those that come back."""
        self.parent = parent
        for handle in self.free.drain():
            parent.give(handle)

    def give(self, handle: Any) -> None:
        """Keep an idle handle, or hand it to the parent."""
        target = self
        while target.parent is not None:
            target = target.parent
        target.free.put(handle)


class Owner(Protocol):
    """What takes a storage's memory back."""

    def release(self, arena: Arena, handle: Any, nbytes: int) -> None:
        """Queue the release of a storage's ``nbytes``; the collector may call it at any time."""


class Storage(NotCopyable):
    """Device memory of one or more buffer views; it returns to its arena when the last one goes.

    ``handle`` is a `PlannedHandle` during the capture that made it, and None after a capture that
    had no room for it.
    """

    __slots__ = ("__weakref__", "_nbytes", "_pool", "arena", "handle")

    def __init__(self, pool: Owner, arena: Arena, handle: Any, nbytes: int) -> None:
        self._pool, self.arena, self.handle, self._nbytes = pool, arena, handle, nbytes

    def __del__(self) -> None:
        if self.handle is not None:
            self._pool.release(self.arena, self.handle, self._nbytes)
            self.handle = None


class Pool:
    """Allocates storages of a backend and reuses them.

    The garbage collector may end a storage at any time, also during a call of the pool. Therefore
    `release` and `close_arena` only queue what is to be done, and the next call does it. For the
    same reason the pool refers to every handle: one that only a storage refers to would be
    finalised with it.

    ``flush`` submits recorded commands; it is called before idle memory is freed to make room.
    ``limit`` is the most that may be reserved, in bytes. It may be set at any time, and memory that
    is over it already stays. ``refused_at``: the bytes reserved when an allocation last failed.
    """

    def __init__(
        self, backend: Backend, flush: Callable[[], None], limit: int | None = None
    ) -> None:
        self._backend = backend
        self._flush = flush
        self.limit = limit
        self.refused_at: int | None = None
        self._common = Arena()
        self._arenas = [self._common]
        self._handles: set[Any] = set()
        self._released: deque[tuple[Arena, Any | None, int]] = deque()
        self._scratch = Scratch(self._take, self._destroy, self._common.give)
        self._live = self._peak = self._reserved = self._peak_reserved = self._buffers = 0

    @property
    def stats(self) -> MemoryStats:
        """Bytes in use now, and the most that ever were."""
        self._apply_releases()
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
        """Bytes that nobody uses, kept for the next allocations: what `trim` frees."""
        self._apply_releases()
        return self._common.free.nbytes

    def reset_peak(self) -> None:
        """Set the peaks to what is in use now."""
        self._apply_releases()
        self._peak, self._peak_reserved = self._live, self._reserved

    def allocate(self, nbytes: int) -> Storage:
        """Return a storage of at least ``nbytes``; its contents are undefined.

        Raises `LimitError`, `OutOfMemoryError`.
        """
        self._apply_releases()
        size = storage_size(nbytes)
        arena = self._arenas[-1]
        if arena is self._common:
            storage = Storage(self, arena, self._take(size), size)
            if (sanitizer := checker()) is not None:
                sanitizer.note_new(storage.handle, nbytes)
        else:
            self.check_size(size)
            planned = PlannedHandle(size)
            storage = Storage(self, arena, planned, size)
            arena.allocations.append((planned, weakref.ref(storage)))
        self._live += size
        self._buffers += 1
        self._peak = max(self._peak, self._live)
        return storage

    def _take(self, size: int) -> Any:
        """Return an idle handle of this size, or a new one."""
        handle = self._common.free.take(size)
        return self._new(size) if handle is None else handle

    def check_size(self, size: int) -> None:
        """Raise `LimitError` for more bytes than a buffer of the device may have."""
        limits = self._backend.info.limits
        most = min(
            limits.get("max_buffer_size", size), limits.get("max_storage_buffer_binding_size", size)
        )
        if size > most:
            raise LimitError(
                f"a buffer of {size} bytes is over the limit of {most} bytes of "
                f"{self._backend.info.name} ({self._backend.info.backend}); split the array"
            )

    def _new(self, size: int) -> Any:
        self.check_size(size)
        if self._is_over(size):
            self._make_room()
            if self._is_over(size):
                raise OutOfMemoryError(self._no_room_text(size, f"{LIMIT_VARIABLE} allows no more"))
        try:
            handle = self._backend.allocate(size)
        except OutOfMemoryError:
            self._make_room()
            # Freed memory goes back only when nothing that was submitted uses it any more.
            self._backend.synchronize()
            try:
                handle = self._backend.allocate(size)
            except OutOfMemoryError as error:
                raise OutOfMemoryError(self._no_room_text(size, str(error))) from None
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

    def _no_room_text(self, size: int, why: str) -> str:
        """Return the message of an allocation that failed after idle memory was freed."""
        self.refused_at = self._reserved
        limit = "none set" if self.limit is None else size_text(self.limit)
        return (
            f"no room for a buffer of {size_text(size)} on {self._backend.info.name} "
            f"({self._backend.info.backend}): live {size_text(self._live)} in {self._buffers} "
            f"buffers, reserved {size_text(self._reserved)}, limit {limit} ({why}). Release "
            "buffers (buffer.release(), or `with`) and graphs that you no longer need, use smaller "
            f"ones, or raise {LIMIT_VARIABLE}; idle memory was given back already, as "
            "device.trim() does"
        )

    def release(self, arena: Arena, handle: Any, nbytes: int) -> None:
        """Queue the release of a storage's ``nbytes``; the storage calls it when it ends."""
        self._released.append((arena, handle, nbytes))

    def _apply_releases(self) -> None:
        """Take back the memory of the queued releases."""
        while self._released:
            arena, handle, nbytes = self._released.popleft()
            if handle is None:
                self._scratch.remove(arena.share)
                arena.close(self._common)
                continue
            self._live -= nbytes
            self._buffers -= 1
            if not isinstance(handle, PlannedHandle):
                arena.give(handle)

    def trim(self) -> int:
        """Give idle buffers back to the device; return the bytes freed.

        The caller must have submitted what it recorded: a destroyed buffer must not be in a command
        that is still to be submitted.
        """
        self._apply_releases()
        return self._free(self._common.free.drain())

    def _free(self, handles: list[Any]) -> int:
        for handle in handles:
            self._handles.remove(handle)
            self._backend.free(handle)
        freed: int = sum(handle.nbytes for handle in handles)
        self._reserved -= freed
        return freed

    def _destroy(self, handles: list[Any]) -> None:
        """Free handles that only recorded commands may still use: submit those first."""
        self._flush()
        self._free(handles)

    def open_arena(self) -> Arena:
        """Allocate in a new arena until `leave_arena`; return it."""
        arena = Arena()
        self._arenas.append(arena)
        return arena

    def leave_arena(self) -> None:
        """Allocate in the previous arena again."""
        self._arenas.pop()

    def assign_memory(self, arena: Arena, *, temporary: bool = True) -> None:
        """Assign memory to the planned handles of an arena that was left.

        Persistent buffers, which somebody still refers to, get memory of their own. Temporary ones
        share scratch memory; without ``temporary`` they get none. Raises `OutOfMemoryError`, among
        others: persistent buffers that have no memory then stay without it.
        """
        self._apply_releases()
        allocations, arena.allocations = arena.allocations, []
        pairs = [(planned, ref()) for planned, ref in allocations]
        persistent = [(planned, storage) for planned, storage in pairs if storage is not None]
        others = [planned for planned, storage in pairs if storage is None and temporary]
        arena.share = Share(assign_slots(others))
        try:
            for planned, storage in persistent:
                planned.slot = Slot(planned.nbytes)
                storage.handle = planned.slot.handle = self._take(planned.nbytes)
            self._scratch.add(arena.share)
            self._scratch.place(arena.share)
        except BaseException:
            for planned, storage in persistent:
                if storage.handle is planned:
                    self._live -= planned.nbytes
                    self._buffers -= 1
                    storage.handle = None
            raise

    def place_scratch(self, share: Share) -> None:
        """Place a graph's slots again where other graphs have moved the scratch memory.

        Raises `OutOfMemoryError`.
        """
        self._apply_releases()
        self._scratch.place(share)

    def close_arena(self, arena: Arena) -> None:
        """Queue the return of a left arena's memory to the pool."""
        self._released.append((arena, None, 0))
