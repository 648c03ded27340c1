"""`Buffer[T]`: typed device memory with a shape; contiguous and row-major."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import partial
from operator import index
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self

import numpy as np
from numpy.typing import ArrayLike, NDArray

from gpucore import interchange
from gpucore.algebra.methods import BufferMethods
from gpucore.algebra.operators import BufferOperators
from gpucore.copying import copy_words
from gpucore.display import buffer_html
from gpucore.dtypes import T, conversion_text, u32
from gpucore.errors import ArgumentError, DTypeError, ReleasedBufferError, ShapeError
from gpucore.integers import ceil_div
from gpucore.memory.borrowing import lend
from gpucore.memory.pool import Storage
from gpucore.not_copyable import NotCopyable
from gpucore.processes import kept_if_ended
from gpucore.sanitizer import checker
from gpucore.waiting import start_async, wait_async

if TYPE_CHECKING:
    from gpucore.device import Device

__all__ = ["Buffer"]

_MAX_AXES = 64


class Buffer(NotCopyable, BufferOperators[T], BufferMethods[T]):
    """An array on a device, made by `Device.buffer` or `Device.buffer_from_array`.

    Its memory returns to the device's pool when the last reference goes (views count), on
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
        """The memory that holds the elements; `ReleasedBufferError` once released."""
        storage = self._storage
        if storage is None or storage.handle is None:  # as `is_released`, quicker
            raise ReleasedBufferError(f"{self!r} was released: make a new buffer")
        return storage

    @property
    def is_released(self) -> bool:
        """True where it has no memory any more, or where its capture had no room for it."""
        return self._storage is None or self._storage.handle is None

    def _require_memory(self) -> None:
        _ = self.storage

    def __len__(self) -> int:
        if not self.shape:
            raise TypeError("len() of a buffer without dimensions")
        return self.shape[0]

    def __bool__(self) -> bool:
        """Tell whether the only element is other than 0; wait for it.

        Raises `ShapeError` for more elements or none, as NumPy raises ValueError.
        """
        return bool(self._single_element("bool", "x.any() or x.all()"))

    def __int__(self) -> int:
        """Return the only element; wait for it. Raises `ShapeError` for more elements or none."""
        return int(self._single_element("int"))

    def __float__(self) -> float:
        """Return the only element; wait for it. Raises `ShapeError` for more elements or none."""
        return float(self._single_element("float"))

    def __complex__(self) -> complex:
        """Return the only element; wait for it. Raises `ShapeError` for more elements or none."""
        return complex(self._single_element("complex"))

    def item(self) -> Any:
        """Return the only element as a Python number; wait for it. Raises `ShapeError`."""
        return self._single_element("item")

    def tolist(self) -> Any:
        """Return the contents as nested lists of Python numbers; wait for them."""
        return self.read().tolist()

    def _single_element(self, conversion: str, reduction: str = "x.sum()") -> Any:
        if self.size != 1:
            raise ShapeError(
                f"{conversion} of {self!r}: it must have one element, got {self.size}; reduce it "
                f"to one, as {reduction} does, or read it"
            )
        if self.dtype.numpy.names:
            raise DTypeError(f"{conversion} of {self!r}: it holds structs; read it")
        return self.read().item()

    def __repr__(self) -> str:
        state = ", released" if self.is_released else ""
        return f"Buffer[{self.dtype.name}]({self.shape} on {self.device.name}{state})"

    def __copy__(self) -> Buffer[T]:
        """Return a new buffer on the device with the same contents, as `copy.copy` of an array."""
        copied = self.device.buffer(self.dtype, self.shape)
        copied.copy_from(self)
        return copied

    def __deepcopy__(self, memo: dict[int, Any]) -> Buffer[T]:
        return self.__copy__()

    def _repr_html_(self) -> str:
        return buffer_html(self, f"{self.device.name} ({self.device.backend})")

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        """Read it, so that NumPy takes a buffer (``np.asarray(buffer)``); always a copy.

        ``copy=False`` raises ValueError, as NumPy 2 requires where a copy cannot be avoided.
        """
        return interchange.numpy_array(self.read, dtype, copy)

    def __array_function__(
        self, function: Callable[..., Any], types: Any, args: Any, kwargs: Any
    ) -> Any:
        """Let NumPy's functions (``np.sum(buffer)``) compute on the host, with a read copy.

        The buffer's own methods and gpustd's functions compute on the device.
        """
        return interchange.call_on_host(Buffer, function, args, kwargs)

    def __dlpack__(
        self,
        *,
        stream: Any = None,
        max_version: tuple[int, int] | None = None,
        dl_device: tuple[int, int] | None = None,
        copy: bool | None = None,
    ) -> Any:
        """Return a DLPack capsule (``torch.from_dlpack(buffer)``).

        With CUDA, it has the buffer's own memory on the card, after what was recorded so far. Call
        ``torch.cuda.synchronize()`` or the like before the buffer is used again. With others, and
        for ``dl_device`` on the CPU, it has a copy there. Raises `BufferError` for other choices.
        """
        sharing = self.device.engine.sharing
        if sharing is None or dl_device == interchange.CPU:
            return interchange.dlpack_capsule(self.read, stream, dl_device, copy)
        if dl_device is not None and tuple(dl_device) != sharing.place:
            raise BufferError(f"dl_device must be {sharing.place} or the CPU, got {dl_device}")
        if self.dtype.numpy.names:
            raise BufferError(f"{self!r} holds structs: DLPack has numbers alone")
        with self.device.lock:
            storage = (self.__copy__() if copy else self).storage
            self.device.submit()
            return lend(sharing, storage, (self.shape, self.dtype.numpy), stream, max_version)

    def __dlpack_device__(self) -> tuple[int, int]:
        sharing = self.device.engine.sharing
        return interchange.CPU if sharing is None else sharing.place

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
        """Give the memory back now; later use raises `ReleasedBufferError`."""
        self._storage = None

    def read(self, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Wait for the contents and return them as an array of the buffer's shape and dtype.

        The array is new, or ``out``, which may have any memory order. Raises `ArgumentError`,
        `ShapeError`, `DTypeError`, `DeviceLostError`.
        """
        target = self._read_target(out)
        if self.size:
            self._start_read(0, self.nbytes).finish(target)
        return target

    def begin_read(self) -> Callable[[], NDArray[Any]]:
        """Begin a `read` of the contents after everything recorded so far.

        Return a function to be called once: it waits, and returns the array. The device goes on
        meanwhile, and reads begun together wait once. Raises `DeviceLostError`, then or now.
        """
        target = self._read_target(None)
        if not self.size:
            return lambda: target
        return partial(self._start_read(0, self.nbytes).finish, target)

    async def read_async(self, *, out: NDArray[Any] | None = None) -> NDArray[Any]:
        """Await `read` (asyncio or trio); other tasks run meanwhile.

        It reads the contents after everything recorded when the call begins. A task that is
        cancelled leaves ``out`` as it was, and the device usable: what it was waiting for goes on.
        """
        target = self._read_target(out)
        if self.size:
            await self._read_bytes_async(0, self.nbytes, target)
        return target

    def read_slice(self, start: int, stop: int) -> NDArray[Any]:
        """Read rows ``start`` to ``stop`` (along the first axis), and only them; wait for them.

        Raises `ShapeError` where the rows do not exist.
        """
        first, nbytes = self._row_bytes(start, stop)
        target = np.empty((stop - start, *self.shape[1:]), self.dtype.numpy)
        if nbytes:
            self._start_read(first, nbytes).finish(target)
        return target

    async def read_slice_async(self, start: int, stop: int) -> NDArray[Any]:
        """Await `read_slice` (asyncio or trio)."""
        first, nbytes = self._row_bytes(start, stop)
        target = np.empty((stop - start, *self.shape[1:]), self.dtype.numpy)
        if nbytes:
            await self._read_bytes_async(first, nbytes, target)
        return target

    def _read_target(self, out: NDArray[Any] | None) -> NDArray[Any]:
        """Return ``out``, checked, or a new array."""
        self._require_memory()
        if out is None:
            return np.empty(self.shape, self.dtype.numpy)
        if not isinstance(out, np.ndarray):
            raise ArgumentError(
                f"read of {self!r}: out must be a NumPy array, got {type(out).__name__}; or leave "
                "it out"
            )
        if out.dtype != self.dtype.numpy:
            raise DTypeError(
                f"read of {self!r}: out must be an array of {self.dtype.numpy}, got {out.dtype}; "
                "or leave it out, and convert the result"
            )
        if out.shape != self.shape:
            raise ShapeError(
                f"read of {self!r}: out must have shape {self.shape}, got {out.shape}; reshape it"
            )
        if not out.flags.writeable:
            raise ArgumentError(
                f"read of {self!r}: out must be writable, got a read-only array; give a copy"
            )
        return out

    def _start_read(self, first: int, nbytes: int) -> PendingArray:
        device = self.device
        with device.lock, device.engine.one_submission():
            device.submit()
            return PendingArray(device, self.storage, first, nbytes)

    async def _read_bytes_async(self, first: int, nbytes: int, target: NDArray[Any]) -> None:
        device = self.device

        def start() -> PendingArray | None:
            return self._start_read(first, nbytes) if device.engine.is_ready else None

        with kept_if_ended(device):
            pending = await start_async(start, device.lock)
            await pending.finish_async(target)

    def _row_bytes(self, start: int, stop: int) -> tuple[int, int]:
        """Return the first byte of a range of rows, and the number of bytes."""
        self._require_memory()
        start, stop = index(start), index(stop)
        if not self.shape or not 0 <= start <= stop <= self.shape[0]:
            count = self.shape[0] if self.shape else "no"
            raise ShapeError(
                f"rows {start} to {stop} of {self!r}, which has {count} rows: give a range of rows "
                "that exist"
            )
        row = self.nbytes // self.shape[0] if self.shape[0] else 0
        return start * row, (stop - start) * row

    def write(self, array: ArrayLike) -> None:
        """Replace the contents. Shape and dtype must be the buffer's; the data is copied at once.

        Raises `ShapeError` or `DTypeError`; nothing is converted silently.
        """
        data = self._as_writable(array)
        if data.shape != self.shape and (np.ndim(array) or self.shape):
            raise ShapeError(
                f"write of shape {data.shape} into {self!r}: reshape the array, or write a part of "
                "the rows with write_slice"
            )
        if self.size == 0:
            return
        self._write_bytes(data, 0)

    def write_slice(self, start: int, array: ArrayLike) -> None:
        """Replace rows (along the first axis) from ``start`` on, as many as ``array`` has.

        Devices write whole words of 4 bytes, and rows of f16 or u8 may end inside a word. The part
        must begin at a whole word, and end at one or with the buffer. Raises `ShapeError`,
        `DTypeError`.
        """
        data = self._as_writable(array)
        if data.shape[1:] != self.shape[1:] or not data.ndim:
            raise ShapeError(
                f"write of rows of shape {data.shape[1:]} into {self!r}: reshape the array to rows "
                f"of shape {self.shape[1:]}"
            )
        first, nbytes = self._row_bytes(start, start + data.shape[0])
        if not nbytes:
            return
        if first % 4 or (nbytes % 4 and first + nbytes != self.nbytes):
            raise ShapeError(
                f"write of bytes {first} to {first + nbytes} of {self!r}: a part must begin and "
                "end at multiples of 4 bytes; write more rows, or the whole buffer"
            )
        self._write_bytes(data, first)

    def _write_bytes(self, data: NDArray[Any], first: int) -> None:
        with self.device.lock:
            self.device.stream.submit_before_write(self.storage, data.nbytes)
            self.device.engine.write(self.storage.handle, padded := _padded_bytes(data), first)
            if sanitizer := checker():
                sanitizer.note_write(self.storage.handle, first, padded.nbytes)

    def _as_writable(self, array: ArrayLike) -> NDArray[Any]:
        """Return ``array``, contiguous. Raises `DTypeError` where it has another dtype."""
        self._require_memory()
        data = np.ascontiguousarray(array)
        if data.dtype != self.dtype.numpy:
            raise DTypeError(f"write of {data.dtype} into {self!r}: {conversion_text(self.dtype)}")
        return data

    def copy_from(self, other: Buffer[T]) -> None:
        """Record a copy of another buffer of the same dtype and size on the same device.

        Raises `ArgumentError`, `DTypeError`, `ShapeError`.
        """
        if not isinstance(other, Buffer):
            raise ArgumentError(
                f"copy into {self!r}: the source must be a Buffer, got {type(other).__name__}; "
                "buffer.write(array) takes an array"
            )
        if other.dtype is not self.dtype:
            raise DTypeError(f"copy of {other!r} into {self!r}: dtypes differ; cast it first")
        if other.size != self.size:
            raise ShapeError(
                f"copy of {other!r} into {self!r}: sizes must be equal, got {other.size} and "
                f"{self.size}; make a buffer of the same size"
            )
        if other.device is not self.device:
            raise ShapeError(
                f"copy of {other!r} into {self!r}: it is on another device; other.to(device) "
                "copies through the host"
            )
        if self.size and other.storage is not self.storage:
            with self.device.lock:
                copy_words(_as_words(other), _as_words(self))

    def to(self, device: Device) -> Buffer[T]:
        """Return the buffer itself where it is on ``device`` already, else a copy there.

        The copy goes through the host and waits for this device: no engine gives one device access
        to the memory of another.
        """
        if device is self.device:
            return self
        copied = device.buffer(self.dtype, self.shape)
        copied.write(self.read())
        return copied

    async def to_async(self, device: Device) -> Buffer[T]:
        """Await `to` (asyncio or trio)."""
        if device is self.device:
            return self
        data = await self.read_async()
        copied = device.buffer(self.dtype, self.shape)
        copied.write(data)
        return copied

    def view(self, shape: int | tuple[int, ...]) -> Buffer[T]:
        """Return a buffer on the same memory in another shape; one extent may be -1.

        Raises `ShapeError` if sizes differ, `ReleasedBufferError` once released.
        """
        storage, sizes = self.storage, extents(shape)
        known = math.prod(n for n in sizes if n != -1)
        if sizes.count(-1) == 1 and known and self.size % known == 0:
            sizes = tuple(self.size // known if n == -1 else n for n in sizes)
        if min(sizes, default=0) < 0 or math.prod(sizes) != self.size:
            raise ShapeError(
                f"view of {self!r} as {shape}: sizes differ; give a shape of {self.size} elements"
            )
        return Buffer(self.device, self.dtype, sizes, storage)


def extents(shape: int | Sequence[int]) -> tuple[int, ...]:
    """Return a shape as a tuple of Python integers. Raises `ShapeError` where it is no shape.

    >>> extents(5), extents([2, 3])
    ((5,), (2, 3))
    """
    if isinstance(shape, int):
        return (int(shape),)
    given: object = shape
    try:
        sizes = tuple(map(index, shape))
    except TypeError:
        pass
    else:
        if isinstance(given, str):  # an empty one
            raise ShapeError("shape must be whole numbers, got ''; give 1000 or (20, 50)")
        if len(sizes) > _MAX_AXES:
            raise ShapeError(
                f"shape must have at most {_MAX_AXES} axes, as in NumPy, got {len(sizes)}; merge "
                "some of them"
            )
        return sizes
    try:
        return (index(shape),)  # type: ignore[arg-type]  # NumPy's integers
    except TypeError:
        message = f"shape must be whole numbers, got {shape!r}; give 1000 or (20, 50)"
        raise ShapeError(message) from None


def _as_words(buffer: Buffer[Any]) -> Buffer[u32]:
    """View the memory in whole units of 16 bytes; storages are larger, so this stays inside."""
    return Buffer(buffer.device, u32, (ceil_div(buffer.nbytes, 16) * 4,), buffer.storage)


class PendingArray:
    """A read of a storage's bytes that has begun; it must be finished once."""

    def __init__(self, device: Device, storage: Storage, first: int, nbytes: int) -> None:
        # WebGPU copies units of 4 bytes. Storages are larger, so rounding up stays inside.
        self._skip = first % 4
        self._nbytes = nbytes
        size = ceil_div(self._skip + nbytes, 4) * 4
        self._device = device
        self._pending = device.engine.read(storage.handle, size, first - self._skip)

    def finish(self, target: NDArray[Any]) -> NDArray[Any]:
        """Wait for the bytes, fill ``target`` with them, and return it."""
        try:
            self._device.wait_for(self._pending)
            with self._device.lock:
                data = self._pending.wait()[self._skip : self._skip + self._nbytes]
                np.copyto(target, np.frombuffer(data, target.dtype).reshape(target.shape))
        finally:
            self._release()
        return target

    def _release(self) -> None:
        with self._device.lock:
            self._pending.release()

    async def finish_async(self, target: NDArray[Any]) -> None:
        """Await the bytes, and fill ``target`` with them."""
        try:
            await wait_async(self._pending, self._device.lock)
        except BaseException:
            self._release()
            raise
        self.finish(target)


def _padded_bytes(data: NDArray[Any]) -> memoryview:
    """Return the bytes of a contiguous array, padded to a multiple of 4."""
    flat = data.reshape(-1).view(np.uint8)
    if flat.size % 4:
        flat = np.concatenate([flat, np.zeros(4 - flat.size % 4, np.uint8)])
    return flat.data
