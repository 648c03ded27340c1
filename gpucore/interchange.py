"""Arrays of other libraries: NumPy's protocol and DLPack, on the host.

No engine lets another library into a device's memory, so that every exchange is a copy: outwards a
read, inwards a write.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from gpucore.errors import ArgumentError

__all__ = ["CPU", "DLPackProducer", "array_of", "as_array", "capsule"]

# kDLCPU in dlpack.h, and the number of the only CPU device.
CPU = (1, 0)
# kDLCPU, kDLCUDAHost, kDLROCMHost, kDLCUDAManaged: memory that the host may read.
_HOST = (1, 3, 11, 13)

Read = Callable[[], NDArray[Any]]


class DLPackProducer(Protocol):
    """An array that another library can take without a copy (DLPack)."""

    def __dlpack__(self, *, stream: Any = None) -> Any: ...
    def __dlpack_device__(self) -> tuple[int, int]: ...


def array_of(read: Read, dtype: Any, copy: bool | None) -> NDArray[Any]:
    """What ``__array__`` returns of a fresh ``read``; ``copy`` as NumPy 2 passes it."""
    if copy is False:
        raise ValueError(
            "a buffer's memory is on the device, so that an array of it is always a copy: use "
            "np.asarray(buffer) or copy=None"
        )
    data = read()
    return data if dtype is None else data.astype(dtype, copy=False)


def capsule(read: Read, stream: Any, dl_device: tuple[int, int] | None, copy: bool | None) -> Any:
    """What ``__dlpack__`` returns of a fresh ``read``; raises `BufferError` as DLPack asks."""
    if copy is False:
        raise BufferError("a buffer's memory is on the device: DLPack gets a copy of it")
    if stream is not None:
        raise BufferError("stream must be None: the data is a copy on the CPU")
    if dl_device is not None and tuple(dl_device) != CPU:
        raise BufferError(f"DLPack device {dl_device}: only the CPU, {CPU}, can be given")
    return read().__dlpack__()


def as_array(producer: object) -> NDArray[Any]:
    """The host array behind a DLPack producer, not copied. Raises `ArgumentError`."""
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
