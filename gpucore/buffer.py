"""`Buffer[T]`: typed, shaped device memory; contiguous and row-major."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from operator import index
from types import TracebackType
from typing import TYPE_CHECKING, Any, Generic, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import interchange
from gpucore.copying import copy_words
from gpucore.display import buffer_html
from gpucore.dtypes import T, u32
from gpucore.errors import ArgumentError, DTypeError, ReleasedBufferError, ShapeError
from gpucore.integers import ceil_div
from gpucore.memory.pool import Storage
from gpucore.not_copyable import NotCopyable
from gpucore.waiting import wait_async

if TYPE_CHECKING:
    from gpucore.backends import Backend
    from gpucore.device import Device

__all__ = ["Buffer"]

_MOST_AXES = 64


class Buffer(NotCopyable, Generic[T]):
    """An array on a device, made by `Device.buffer` or `Device.buffer_from_array`.

    Its memory returns to the device's pool when the last reference (views count) goes, on
    `release`, or at the end of a ``with`` block.

    >>> x = device.buffer_from_array(np.arange(6, dtype=np.float32).reshape(3, 2))
    >>> x
    Buffer[f32]((3, 2) on null device)
    >>> x.read_slice(1, 3).tolist()
    [[2.0, 3.0], [4.0, 5.0]]

    Attributes:
        device: where it lives. dtype: its marker, such as ``f32``. shape: its extents.
    """

    __slots__ = ("__weakref__", "_storage", "device", "dtype", "nbytes", "shape", "size")

    _INSTEAD = "pickle buffer.read(), and upload it with device.buffer_from_array(array)"

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
        self._refuse_released()
        assert self._storage is not None
        return self._storage

    @property
    def is_released(self) -> bool:
        """Whether it has no memory any more, or its capture found none for it."""
        return self._storage is None or self._storage.handle is None

    def _refuse_released(self) -> None:
        if self.is_released:
            raise ReleasedBufferError(f"{self!r} was released: make a new buffer")

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a buffer without dimensions")
        return self.shape[0]

    def __int__(self) -> int:
        """The only element; waits. Raises `ShapeError` for more or none."""
        return int(self._only("int"))

    def __float__(self) -> float:
        """The only element; waits. Raises `ShapeError` for more or none."""
        return float(self._only("float"))

    def _only(self, what: str) -> Any:
        if self.size != 1:
            raise ShapeError(
                f"{what} of {self!r}, which has {self.size} elements: reduce it to one, as "
                "gpustd.sum does, or read it"
            )
        return self.read().item()

    def __repr__(self) -> str:
        state = ", released" if self.is_released else ""
        return f"Buffer[{self.dtype.name}]({self.shape} on {self.device.name}{state})"

    def __copy__(self) -> Buffer[T]:
        """A new buffer on the device with the same contents, as `copy.copy` of an array."""
        copied = self.device.buffer(self.dtype, self.shape)
        copied.copy_from(self)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Buffer[T]:
        return self.__copy__()

    def _repr_html_(self) -> str:
        return buffer_html(self)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """A read, so that NumPy takes a buffer (``np.asarray(buffer)``): always a copy.

        ``copy=False`` raises ValueError, as NumPy 2 asks of what cannot avoid one.
        """
        return interchange.array_of(self.read, dtype, copy)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """A read as a DLPack capsule on the CPU (``torch.from_dlpack(buffer)``): always a copy.

        Without a copy would take a platform whose engine shows device memory to other libraries;
        none does. Raises `BufferError` for ``copy=False``, a stream, or another device.
        """
        return interchange.capsule(self.read, stream, dl_device, copy)

    def __dlpack_device__(self) -> tuple[int, int]:
        return interchange.CPU

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

    def read(self, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Contents as a new array of the buffer's shape and dtype, or in ``out``; waits.

        ``out`` is an array of the same shape and dtype, in any memory order; it is returned.
        Raises `ArgumentError`, `ShapeError`, `DTypeError`, `DeviceLostError`.
        """
        target = self._target(out)
        if self.size:
            self._reading(0, self.nbytes).into(target)
        return target

    def begin_read(self) -> Callable[[], NDArray[Any]]:
        """Begin a `read` of what the buffer holds after everything recorded so far.

        What is returned is called once, for the array: it waits. So the device goes on meanwhile,
        and reads begun together wait once. Raises `DeviceLostError`, then or now.
        """
        target = self._target(None)
        if not self.size:
            return lambda: target
        return partial(self._reading(0, self.nbytes).into, target)

    async def read_async(self, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """`read`, awaited (asyncio or trio); other tasks run meanwhile.

        It reads what the buffer holds after everything recorded when the call begins. A task that
        is cancelled leaves ``out`` as it was, and the device usable.
        """
        target = self._target(out)
        if self.size:
            await self._reading(0, self.nbytes).into_async(target)
        return target

    def read_slice(self, start: int, stop: int) -> NDArray[Any]:
        """Rows ``start`` to ``stop`` (along the first axis) as a new array; only they are copied.

        Raises `ShapeError` where the rows do not exist.
        """
        first, nbytes = self._rows(start, stop)
        target = np.empty((stop - start, *self.shape[1:]), self.dtype.numpy)
        if nbytes:
            self._reading(first, nbytes).into(target)
        return target

    async def read_slice_async(self, start: int, stop: int) -> NDArray[Any]:
        """`read_slice`, awaited (asyncio or trio)."""
        first, nbytes = self._rows(start, stop)
        target = np.empty((stop - start, *self.shape[1:]), self.dtype.numpy)
        if nbytes:
            await self._reading(first, nbytes).into_async(target)
        return target

    def _target(self, out: NDArray[Any] | None) -> NDArray[Any]:
        self._refuse_released()
        if out is None:
            return np.empty(self.shape, self.dtype.numpy)
        if not isinstance(out, np.ndarray):
            raise ArgumentError(
                f"read of {self!r} into {type(out).__name__}: give a NumPy array, or leave it out"
            )
        if out.dtype != self.dtype.numpy:
            raise DTypeError(
                f"read of {self!r} into an array of {out.dtype}: give one of {self.dtype.numpy}"
            )
        if out.shape != self.shape:
            raise ShapeError(
                f"read of {self!r} into an array of shape {out.shape}: give one of {self.shape}"
            )
        if not out.flags.writeable:
            raise ArgumentError(f"read of {self!r} into an array that is read-only")
        return out

    def _reading(self, first: int, nbytes: int) -> Reading:
        self.device.submit()
        return Reading(self.device.engine, self.storage, first, nbytes)

    def _rows(self, start: int, stop: int) -> tuple[int, int]:
        """First byte of a range of rows, and how many bytes they have."""
        self._refuse_released()
        start, stop = index(start), index(stop)
        if not self.shape or not 0 <= start <= stop <= self.shape[0]:
            count = self.shape[0] if self.shape else "no"
            raise ShapeError(f"rows {start} to {stop} of {self!r}, which has {count} rows")
        row = self.nbytes // self.shape[0] if self.shape[0] else 0
        return start * row, (stop - start) * row

    def write(self, array: ArrayLike) -> None:
        """Replace the contents. Shape and dtype must be the buffer's; the data is copied at once.

        Raises `ShapeError` or `DTypeError`; nothing is converted silently.
        """
        data = self._checked(array)
        if data.shape != self.shape and (np.ndim(array) or self.shape):
            raise ShapeError(
                f"write of shape {data.shape} into {self!r}: reshape the array, or write a part of "
                "the rows with write_slice"
            )
        if self.size == 0:
            return
        self.device.stream.precede(self.storage, self.nbytes)
        self.device.engine.write(self.storage.handle, _bytes_of(data))

    def write_slice(self, start: int, array: ArrayLike) -> None:
        """Replace rows (along the first axis) from ``start`` on; ``array`` has so many rows.

        Devices write whole words: where rows are no multiple of 4 bytes, as of f16 or u8, the part
        must begin at one, and end at one or with the buffer. Raises `ShapeError`, `DTypeError`.
        """
        data = self._checked(array)
        if data.shape[1:] != self.shape[1:] or not data.ndim:
            raise ShapeError(f"write of rows of shape {data.shape[1:]} into {self!r}")
        first, nbytes = self._rows(start, start + data.shape[0])
        if not nbytes:
            return
        if first % 4 or (nbytes % 4 and first + nbytes != self.nbytes):
            raise ShapeError(
                f"write of bytes {first} to {first + nbytes} of {self!r}: a part begins and ends "
                "at multiples of 4 bytes; write more rows, or the whole buffer"
            )
        self.device.stream.precede(self.storage, nbytes)
        self.device.engine.write(self.storage.handle, _bytes_of(data), first)

    def _checked(self, array: ArrayLike) -> NDArray[Any]:
        self._refuse_released()
        data = np.ascontiguousarray(array)
        if data.dtype != self.dtype.numpy:
            raise DTypeError(
                f"write of {data.dtype} into {self!r}: convert it first, "
                f"array.astype(np.{self.dtype.numpy})"
            )
        return data

    def copy_from(self, other: Buffer[T]) -> None:
        """Copy another buffer of the same dtype and size on the same device."""
        if not isinstance(other, Buffer):
            raise ArgumentError(
                f"copy of {type(other).__name__} into {self!r}: give a Buffer; buffer.write(array) "
                "takes an array"
            )
        if other.dtype is not self.dtype:
            raise DTypeError(f"copy of {other!r} into {self!r}: cast it first")
        if other.size != self.size:
            raise ShapeError(f"copy of {other!r} into {self!r}: {other.size} and {self.size}")
        if other.device is not self.device:
            raise ShapeError(
                f"copy of {other!r} into {self!r}: another device; other.to(device) copies through "
                "the host"
            )
        if self.size and other.storage is not self.storage:
            copy_words(_words(other), _words(self))

    def to(self, device: Device) -> Buffer[T]:
        """The buffer itself where it is on ``device`` already, else a copy there.

        The copy goes through the host and waits for this device: no engine shows the memory of one
        device to another.
        """
        if device is self.device:
            return self
        copied = device.buffer(self.dtype, self.shape)
        copied.write(self.read())
        return copied

    async def to_async(self, device: Device) -> Buffer[T]:
        """`to`, awaited (asyncio or trio)."""
        if device is self.device:
            return self
        data = await self.read_async()
        copied = device.buffer(self.dtype, self.shape)
        copied.write(data)
        return copied

    def view(self, shape: int | tuple[int, ...]) -> Buffer[T]:
        """The same memory in another shape; one extent may be -1. `ShapeError` if sizes differ.

        `ReleasedBufferError` once released.
        """
        storage, wanted = self.storage, extents(shape)
        known = math.prod(n for n in wanted if n != -1)
        if wanted.count(-1) == 1 and known and self.size % known == 0:
            wanted = tuple(self.size // known if n == -1 else n for n in wanted)
        if min(wanted, default=0) < 0 or math.prod(wanted) != self.size:
            raise ShapeError(
                f"view of {self!r} as {shape}: sizes differ, it has {self.size} elements"
            )
        return Buffer(self.device, self.dtype, wanted, storage)


def extents(shape: int | Sequence[int]) -> tuple[int, ...]:
    """A shape as a tuple of Python integers. Raises `ShapeError` for what is none.

    >>> extents(5), extents([2, 3])
    ((5,), (2, 3))
    """
    if isinstance(shape, int):
        return (int(shape),)
    given: object = shape
    try:
        full = tuple(map(index, shape))
    except TypeError:
        pass
    else:
        if isinstance(given, str):  # an empty one
            raise ShapeError("shape '': give whole numbers, such as 1000 or (20, 50)")
        if len(full) > _MOST_AXES:
            raise ShapeError(f"shape of {len(full)} axes: there may be {_MOST_AXES}, as in NumPy")
        return full
    try:
        return (index(shape),)  # type: ignore[arg-type]  # NumPy's integers
    except TypeError:
        message = f"shape {shape!r}: give whole numbers, such as 1000 or (20, 50)"
        raise ShapeError(message) from None


def _words(buffer: Buffer[Any]) -> Buffer[u32]:
    """The same memory in whole words of 16 bytes; storages are larger, so this stays inside."""
    return Buffer(buffer.device, u32, (ceil_div(buffer.nbytes, 16) * 4,), buffer.storage)


def _padded(nbytes: int) -> int:
    """Bytes rounded up to WebGPU's copy unit of 4; storages are larger, so this stays inside."""
    return (nbytes + 3) // 4 * 4


class Reading:
    """A read of a storage's bytes that has begun; it is waited for once."""

    def __init__(self, engine: Backend, storage: Storage, first: int, nbytes: int) -> None:
        self._skip = first % 4
        self._nbytes = nbytes
        self._pending = engine.read(
            storage.handle, _padded(self._skip + nbytes), first - self._skip
        )

    def into(self, target: NDArray[Any]) -> NDArray[Any]:
        """Block, then fill ``target``, and return it."""
        try:
            data = self._pending.wait()[self._skip : self._skip + self._nbytes]
            np.copyto(target, np.frombuffer(data, target.dtype).reshape(target.shape))
        finally:
            self._pending.release()
        return target

    async def into_async(self, target: NDArray[Any]) -> None:
        """Await it, then fill ``target``."""
        try:
            await wait_async(self._pending)
        except BaseException:
            self._pending.release()
            raise
        self.into(target)


def _bytes_of(data: NDArray[Any]) -> memoryview:
    """Bytes of a contiguous array, padded to a multiple of 4."""
    flat = data.reshape(-1).view(np.uint8)
    if flat.size % 4:
        flat = np.concatenate([flat, np.zeros(4 - flat.size % 4, np.uint8)])
    return flat.data
