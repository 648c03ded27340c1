"""A weight that stays quantised: its format, shape and bytes."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from gpucore import ArgumentError, ShapeError
from gpustd.quantization.blocks import dequantize
from gpustd.quantization.formats import BlockFormat, block_format

__all__ = ["QuantizedTensor"]


@dataclass(frozen=True, slots=True, eq=False)
class QuantizedTensor:
    """A tensor of ``shape`` whose row-major elements are stored in ``blocks`` of a format.

    ``blocks``: bytes, in one dimension. ``scale``: factors of the 8-bit floats; one number of shape
    (), or one for each row, of shape (shape[0],). Blocks may cross the ends of rows, see
    `has_whole_rows`. Raises `ArgumentError` or `ShapeError`.
    """

    format: str
    shape: tuple[int, ...]
    blocks: NDArray[np.uint8]
    scale: NDArray[np.float32] | None = None

    def __post_init__(self) -> None:
        """Refuse bytes or scales that do not belong to the shape."""
        layout = self.layout
        count = math.prod(self.shape)
        if count % layout.elements:
            raise ShapeError(
                f"{self.format}: a tensor must have a multiple of {layout.elements} elements, "
                f"got {list(self.shape)}"
            )
        if self.blocks.dtype != np.uint8 or self.blocks.shape != (layout.size_of(count),):
            raise ShapeError(
                f"{self.format}: blocks of {list(self.shape)} must be {layout.size_of(count)} "
                f"bytes (uint8), got {list(self.blocks.shape)} of {self.blocks.dtype}"
            )
        if self.scale is None:
            return
        if layout.elements > 1:
            raise ArgumentError(f"{self.format}: scale must be None, since each block has its own")
        if self.scale.dtype != np.float32 or self.scale.shape not in ((), self.shape[:1]):
            raise ShapeError(
                f"{self.format}: scale must be float32 of shape [] or {list(self.shape[:1])}, "
                f"got {list(self.scale.shape)} of {self.scale.dtype}"
            )

    @property
    def layout(self) -> BlockFormat:
        """The elements and bytes of a block."""
        return block_format(self.format)

    @property
    def nbytes(self) -> int:
        """The bytes of blocks and scales."""
        return self.blocks.nbytes + (0 if self.scale is None else self.scale.nbytes)

    @property
    def has_whole_rows(self) -> bool:
        """Tell whether each row along the last axis begins with a block of its own."""
        return bool(self.shape) and self.shape[-1] % self.layout.elements == 0

    def values(self) -> NDArray[np.float32]:
        """Return the weights that the blocks stand for."""
        values = dequantize(self.blocks, self.format).reshape(self.shape)
        if self.scale is None:
            return values
        columns = (1,) * (len(self.shape) - self.scale.ndim)
        return values * self.scale.reshape(*self.scale.shape, *columns)
