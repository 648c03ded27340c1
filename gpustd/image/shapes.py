"""The extents of an image, and the checks of shapes, dtypes and sizes that operations share."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from operator import index
from typing import Any

from gpucore import ArgumentError, Buffer, DTypeError, LimitError, ShapeError, f32, u8
from gpustd.launch.checks import require_buffers

__all__ = [
    "MAX_TAPS",
    "ImageShape",
    "image_shape",
    "require_dtype",
    "require_same",
    "result_size",
    "window_sides",
]

MAX_TAPS = 2**20
"""Taps of a window along one axis: many times the extents of images, and little for the host."""

_MAX_CHANNELS = 4
_MAX_ELEMENTS = 2**32 - 2**12


@dataclass(frozen=True)
class ImageShape:
    """The extents of an image (H, W), (H, W, C) or (N, H, W, C); an axis that is missing counts 1.

    ``ndim`` is the number of axes of its buffer.
    """

    images: int
    height: int
    width: int
    channels: int
    ndim: int

    @property
    def row(self) -> int:
        """Number of elements in a row."""
        return self.width * self.channels

    @property
    def size(self) -> int:
        """Number of elements in all images."""
        return self.images * self.height * self.row

    @property
    def pixels(self) -> int:
        """Number of pixels in all images."""
        return self.images * self.height * self.width

    @property
    def buffer_shape(self) -> tuple[int, ...]:
        """Shape of the image's buffer."""
        full = (self.images, self.height, self.width, self.channels)
        return {2: full[1:3], 3: full[1:], 4: full}[self.ndim]

    def with_size(self, height: int, width: int) -> ImageShape:
        """Return the extents of the same images with another height and width."""
        return replace(self, height=height, width=width)


def image_shape(op: str, image: Buffer[Any]) -> ImageShape:
    """Return the extents of ``image``.

    Raises `ShapeError`, `DTypeError` or `LimitError`, which name ``op``.
    """
    require_buffers(op, image)
    ndim = len(image.shape)
    if not 2 <= ndim <= 4:
        raise ShapeError(f"{op}: an image must be (H, W), (H, W, C) or (N, H, W, C), got {image!r}")
    full = (1,) * (ndim < 4) + image.shape + (1,) * (ndim == 2)
    images, height, width, channels = full
    if not 1 <= channels <= _MAX_CHANNELS:
        raise ShapeError(
            f"{op}: the last axis must hold 1 to {_MAX_CHANNELS} channels, got {channels} in "
            f"{image!r}; a batch of grey images is (N, H, W, 1)"
        )
    require_dtype(op, image)
    if math.prod(image.shape) > _MAX_ELEMENTS:
        raise LimitError(
            f"{op}: an image must have at most {_MAX_ELEMENTS} elements, for 32-bit indices, got "
            f"{image!r}; split it"
        )
    return ImageShape(images, height, width, channels, ndim)


def window_sides(op: str, size: int | Sequence[int]) -> tuple[int, int]:
    """Return rows and columns of a window from one number or two. Raises `ArgumentError`."""
    try:
        rows, columns = map(index, size if isinstance(size, Sequence) else (size, size))
    except (TypeError, ValueError):
        rows = columns = 0
    if not 1 <= min(rows, columns) <= max(rows, columns) <= MAX_TAPS:
        raise ArgumentError(
            f"{op}: size must be one number or (rows, columns), each from 1 to {MAX_TAPS}, "
            f"got {size!r}"
        )
    return rows, columns


def result_size(op: str, name: str, size: Sequence[int]) -> tuple[int, int]:
    """Return height and width of a result, whole numbers from 0 on. Raises `ShapeError`."""
    try:
        height, width = map(index, size)
    except (TypeError, ValueError):
        height = width = -1
    if min(height, width) < 0:
        raise ShapeError(f"{op}: {name} must be (height, width), whole numbers >= 0, got {size!r}")
    return height, width


def require_dtype(op: str, image: Buffer[Any]) -> None:
    """Raise `DTypeError` unless ``image`` is u8 or f32."""
    if image.dtype not in {u8, f32}:
        raise DTypeError(f"{op}: an image must be u8 or f32, got {image!r}; cast it first")


def require_same(op: str, a: Buffer[Any], b: Buffer[Any]) -> None:
    """Raise `ShapeError` or `DTypeError` unless both buffers have one shape and dtype."""
    if a.shape != b.shape:
        raise ShapeError(
            f"{op}: both images must have one shape, got {a!r} and {b!r}; crop, pad or resize one"
        )
    if a.dtype is not b.dtype:
        raise DTypeError(
            f"{op}: both images must have one dtype, got {a!r} and {b!r}; cast one of them"
        )
