"""What the operations know of an image: its extents, its dtype, and how they are checked."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from operator import index
from typing import Any

from gpucore import ArgumentError, Buffer, DTypeError, LimitError, ShapeError, f32, u8
from gpustd.launch.checks import require_buffers

__all__ = [
    "MOST_TAPS",
    "Picture",
    "picture_of",
    "require_dtype",
    "require_same",
    "sides_of",
    "size_of",
]

MOST_TAPS = 2**20
"""Of a window along one axis: many times what images have, and little for the host."""

_MOST_CHANNELS = 4
_MOST_ELEMENTS = 2**32 - 2**12


@dataclass(frozen=True)
class Picture:
    """Extents of an image (H, W), (H, W, C) or (N, H, W, C); those it has not are 1."""

    images: int
    height: int
    width: int
    channels: int
    rank: int

    @property
    def row(self) -> int:
        """Elements of a row."""
        return self.width * self.channels

    @property
    def size(self) -> int:
        """Elements in all."""
        return self.images * self.height * self.row

    @property
    def pixels(self) -> int:
        """Pixels in all."""
        return self.images * self.height * self.width

    @property
    def shape(self) -> tuple[int, ...]:
        """As a buffer has it."""
        full = (self.images, self.height, self.width, self.channels)
        return {2: full[1:3], 3: full[1:], 4: full}[self.rank]

    def resized(self, height: int, width: int) -> Picture:
        """The same with other extents."""
        return Picture(self.images, height, width, self.channels, self.rank)


def picture_of(op: str, image: Buffer[Any]) -> Picture:
    """Extents of ``image``. Raises `ShapeError`, `DTypeError`, `LimitError` that name ``op``."""
    require_buffers(op, image)
    rank = len(image.shape)
    if not 2 <= rank <= 4:
        raise ShapeError(f"{op}: {image!r}: wants (H, W), (H, W, C) or (N, H, W, C)")
    full = (1,) * (rank < 4) + image.shape + (1,) * (rank == 2)
    images, height, width, channels = full
    if not 1 <= channels <= _MOST_CHANNELS:
        raise ShapeError(
            f"{op}: {image!r} has {channels} channels on its last axis: wants 1 to "
            f"{_MOST_CHANNELS}; a batch of grey images is (N, H, W, 1)"
        )
    require_dtype(op, image)
    if math.prod(image.shape) > _MOST_ELEMENTS:
        raise LimitError(f"{op}: {image!r} has more elements than a 32-bit index holds: split it")
    return Picture(images, height, width, channels, rank)


def sides_of(op: str, size: int | Sequence[int]) -> tuple[int, int]:
    """Rows and columns of a window: one number for both, or two. Raises `ArgumentError`."""
    try:
        rows, columns = map(index, size if isinstance(size, Sequence) else (size, size))
    except (TypeError, ValueError):
        rows = columns = 0
    if not 1 <= min(rows, columns) <= max(rows, columns) <= MOST_TAPS:
        raise ArgumentError(
            f"{op}: size {size!r}: wants numbers from 1 to {MOST_TAPS}: one, or (rows, columns)"
        )
    return rows, columns


def size_of(op: str, name: str, size: Sequence[int]) -> tuple[int, int]:
    """Height and width of a result, whole numbers from 0 on. Raises `ShapeError`."""
    try:
        height, width = map(index, size)
    except (TypeError, ValueError):
        height = width = -1
    if min(height, width) < 0:
        raise ShapeError(f"{op}: {name} {size!r}: wants (height, width), whole numbers >= 0")
    return height, width


def require_dtype(op: str, image: Buffer[Any]) -> None:
    """Raise `DTypeError` unless ``image`` is u8 or f32."""
    if image.dtype not in {u8, f32}:
        raise DTypeError(f"{op}: wants an image of u8 or f32, got {image!r}: convert it first")


def require_same(op: str, a: Buffer[Any], b: Buffer[Any]) -> None:
    """Raise `ShapeError` or `DTypeError` unless both have one shape and dtype."""
    if a.shape != b.shape:
        raise ShapeError(f"{op}: {a!r} and {b!r} differ in shape: crop, pad or resize one")
    if a.dtype is not b.dtype:
        raise DTypeError(f"{op}: {a!r} and {b!r} differ in dtype: convert one")
