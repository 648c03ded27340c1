"""Staging memory of a device: buffers that the host can read, which are used again."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable
from typing import Any

from gpucore.backends.free_list import FreeList
from gpucore.backends.interface import StagingStats
from gpucore.integers import ceil_div

__all__ = ["StagingBuffer", "StagingPool"]

_MIN_SIZE = 256
_STEP = 1 << 20
# Idle staging memory beyond this goes back at once: it is host memory that nobody else can use.
_MAX_IDLE = 64 << 20


class StagingBuffer:
    """Memory of the engine that the host can read; ``raw`` has a method ``destroy``."""

    __slots__ = ("nbytes", "raw")

    def __init__(self, raw: Any, nbytes: int) -> None:
        self.raw = raw
        self.nbytes = nbytes


class StagingPool:
    """Hands out staging buffers and takes them back; ``create(nbytes)`` makes a new one."""

    def __init__(self, create: Callable[[int], Any]) -> None:
        self._create = create
        self._idle: FreeList[StagingBuffer] = FreeList(slack=2)
        self._abandoned: deque[StagingBuffer] = deque()
        self._nbytes = self._made = self._reused = 0

    @property
    def stats(self) -> StagingStats:
        """Bytes in use now, and counts since the start."""
        self._drop_abandoned()
        return StagingStats(self._nbytes, self._idle.nbytes, self._made, self._reused)

    @property
    def is_empty(self) -> bool:
        """Tell whether there is no staging memory at all, in use or idle."""
        return not self._nbytes

    def take(self, nbytes: int) -> StagingBuffer:
        """Return an unmapped buffer of at least ``nbytes``."""
        self._drop_abandoned()
        found = self._idle.take(nbytes)
        if found is not None:
            self._reused += 1
            return found
        size = _size_class(nbytes)
        buffer = StagingBuffer(self._create(size), size)
        self._nbytes += size
        self._made += 1
        return buffer

    def give(self, buffer: StagingBuffer) -> None:
        """Take an unmapped buffer back."""
        if self._idle.nbytes + buffer.nbytes > _MAX_IDLE:
            self.drop(buffer)
        else:
            self._idle.put(buffer)

    def drop(self, buffer: StagingBuffer) -> None:
        """Destroy a buffer, also one that is still being mapped."""
        self._nbytes -= buffer.nbytes
        buffer.raw.destroy()

    def abandon(self, buffer: StagingBuffer) -> None:
        """Drop a buffer at the next call."""
        self._abandoned.append(buffer)

    def _drop_abandoned(self) -> None:
        while self._abandoned:
            self.drop(self._abandoned.popleft())

    def trim(self) -> None:
        """Destroy the idle buffers."""
        self._drop_abandoned()
        for buffer in self._idle.drain():
            self.drop(buffer)


def _size_class(nbytes: int) -> int:
    """Round up to a power of two up to 1 MiB, else to a multiple of it: few sizes to reuse."""
    if nbytes > _STEP:
        return ceil_div(nbytes, _STEP) * _STEP
    return max(_MIN_SIZE, 1 << (nbytes - 1).bit_length())
