"""Writing GGUF files of version 3, whole or not at all."""

from __future__ import annotations

import math
import os
import struct
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.checkpoints.gguf.header import ALIGNMENT, SHAPE_KEY
from diffusion.checkpoints.gguf.reader import MAGIC
from diffusion.checkpoints.gguf.types import TENSOR_TYPES, TYPE_NUMBERS
from diffusion.drafts import replace_file
from diffusion.errors import OutputError, Shape
from gpucore.integers import ceil_div

__all__ = ["GgufTensor", "write_gguf"]

_VERSION: Final = 3
_UINT32, _INT32, _STRING, _ARRAY = 4, 5, 8, 9


class GgufTensor(NamedTuple):
    """A tensor to write: ``dtype`` is ggml's name in upper case, ``shape`` in PyTorch's order.

    Where rows are no whole number of blocks, it is stored as rows of one block each, and its shape
    as a note, as ComfyUI-GGUF does.
    """

    dtype: str
    shape: Shape

    @property
    def stored_shape(self) -> Shape:
        """The shape that the file tells."""
        elements = TENSOR_TYPES[TYPE_NUMBERS[self.dtype]].elements
        if self.shape and self.shape[-1] % elements == 0:
            return self.shape
        return self.shape if elements == 1 else (math.prod(self.shape) // elements, elements)

    @property
    def nbytes(self) -> int:
        """The bytes of the data, without padding."""
        kind = TENSOR_TYPES[TYPE_NUMBERS[self.dtype]]
        return math.prod(self.shape) // kind.elements * kind.nbytes


def write_gguf(
    path: str | os.PathLike[str],
    tensors: Mapping[str, GgufTensor],
    read: Callable[[str], NDArray[Any]],
    notes: Mapping[str, str | int],
) -> None:
    """Write a file that ``open_gguf`` reads, whole or not at all.

    ``read`` gives each tensor's stored bits when its turn comes: one at a time is in memory.
    ``notes``: key-value pairs, strings or 32-bit integers. Raises ``OutputError`` when the disk
    refuses, and what ``read`` raises.
    """
    path = Path(path)
    try:
        with replace_file(path) as file:
            _write_header(file, tensors, notes)
            for name, tensor in tensors.items():
                stored = np.ascontiguousarray(read(name)).reshape(-1).view(np.uint8)
                if stored.size != tensor.nbytes:
                    raise ValueError(f"{name} must have {tensor.nbytes} bytes, got {stored.size}")
                file.write(stored.data)
                _pad(file)
    except OSError as error:
        hint = "choose a folder that is writable and not full"
        raise OutputError(path, error.strerror or str(error), hint) from error


def _write_header(
    file: BinaryIO, tensors: Mapping[str, GgufTensor], notes: Mapping[str, str | int]
) -> None:
    """Write all that stands before the data."""
    pairs = [*_scalar_pairs(notes), *_shape_pairs(tensors)]
    file.write(MAGIC + struct.pack("<IQQ", _VERSION, len(tensors), len(pairs)) + b"".join(pairs))
    offset = 0
    for name, tensor in tensors.items():
        dimensions = tensor.stored_shape[::-1]
        file.write(
            _string(name) + struct.pack(f"<I{len(dimensions)}Q", len(dimensions), *dimensions)
        )
        file.write(struct.pack("<IQ", TYPE_NUMBERS[tensor.dtype], offset))
        offset += ceil_div(tensor.nbytes, ALIGNMENT) * ALIGNMENT
    _pad(file)


def _scalar_pairs(notes: Mapping[str, str | int]) -> Iterator[bytes]:
    """Yield the bytes of keys with strings or integers."""
    for key, value in notes.items():
        if isinstance(value, str):
            yield _string(key) + struct.pack("<I", _STRING) + _string(value)
        else:
            yield _string(key) + struct.pack("<II", _UINT32, value)


def _shape_pairs(tensors: Mapping[str, GgufTensor]) -> Iterator[bytes]:
    """Yield the bytes of the shapes of tensors that are stored in another one."""
    for name, tensor in tensors.items():
        if tensor.stored_shape != tensor.shape:
            rank = len(tensor.shape)
            yield (
                _string(SHAPE_KEY + name)
                + struct.pack("<IIQ", _ARRAY, _INT32, rank)
                + struct.pack(f"<{rank}i", *tensor.shape)
            )


def _string(text: str) -> bytes:
    stored = text.encode()
    return struct.pack("<Q", len(stored)) + stored


def _pad(file: BinaryIO) -> None:
    """Write zeros up to the next multiple of the alignment."""
    file.write(bytes(-file.tell() % ALIGNMENT))
