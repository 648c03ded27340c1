"""The matrices of low-rank adapters on the device: many of them side by side in one buffer.

An upload of each would take longer than all bytes together, and so would a read of each. So a file
is read in spans of many tensors, with what lies between them.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.kinds.low_rank import stored_factors
from diffusion.adapters.tensor_group import TensorGroup
from diffusion.checkpoints.safetensors import SafetensorsFile, TensorEntry
from diffusion.checkpoints.safetensors.element_types import STORED, decode
from diffusion.checkpoints.safetensors.read_ahead import ReadAhead
from diffusion.models.weights import largest_buffer
from gpucore import Buffer, Device, DType, f16, f32
from gpucore.integers import ceil_div

__all__ = ["PackedFactors", "Place"]

_CHUNK: Final = 16 << 20
"""Bytes of a file that are read and uploaded at once."""
_GAP: Final = 64 << 10
"""Bytes between two tensors that are rather read, too, than left out."""
_MOST: Final = 1 << 30
"""Bytes of a buffer."""

Key = tuple[SafetensorsFile, str]
"""A matrix: its file, and its name there."""


class Place(NamedTuple):
    """Where a matrix lies: the number of a buffer, and its first element there."""

    buffer: int
    first: int


class _Chunk(NamedTuple):
    """Elements of a buffer that are read at once, and the ``places`` of matrices among them.

    ``size``: their number, to whole words.
    """

    size: int
    places: Mapping[Key, int]
    make: Callable[[], NDArray[Any]]

    def read(self, dtype: type[DType]) -> NDArray[Any]:
        """Return its elements."""
        with np.errstate(over="ignore"):
            made = self.make().reshape(-1).astype(dtype.numpy, copy=False)
        return made if made.size == self.size else np.append(made, made[-1:])


class _Target(NamedTuple):
    """A chunk's buffer, and its first element there."""

    buffer: Buffer[Any]
    first: int
    chunk: _Chunk


class PackedFactors:
    """The factors of groups of tensors, as `stored_factors` gives them, by the file's names.

    They are in f32, or in f16 where the file and the device have that type.
    """

    def __init__(self, device: Device, groups: Iterable[TensorGroup]) -> None:
        self.buffers: list[Buffer[Any]] = []
        self._places: dict[Key, Place] = {}
        self._targets: list[_Target] = []
        for dtype, chunks in _chunks(groups, device).items():
            most = min(_MOST, largest_buffer(device)) // dtype.itemsize
            for each in _split([chunk.size for chunk in chunks], most):
                self._arrange(device.buffer, dtype, chunks[each])

    def _arrange(
        self,
        allocate: Callable[[type[DType], int], Buffer[Any]],
        dtype: type[DType],
        chunks: Sequence[_Chunk],
    ) -> None:
        """Give chunks their places in a buffer of their own."""
        starts = [0, *itertools.accumulate(each.size for each in chunks)]
        buffer, number = allocate(dtype, starts[-1]), len(self.buffers)
        self.buffers.append(buffer)
        for chunk, start in zip(chunks, starts, strict=False):
            self._targets.append(_Target(buffer, start, chunk))
            for key, at in chunk.places.items():
                self._places[key] = Place(number, start + at)

    def place(self, group: TensorGroup, role: str) -> Place:
        """Return where a group's ``down`` (rank, columns) or ``up`` (rows, rank) lies."""
        return self._places[group.file, group.names[role]]

    @contextmanager
    def reading(self) -> Iterator[Callable[[], None]]:
        """Have threads read the files inside a context; give what uploads all that they read.

        That raises `ModelFormatError`.
        """

        def read(number: int) -> NDArray[Any]:
            buffer, _, chunk = self._targets[number]
            return chunk.read(buffer.dtype)

        def size(number: int) -> int:
            buffer, _, chunk = self._targets[number]
            itemsize: int = buffer.dtype.itemsize
            return chunk.size * itemsize

        with ReadAhead(range(len(self._targets)), read, size) as ahead:
            ahead.begin()

            def upload() -> None:
                for number, (buffer, first, _) in enumerate(self._targets):
                    buffer.write_slice(first, ahead.read(number))

            yield upload


def _chunks(groups: Iterable[TensorGroup], device: Device) -> dict[type[DType], list[_Chunk]]:
    """Return the matrices of groups as chunks of a type each, in the order of their files."""
    plain: dict[tuple[SafetensorsFile, str], set[str]] = {}
    made: dict[Key, _Chunk] = {}
    for group in groups:
        for role in ("down", "up"):
            name = group.names[role]
            entry = group.file.entry(name)
            is_plain = "mid" not in group and entry.scale is None and entry.axes is None
            if is_plain and entry.dtype in ("F16", "BF16", "F32"):
                plain.setdefault((group.file, entry.dtype), set()).add(name)
            else:
                made[group.file, name] = _made_chunk(group, role)
    found: dict[type[DType], list[_Chunk]] = {f16: [], f32: list(made.values())}
    for (file, stored), names in plain.items():
        dtype = f16 if stored == "F16" and device.has_f16 else f32
        found[dtype] += _spans(file, stored, names)
    return found


def _made_chunk(group: TensorGroup, role: str) -> _Chunk:
    """Return a matrix alone, where it is not as its file has it."""
    size = math.prod(group.shape_of(role))
    if "mid" in group:  # the down-projection is joined with the tensor between the two
        size = group.rank_of("up", 1) * (group.columns if role == "down" else group.rows)

    def make() -> NDArray[Any]:
        found: NDArray[Any]
        found = getattr(stored_factors(group), role) if "mid" in group else group.read_stored(role)
        return found

    return _Chunk(size + size % 2, {(group.file, group.names[role]): 0}, make)


def _spans(file: SafetensorsFile, stored: str, names: Iterable[str]) -> Iterator[_Chunk]:
    """Yield spans of a file: its tensors of a stored type, and what lies between them."""
    code = STORED[stored]
    start = end = 0
    places: dict[Key, int] = {}
    for entry, name in sorted(
        ((file.entry(name), name) for name in names), key=lambda each: each[0].offset
    ):
        is_near = entry.offset - end <= _GAP and (entry.offset - start) % code.itemsize == 0
        if places and not (is_near and entry.offset + entry.nbytes - start <= _CHUNK):
            yield _span(file, stored, start, end, places)
            places = {}
        start = start if places else entry.offset
        places[file, name] = (entry.offset - start) // code.itemsize
        end = entry.offset + entry.nbytes
    if places:
        yield _span(file, stored, start, end, places)


def _span(
    file: SafetensorsFile, stored: str, start: int, end: int, places: Mapping[Key, int]
) -> _Chunk:
    """Return the chunk of a file's bytes from ``start`` up to ``end``."""
    nbytes, code = end - start, STORED[stored]
    room = ceil_div(nbytes, 2 * code.itemsize) * 2

    def make() -> NDArray[Any]:
        values = np.empty(room, code)
        values[-1] = 0
        with file.reads() as read:
            read(TensorEntry("U8", (nbytes,), start, nbytes), values.view(np.uint8)[:nbytes])
        return decode(stored, values)

    return _Chunk(room, places, make)


def _split(sizes: Sequence[int], most: int) -> Iterator[slice]:
    """Yield runs whose sizes sum up to at most ``most``; a larger one is a run of its own."""
    first = total = 0
    for index, size in enumerate(sizes):
        if index > first and total + size > most:
            yield slice(first, index)
            first, total = index, 0
        total += size
    if sizes:
        yield slice(first, len(sizes))
