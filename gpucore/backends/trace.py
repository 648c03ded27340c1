"""A backend that counts memory and computes nothing: what a run on another device would take."""

from __future__ import annotations

from collections.abc import Sequence

from gpucore.backends.interface import AdapterInfo, Command, StagingStats
from gpucore.backends.null import NullBackend, NullRead
from gpucore.backends.staging import StagingBuffer, StagingPool

__all__ = ["TraceBackend"]


class TraceBuffer:
    """A size, and no memory."""

    def __init__(self, nbytes: int) -> None:
        self.nbytes = nbytes
        self.data = bytearray()

    def destroy(self) -> None:
        """Do nothing: there is no memory."""


class TraceRead(NullRead):
    """A read of zeros through staging memory, which it gives back."""

    def __init__(self, nbytes: int, pool: StagingPool, staging: StagingBuffer) -> None:
        super().__init__(bytes(nbytes))
        self._pool = pool
        self._staging: StagingBuffer | None = staging

    def release(self) -> None:
        if self._staging is not None:
            self._pool.give(self._staging)
            self._staging = None


class TraceBackend(NullBackend):
    """Takes the place of the device of an adapter: allocations have sizes only, reads give zeros.

    What is chosen by the adapter (variants, tiles, limits) is chosen as there. So the pool of a
    traced run counts what that of the run itself would.
    """

    def __init__(self, info: AdapterInfo) -> None:
        super().__init__(info)
        self._pool = StagingPool(TraceBuffer)

    def allocate(self, nbytes: int) -> TraceBuffer:  # type: ignore[override]
        return TraceBuffer(nbytes)

    def keep_on_host(self, source: object, nbytes: int) -> TraceBuffer:  # type: ignore[override]
        return TraceBuffer(nbytes)

    def write(self, handle: object, data: memoryview, offset: int = 0) -> None:
        """Do nothing: there is no memory."""

    def read(self, handle: object, nbytes: int, offset: int = 0) -> NullRead:
        return TraceRead(nbytes, self._pool, self._pool.take(nbytes))

    def submit(self, *lists: Sequence[Command]) -> None:
        """Do nothing: no command is kept."""

    @property
    def staging(self) -> StagingStats:
        return self._pool.stats

    def trim(self) -> None:
        self._pool.trim()
