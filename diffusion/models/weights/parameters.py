"""`Weight`, `Parameter`, `Table`: a network's numbers, on the device or parked on the host."""

from __future__ import annotations

import sys
from typing import Any, Final, Literal

from numpy.typing import NDArray

from diffusion.models.weights.uploading import upload
from gpucore import Buffer, Device, DType, f32
from gpucore.memory.host import HostArray
from gpustd import cast, transpose
from gpustd.quantization import QuantizedTensor

__all__ = [
    "LEAST_PARKED",
    "FileArray",
    "Layout",
    "Parameter",
    "Table",
    "Weight",
    "WeightGroup",
    "largest_buffer",
]

Layout = Literal["plain", "vector", "linear", "conv"]
FileArray = NDArray[Any] | QuantizedTensor
"""What a file holds: numbers, or blocks."""

LEAST_PARKED: Final = 64 << 10
"""Bytes of a weight, below which it stays on the device: copies of few bytes are slow."""

_BUFFER_LIMITS: Final = ("max_buffer_size", "max_storage_buffer_binding_size")
_AXES: dict[Layout, tuple[int, ...]] = {"linear": (1, 0), "conv": (2, 3, 1, 0)}


class Weight:
    """Numbers of a network: a buffer on the device, or memory of the host that it copies from."""

    def __init__(self, buffer: Buffer[Any] | None = None) -> None:
        self._buffer = buffer
        self._parked: HostArray | None = None

    @property
    def buffer(self) -> Buffer[Any]:
        """The weight on the device; one that is parked is copied there for whoever asks.

        Raises `RuntimeError` before `load`.
        """
        if self._buffer is not None:
            return self._buffer
        if self._parked is None:
            raise RuntimeError(f"{self!r} is used before it is loaded")
        return self._parked.upload()

    def replace(self, buffer: Buffer[Any]) -> None:
        """Take another buffer of the same layout on the device; park it where this was parked."""
        parks = self.is_parked
        self._buffer, self._parked = buffer, None
        if parks:
            self.park()

    @property
    def is_filled(self) -> bool:
        """Tell whether it has numbers of its own."""
        return self._buffer is not None or self.is_parked

    @property
    def is_parked(self) -> bool:
        """Tell whether it lies in memory of the host."""
        return self._parked is not None

    @property
    def host_bytes(self) -> int:
        """The bytes that it takes in memory of the host."""
        return 0 if self._parked is None else self._parked.nbytes

    def park(self) -> None:
        """Move it to memory of the host, if it is on the device and worth a copy at each call."""
        if self._buffer is not None and self._buffer.nbytes >= LEAST_PARKED:
            self._parked = HostArray(self._buffer.device, self._buffer)
            self._buffer = None

    def release(self) -> None:
        """Give the memory back, once another buffer holds the weight."""
        self._buffer = self._parked = None

    @property
    def on_device(self) -> list[Buffer[Any]]:
        """The memory that it takes on the device all the time."""
        return [] if self._buffer is None else [self._buffer]


class WeightGroup:
    """Weights that a module made of those of others."""

    @property
    def weights(self) -> list[Weight]:
        """The weights, which take memory of their own."""
        raise NotImplementedError


class Parameter(Weight):
    """A weight: its shape in the file, and its buffer once loaded.

    ``layout`` is its order on the device: ``plain`` as in the file; ``vector`` in f32 (biases and
    norms); ``linear`` (out, in) as (in, out); ``conv`` (out, in, kh, kw) as (kh, kw, in, out).
    """

    def __init__(self, shape: tuple[int, ...], layout: Layout = "plain") -> None:
        super().__init__()
        self.shape = shape
        self.layout: Layout = layout

    def __repr__(self) -> str:
        return f"a parameter of shape {self.shape}"

    @property
    def laid_out(self) -> tuple[int, ...]:
        """The shape on the device."""
        axes = _AXES.get(self.layout)
        return self.shape if axes is None else tuple(self.shape[axis] for axis in axes)

    def fill(self, array: FileArray, device: Device, dtype: type[DType]) -> None:
        """Upload ``array`` (of the file's shape) and lay it out on the device.

        One that is quantised is expanded.
        """
        array = array.values() if isinstance(array, QuantizedTensor) else array
        dtype = f32 if self.layout == "vector" else dtype
        self._lay_out(upload(device, array, dtype))

    def reserve(self, device: Device, dtype: type[DType], blocks: str | None = None) -> None:
        """Take the memory that `fill` takes, on a device that computes nothing.

        ``blocks``: the format of a quantised weight.
        """
        dtype = f32 if self.layout == "vector" else dtype
        self._lay_out(device.buffer(dtype, self.shape), moves=False)

    def fill_from(self, weight: Buffer[f32], dtype: type[DType]) -> None:
        """Round a weight of the file's shape that lies on the device, and lay it out."""
        self._lay_out(cast(weight, f32 if self.layout == "vector" else dtype))

    def _lay_out(self, buffer: Buffer[Any], *, moves: bool = True) -> None:
        """Take a buffer of the file's shape; ``moves``: its numbers, else only memory for them.

        Planning loads a model many times, and records no launch for it.
        """
        axes = _AXES.get(self.layout)
        self._parked = None
        if axes is None:
            self._buffer = buffer
        elif moves:
            self._buffer = transpose(buffer, axes)
        else:
            self._buffer = buffer.device.buffer(buffer.dtype, self.laid_out)


class Table(Parameter):
    """A weight (rows, channels) whose rows are looked up: in parts where one buffer is too small.

    The token embedding of SD 1.x takes 152 MB in f32, and Mesa's software renderer binds 134 MB.
    """

    def __init__(self, rows: int, channels: int) -> None:
        super().__init__((rows, channels))
        self._parts: list[Weight] = []

    @property
    def parts(self) -> list[Buffer[Any]]:
        """The rows on the device, one part after another."""
        return [part.buffer for part in self._parts]

    def fill(self, array: FileArray, device: Device, dtype: type[DType]) -> None:
        array = array.values() if isinstance(array, QuantizedTensor) else array
        pieces = [array[rows] for rows in self._rows_of_parts(len(array), device, dtype)]
        self._parts = [Weight(upload(device, each, dtype)) for each in pieces]

    def reserve(self, device: Device, dtype: type[DType], blocks: str | None = None) -> None:
        spans = self._rows_of_parts(self.shape[0], device, dtype)
        shapes = [(rows.stop - rows.start, self.shape[1]) for rows in spans]
        self._parts = [Weight(device.buffer(dtype, shape)) for shape in shapes]

    def _rows_of_parts(self, count: int, device: Device, dtype: type[DType]) -> list[slice]:
        """Return which of ``count`` rows each part has, as many as one buffer takes."""
        channels = self.shape[1]
        rows = max(1, largest_buffer(device) // max(1, channels * dtype.itemsize))
        return [slice(first, min(first + rows, count)) for first in range(0, count, rows)]

    @property
    def is_filled(self) -> bool:
        return bool(self._parts)

    @property
    def is_parked(self) -> bool:
        return any(part.is_parked for part in self._parts)

    @property
    def host_bytes(self) -> int:
        return sum(part.host_bytes for part in self._parts)

    def park(self) -> None:
        for part in self._parts:
            part.park()

    def release(self) -> None:
        self._parts = []

    @property
    def on_device(self) -> list[Buffer[Any]]:
        return [buffer for part in self._parts for buffer in part.on_device]


def largest_buffer(device: Device) -> int:
    """Return the bytes of the largest buffer that a kernel can read on a device."""
    return min(device.limits.get(name, sys.maxsize) for name in _BUFFER_LIMITS)
