"""Blocks of results of a Winograd convolution: transformed pixels, and results of their products.

Pixels and sums are transformed for some blocks at a time, so that they take little memory.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from gpucore import Buffer, T
from gpucore.integers import ceil_div
from gpustd.launch.elements import WORKGROUP, float_scalar, width_of
from gpustd.launch.grid import flat_grid
from gpustd.launch.template import Value, constants, kernel
from gpustd.matmul.epilogue import Epilogue
from gpustd.matmul.kernel_spec import epilogue_spec, fixed_spec, matmul_params
from gpustd.matmul.operation import Matmul

__all__ = ["PLANES", "WinogradBlocks"]

PLANES = {2: 16, 4: 36}
"""Products of a block of results, by the block's side."""
# Products that are not all zero for a block of an enlarged image: they come first.
_DOUBLED_PLANES = 9
# Transformed pixels and sums at a time. More would make decoding quicker by 2 to 4 %.
_MOST_BYTES = 2**27
# Parts are multiples of so many blocks, the rows of a tile.
_ROWS = 128


@dataclass(frozen=True)
class WinogradBlocks:
    """Results of a convolution in blocks of ``block`` x ``block``.

    Attributes:
        direct: the same convolution as one matrix product.
        block: side of a block, 2 or 4.
        doubles: the blocks are those of an image enlarged by two, of even size.
        across: blocks in a row of an image.
        down: rows of blocks of an image.
    """

    direct: Matmul
    block: int
    doubles: bool
    across: int
    down: int

    @classmethod
    def of(cls, direct: Matmul, block: int) -> WinogradBlocks:
        """Return the blocks of a convolution."""
        height, width = direct.sizes["view_height"], direct.sizes["view_width"]
        even = direct.window["scale"] == 2 and height % 2 == 0 == width % 2
        across, down = ceil_div(width, block), ceil_div(height, block)
        return cls(direct, block, even and block == 2, across, down)

    @property
    def planes(self) -> int:
        """Products of a block."""
        return _DOUBLED_PLANES if self.doubles else PLANES[self.block]

    def parts(self, itemsize: int) -> Iterator[tuple[int, int]]:
        """Yield the first block and the number of blocks of each part."""
        blocks = self.direct.images * self.across * self.down
        nbytes = self.planes * (sum(self.direct.channels) + self.direct.n) * itemsize
        most = max(_MOST_BYTES // nbytes // _ROWS, 1) * _ROWS
        count = ceil_div(blocks, ceil_div(blocks, most) * _ROWS) * _ROWS
        for first in range(0, blocks, count):
            yield first, min(count, blocks - first)

    def transform_pixels(
        self, x: Buffer[T], second: Buffer[T] | None, first: int, count: int
    ) -> Buffer[T]:
        """Return the transformed pixels of ``count`` blocks: (planes, blocks, C)."""
        channels, sizes = self.direct.channels, self.direct.sizes
        scalar = float_scalar(self.direct.op, x)
        # Words of four channels are slower by a twentieth in f16.
        width = math.gcd(2 if scalar == "f16" else 4, *channels)
        units = [c // width for c in channels]
        words = count * sum(units)
        params = {
            "count": words,
            "units": sum(units),
            "units1": units[0],
            "across": self.across,
            "down": self.down,
            **{name: sizes[name] for name in ("height", "width", "view_height", "view_width")},
            **{name: self.direct.window[name] for name in ("scale", "wrap_y", "wrap_x")},
        }
        spec: dict[str, Value] = {
            "scalar": scalar,
            "width": width,
            "two": second is not None,
            "sizes": constants(params),
            "block": self.block,
            "doubles": self.doubles,
        }
        v = x.device.buffer(x.dtype, (self.planes, count, sum(channels)))
        launch = kernel(x.device, "matmul/winograd/input.wgsl", **spec)
        buffers = [b for b in (x, second, v) if b is not None]
        launch(*buffers, {"first": first}, grid=flat_grid(words, WORKGROUP))
        return v

    def write_results(
        self, sums: Buffer[Any], first: int, epilogue: Epilogue, y: Buffer[Any]
    ) -> None:
        """Record the results of blocks from ``first`` on, with the epilogue.

        ``sums`` are the products of each plane, (planes, blocks, Cout).
        """
        direct = self.direct
        vector = direct.n % 4 == 0
        count = sums.shape[1] * sums.shape[2] // width_of(direct.n)
        spec: dict[str, Value] = {
            **fixed_spec(direct, float_scalar(direct.op, y), y, vector=vector),
            **epilogue_spec(direct, epilogue),
            "count": count,
            "across": self.across,
            "down": self.down,
            "block": self.block,
            "doubles": self.doubles,
            "two": False,
            "reduce": True,
            "sizes": constants(matmul_params(direct, epilogue, 4 if vector else 1)),
        }
        launch = kernel(y.device, "matmul/winograd/output.wgsl", **spec)
        launch(sums, *epilogue.buffers, y, {"first": first}, grid=flat_grid(count, WORKGROUP))
