"""Memory of the host that the device copies from by itself, such as weights that do not fit it."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from gpucore.backends import Backend
from gpucore.memory.pool import Arena, Storage, storage_size
from gpucore.not_copyable import NotCopyable
from gpucore.per_device import PerDevice

if TYPE_CHECKING:
    from gpucore.buffer import Buffer
    from gpucore.device import Device

__all__ = ["HostArray", "host_bytes"]


class _HostPool:
    """The memory of the host that a device copies from; ``nbytes`` of it are in use.

    The collector may end a storage at any time, so `release` only queues.
    """

    def __init__(self, backend: Backend) -> None:
        self._backend = backend
        self._released: deque[tuple[Any, int]] = deque()
        self._nbytes = 0

    @property
    def nbytes(self) -> int:
        while self._released:
            handle, nbytes = self._released.popleft()
            self._nbytes -= nbytes
            self._backend.free(handle)
        return self._nbytes

    def keep(self, source: Storage, nbytes: int) -> Storage:
        """Return a storage with ``nbytes`` of another, a multiple of 256."""
        handle = self._backend.keep_on_host(source.handle, nbytes)
        self._nbytes = self.nbytes + nbytes
        return Storage(self, _NO_ARENA, handle, nbytes)

    def release(self, arena: Arena, handle: Any, nbytes: int) -> None:
        """Queue the release of a storage; the storage calls it when it ends."""
        self._released.append((handle, nbytes))


_NO_ARENA = Arena()
_pools: PerDevice[_HostPool] = PerDevice(lambda device: _HostPool(device.engine))


def host_bytes(device: Device) -> int:
    """Return the bytes of the host that a device copies from."""
    with device.lock:
        return _pools.of(device).nbytes


class HostArray(NotCopyable):
    """An array in memory of the host that a device reads by itself; it never changes.

    `upload` records a copy. So a captured graph may take what it needs from the host at each
    replay, into memory that other commands use before and after. It does so ahead of what needs it:
    see `gpucore.recording.ahead`.

    >>> x = HostArray(device, device.buffer_from_array(np.arange(4, dtype=np.float32)))
    >>> x.upload().read().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """

    def __init__(self, device: Device, contents: Buffer[Any]) -> None:
        """Copy the contents of a buffer, which may be released then. Raises `OutOfMemoryError`."""
        self.device, self.dtype, self.shape = device, contents.dtype, contents.shape
        self.nbytes = contents.nbytes
        with device.lock:
            device.submit()
            pool = _pools.of(device)
            self._storage = pool.keep(contents.storage, storage_size(self.nbytes))

    def upload(self) -> Buffer[Any]:
        """Return a new buffer on the device, and record the copy into it."""
        buffer = self.device.buffer(self.dtype, self.shape)
        with self.device.lock:
            nbytes = storage_size(self.nbytes)
            self.device.stream.copy(self._storage, buffer.storage, nbytes, from_host=True)
        return buffer
