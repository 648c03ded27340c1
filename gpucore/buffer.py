"""`Buffer[T]`: typed, shaped device memory; contiguous and row-major."""

from __future__ import annotations

import math
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore.dtypes import T
from gpucore.errors import DTypeError, ReleasedBufferError, ShapeError
from gpucore.memory import Storage

if TYPE_CHECKING:
    from gpucore.device import Device

__all__ = ["Buffer"]


class Buffer(Generic[T]):
    """An array on a device, made by `Device.buffer` or `Device.buffer_from_array`.

    Its memory returns to the device's pool when the last reference (views count) goes, on
    `release`, or at the end of a ``with`` block.

    Attributes:
        device: where it lives. dtype: its marker, such as ``f32``. shape: its extents.
    """

    __slots__ = ("__weakref__", "_storage", "device", "dtype", "nbytes", "shape", "size")

    def __init__(
        self, device: Device, dtype: type[T], shape: tuple[int, ...], storage: Storage
    ) -> None:
        self.device = device
        self.dtype = dtype
        self.shape = shape
        self.size = math.prod(shape)
        self.nbytes = self.size * dtype.itemsize
        self._storage: Storage | None = storage

    @property
    def storage(self) -> Storage:
        """The memory behind; `ReleasedBufferError` once released."""
        if self._storage is None:
            raise ReleasedBufferError(f"{self!r} was released: make a new buffer")
        return self._storage

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a buffer without dimensions")
        return self.shape[0]

    def __repr__(self) -> str:
        state = "" if self._storage is not None else ", released"
        return f"Buffer[{self.dtype.name}]({self.shape} on {self.device.name}{state})"

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.release()

    def release(self) -> None:
        """Let go of the memory now; later use raises `ReleasedBufferError`."""
        self._storage = None

    def read(self) -> NDArray[Any]:
        """Contents as a new array of the buffer's shape and dtype; waits for the device."""
        if self.size == 0:
            return np.empty(self.shape, self.dtype.numpy)
        return self._array(self._begin_read().wait())

    async def read_async(self) -> NDArray[Any]:
        """Contents, awaited."""
        if self.size == 0:
            return np.empty(self.shape, self.dtype.numpy)
        return self._array(await self._begin_read())

    def _begin_read(self) -> Any:
        self.device.stream.submit()
        return self.device.engine.read(self.storage.handle, _padded(self.nbytes))

    def _array(self, data: bytes | memoryview) -> NDArray[Any]:
        flat = np.frombuffer(data, self.dtype.numpy, self.size)
        return flat.reshape(self.shape).copy()

    def write(self, array: ArrayLike) -> None:
        """Replace the contents. Shape and dtype must be the buffer's; the data is copied at once.

        Raises `ShapeError` or `DTypeError`; nothing is converted silently.
        """
        data = np.ascontiguousarray(array)
        if data.dtype != self.dtype.numpy:
            raise DTypeError(
                f"write of {data.dtype} into {self!r}: convert it first, "
                f"array.astype(np.{self.dtype.numpy})"
            )
        if data.shape != self.shape and (np.ndim(array) or self.shape):
            raise ShapeError(f"write of shape {data.shape} into {self!r}")
        if self.size == 0:
            return
        self.device.stream.submit()
        self.device.engine.write(self.storage.handle, _bytes_of(data))

    def copy_from(self, other: Buffer[T]) -> None:
        """Copy another buffer of the same dtype and size on the same device."""
        if other.dtype is not self.dtype:
            raise DTypeError(f"copy of {other!r} into {self!r}: cast it first")
        if other.size != self.size:
            raise ShapeError(f"copy of {other!r} into {self!r}: {other.size} and {self.size}")
        if other.device is not self.device:
            raise ShapeError(f"copy of {other!r} into {self!r}: another device, read and write it")
        if self.size and other.storage is not self.storage:
            self.device.stream.copy(other.storage, self.storage, _padded(self.nbytes))

    def view(self, shape: tuple[int, ...]) -> Buffer[T]:
        """The same memory in another shape; one extent may be -1. `ShapeError` if sizes differ."""
        known = math.prod(n for n in shape if n != -1)
        if shape.count(-1) == 1 and known and self.size % known == 0:
            shape = tuple(self.size // known if n == -1 else n for n in shape)
        if -1 in shape or math.prod(shape) != self.size:
            raise ShapeError(f"view of {self!r} as {shape}: sizes differ")
        return Buffer(self.device, self.dtype, shape, self.storage)


def _padded(nbytes: int) -> int:
    """Bytes rounded up to WebGPU's copy unit of 4; storages are larger, so this stays inside."""
    return (nbytes + 3) // 4 * 4


def _bytes_of(data: NDArray[Any]) -> memoryview:
    """Bytes of a contiguous array, padded to a multiple of 4."""
    flat = data.reshape(-1).view(np.uint8)
    if flat.size % 4:
        flat = np.concatenate([flat, np.zeros(4 - flat.size % 4, np.uint8)])
    return flat.data
