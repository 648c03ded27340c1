"""The matrices of low-rank adapters on the device: many of them side by side in one buffer.

An upload of each would take longer than all bytes together.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.kinds.low_rank import stored_factors
from diffusion.adapters.tensor_group import TensorGroup
from diffusion.checkpoints.safetensors import SafetensorsFile, TensorEntry
from diffusion.models.weights import largest_buffer
from gpucore import Buffer, Device, DType, f16, f32

__all__ = ["PackedFactors", "Place"]

_CHUNK: Final = 16 << 20
"""Bytes that are read and uploaded at once."""
_MOST: Final = 1 << 30
"""Bytes of a buffer."""


class Place(NamedTuple):
    """Where a matrix lies: the number of a buffer, and its first element there."""

    buffer: int
    first: int


class _Matrix(NamedTuple):
    """A matrix of ``size`` elements; its file has them as they are, or else ``make`` makes them."""

    file: SafetensorsFile
    entry: TensorEntry
    size: int
    dtype: type[DType]
    make: Callable[[], NDArray[Any]] | None

    @property
    def room(self) -> int:
        """Its elements, to whole words."""
        return self.size + self.size % 2


class PackedFactors:
    """The factors of groups of tensors, as `stored_factors` gives them, by the file's names.

    They are in f32, or in f16 where the file and the device have that type.
    Raises `ModelFormatError`.
    """

    def __init__(self, device: Device, groups: Iterable[TensorGroup]) -> None:
        self._device = device
        self._places: dict[tuple[SafetensorsFile, str], Place] = {}
        self.buffers: list[Buffer[Any]] = []
        found = {
            (group.file, group.names[role]): _matrix(group, role, device)
            for group in groups
            for role in ("down", "up")
        }
        order = {file: number for number, file in enumerate(dict.fromkeys(f for f, _ in found))}
        names = sorted(found, key=lambda key: (order[key[0]], found[key].entry.offset))
        for dtype in (f16, f32):
            chosen = [name for name in names if found[name].dtype is dtype]
            most = min(_MOST, largest_buffer(device)) // dtype.itemsize
            for each in _split([found[name].room for name in chosen], most):
                self._pack(chosen[each], found)

    def place(self, group: TensorGroup, role: str) -> Place:
        """Return where a group's ``down`` (rank, columns) or ``up`` (rows, rank) lies."""
        return self._places[group.file, group.names[role]]

    def _pack(
        self,
        names: Sequence[tuple[SafetensorsFile, str]],
        found: Mapping[tuple[SafetensorsFile, str], _Matrix],
    ) -> None:
        """Upload matrices of one type into a buffer of their own, in parts."""
        matrices = [found[name] for name in names]
        starts = [0, *itertools.accumulate(each.room for each in matrices)]
        dtype = matrices[0].dtype
        buffer: Buffer[Any] = self._device.buffer(dtype, starts[-1])
        number = len(self.buffers)
        self._places |= {name: Place(number, at) for name, at in zip(names, starts, strict=False)}
        self.buffers.append(buffer)
        chunks = list(_split([each.room for each in matrices], _CHUNK // dtype.itemsize))
        largest = max(starts[each.stop] - starts[each.start] for each in chunks)
        room = np.empty(largest, dtype.numpy)
        for each in chunks:
            first, end = starts[each.start], starts[each.stop]
            _read(matrices[each], room)
            buffer.write_slice(first, room[: end - first])


def _matrix(group: TensorGroup, role: str, device: Device) -> _Matrix:
    entry = group.file.entry(group.names[role])
    if "mid" in group:
        # The down-projection is joined with the tensor between the two.
        rank = group.rank_of("up", 1)
        size = rank * (group.columns if role == "down" else group.rows)
        return _Matrix(group.file, entry, size, f32, lambda: getattr(stored_factors(group), role))
    halves = entry.dtype == "F16" and device.has_f16
    is_plain = (halves or entry.dtype == "F32") and entry.scale is None and entry.axes is None
    make = None if is_plain else lambda: group.read_stored(role)
    return _Matrix(group.file, entry, math.prod(entry.shape), f16 if halves else f32, make)


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


def _read(matrices: Sequence[_Matrix], target: NDArray[Any]) -> None:
    """Put matrices one behind the other."""
    first = 0
    for file, members in itertools.groupby(matrices, lambda each: each.file):
        with file.reads() as read:
            for each in members:
                place = target[first : first + each.size]
                if each.make is None:
                    read(each.entry, place)
                else:
                    with np.errstate(over="ignore"):
                        np.copyto(place, each.make().reshape(-1), casting="same_kind")
                first += each.room
