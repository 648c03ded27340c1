"""Memory that a device shares with other libraries: lent to them, or borrowed from them.

Both see what the other writes. What either has begun when the memory is handed over comes first;
after that, one must have ended its work (``torch.cuda.synchronize()``, `Device.synchronize`) before
the other begins.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from gpucore.backends import Sharing
from gpucore.errors import ArgumentError, LimitError
from gpucore.interchange import is_on
from gpucore.memory.dlpack import Taken, new_capsule, open_capsule
from gpucore.memory.pool import Arena, Pool, Storage

__all__ = ["ALIGNMENT", "Borrowed", "Loan", "borrow", "lend", "own_copy"]

ALIGNMENT = 16
"""Bytes of the widest word of a kernel, which may read and write a whole one at the end."""

_LEGACY_STREAM = 1  # what DLPack means where no stream is named


class Borrowed(Storage):
    """Memory of another library, given back once nothing of this device uses it."""

    __slots__ = ("_give_back",)

    def __init__(self, pool: Pool, handle: Any, give_back: Callable[[Any], None]) -> None:
        super().__init__(pool, Arena(), handle, handle.nbytes)
        self._give_back = give_back

    def __del__(self) -> None:
        if self.handle is not None:
            self._give_back(self.handle)
            self.handle = None


class Loan(NamedTuple):
    """Borrowed memory with the shape and dtype of its array, and whether it is to be copied."""

    storage: Borrowed
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    is_copied: bool


def borrow(pool: Pool, sharing: Sharing | None, producer: Any, copy: bool | None) -> Loan | None:
    """Borrow the memory of a DLPack producer on the same device; None where it is elsewhere.

    It is copied where ``copy`` is True, or None and the memory begins or ends inside a word. Raises
    `ArgumentError` where it must be and ``copy`` is False, and for what is no row-major array, and
    `LimitError` for an array that is larger than a buffer may be.
    """
    name = type(producer).__name__
    if sharing is None or not is_on(producer, sharing.place):
        if copy is False:
            raise ArgumentError(
                f"DLPack of {name}: copy must be None or True, got False: its data is not in "
                "memory that this device shares"
            )
        return None
    try:
        taken = open_capsule(producer.__dlpack__(stream=sharing.stream))
    except (BufferError, RuntimeError, TypeError, ValueError) as error:
        raise ArgumentError(
            f"DLPack of {name}: {error}; it must be a plain row-major array (PyTorch: "
            "tensor.detach().contiguous())"
        ) from None
    nbytes = math.prod(taken.shape) * taken.dtype.itemsize
    try:
        pool.check_size(nbytes)  # the indices of kernels reach no further
    except LimitError:
        taken.release()
        raise
    handle = sharing.adopt(taken.address, nbytes, taken.release)
    storage = Borrowed(pool, handle, sharing.give_back)
    is_ragged = bool(taken.address % ALIGNMENT or nbytes % ALIGNMENT)
    if is_ragged and copy is False:
        raise ArgumentError(
            f"DLPack of {name}: copy must be None or True, got False: its memory must begin and "
            f"end at multiples of {ALIGNMENT} bytes, got {nbytes} bytes at {taken.address:#x}"
        )
    return Loan(storage, taken.shape, taken.dtype, is_ragged if copy is None else copy)


def own_copy(borrowed: Any) -> Any:
    """Return a copy of a borrowed `Buffer`, which may begin inside a word, in memory of its own."""
    device = borrowed.device
    copied = device.buffer(borrowed.dtype, borrowed.shape)
    if borrowed.size:
        with device.lock:
            device.stream.copy(borrowed.storage, copied.storage, borrowed.nbytes)
    return copied


def lend(
    sharing: Sharing,
    storage: Storage,
    facts: tuple[tuple[int, ...], Any],
    stream: Any,
    version: Any,
) -> Any:
    """Return a capsule of a buffer's memory, whose shape and NumPy dtype are ``facts``.

    What was submitted comes first on the consumer's ``stream`` (DLPack's numbers; -1 for no order).
    """
    shape, dtype = facts
    if stream != -1:
        sharing.order_before(_LEGACY_STREAM if stream is None else int(stream))
    kept = [storage]
    taken = Taken(
        sharing.address_of(storage.handle),
        sharing.place,
        shape,
        dtype,
        lambda: sharing.take_back(kept.pop()),
    )
    return new_capsule(taken, versioned=version is not None and version[0] >= 1)
