"""Exchange with arrays of other libraries: NumPy's protocol and DLPack.

CUDA gives other libraries access to a card's memory, see `gpucore.memory.borrowing`. With any other
engine, and on the host, every exchange is a copy: a read of the buffer, or a write into it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpucore.errors import ArgumentError

__all__ = [
    "CPU",
    "DLPackProducer",
    "as_array",
    "call_on_host",
    "dlpack_capsule",
    "host_array",
    "is_on",
    "numpy_array",
]

# kDLCPU in dlpack.h, and the number of the only CPU device.
CPU = (1, 0)
# kDLCPU, kDLCUDAHost, kDLROCMHost, kDLCUDAManaged: memory that the host may read.
_HOST = (1, 3, 11, 13)

Read = Callable[[], NDArray[Any]]


class DLPackProducer(Protocol):
    """An array that another library can take without a copy (DLPack)."""

    def __dlpack__(self, *, stream: Any = None) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...


class HostReadable(Protocol):
    """The part of a `Buffer` that NumPy's functions use."""

    shape: tuple[int, ...]

    def read(self) -> NDArray[Any]:
        """Return the contents."""


def numpy_array(read: Read, dtype: Any, copy: bool | None) -> NDArray[Any]:
    """Return the result of ``__array__`` from a new ``read``; ``copy`` is as NumPy 2 passes it."""
    if copy is False:
        raise ValueError(
            "a buffer's memory is on the device, so that an array of it is always a copy: use "
            "np.asarray(buffer) or copy=None"
        )
    data = read()
    return data if dtype is None else data.astype(dtype, copy=False)


def call_on_host(
    buffer: type[HostReadable],
    function: Callable[..., Any],
    args: Any,
    kwargs: Mapping[str, Any],
) -> Any:
    """Call a function of NumPy with read copies in place of the buffers, in lists too.

    The shape alone is asked for without a read.
    """
    only_shape = function in (np.shape, np.ndim, np.size)

    def on_host(value: Any) -> Any:
        if isinstance(value, buffer):
            if only_shape:
                return np.broadcast_to(np.zeros((), np.uint8), value.shape)
            return value.read()
        if type(value) in (list, tuple):
            return type(value)(map(on_host, value))
        return value

    return function(*map(on_host, args), **{name: on_host(each) for name, each in kwargs.items()})


def dlpack_capsule(
    read: Read, stream: Any, dl_device: tuple[int, int] | None, copy: bool | None
) -> Any:
    """Return the result of ``__dlpack__`` from a new ``read``.

    Raises `BufferError`, as DLPack requires.
    """
    if copy is False:
        raise BufferError("a buffer's memory is on the device: DLPack gets a copy of it")
    if stream is not None:
        raise BufferError(f"stream must be None, got {stream!r}: the data is a copy on the CPU")
    if dl_device is not None and tuple(dl_device) != CPU:
        raise BufferError(f"dl_device must be the CPU, {CPU}, got {dl_device}")
    return read().__dlpack__()


def host_array(array: Any) -> NDArray[Any]:
    """Return what NumPy takes, or a DLPack producer, as an array. Raises `ArgumentError`."""
    is_plain = hasattr(array, "__array__") or not hasattr(array, "__dlpack__")
    return np.asarray(array) if is_plain else as_array(array)


def is_on(producer: object, place: tuple[int, int] | None) -> bool:
    """Tell whether a DLPack producer's data is on the device ``place``."""
    if place is None or not hasattr(producer, "__dlpack_device__"):
        return False
    kind, number = producer.__dlpack_device__()
    return (int(kind), int(number)) == place


def as_array(producer: object) -> NDArray[Any]:
    """Return a DLPack producer's host array, without a copy. Raises `ArgumentError`."""
    if not hasattr(producer, "__dlpack__"):
        raise ArgumentError(
            f"{type(producer).__name__} has no __dlpack__: give an array, or use buffer_from_array"
        )
    kind, _ = producer.__dlpack_device__() if hasattr(producer, "__dlpack_device__") else CPU
    try:
        if kind not in _HOST:
            raise BufferError(f"its data is on a device of DLPack type {kind}")
        return np.from_dlpack(producer)
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise ArgumentError(
            f"DLPack of {type(producer).__name__}: {error}; it must be a plain array on the CPU "
            "(PyTorch: tensor.detach().cpu())"
        ) from None
