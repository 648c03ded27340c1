"""Random operands of a matrix product that is tuned, and the check of each tile's result."""

from __future__ import annotations

import math
from contextlib import suppress
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device, DType, Graph, OutOfMemoryError, f16, f32
from gpucore.integers import ceil_div
from gpustd.launch.variants import force_variant
from gpustd.matmul.epilogue import Epilogue
from gpustd.matmul.launching import launch_matmul
from gpustd.matmul.operation import Matmul
from gpustd.matmul.tiles import Tile
from gpustd.matmul.tuned_tiles import SeenMatmul

__all__ = ["TrialOperands"]

# Of a product that would take longer, the naive variant checks only the first rows. The tiles must
# then agree on the rest, bit for bit.
_MOST_CHECKED_FLOPS = 2**36
_RANDOM_NUMBERS = 2**20 - 3
# Calls take copies of the weights in turn, up to so many bytes and copies. In a network weights
# come from memory, since other layers have filled the cache meanwhile.
_COPIED_BYTES = 3 << 25
_MOST_COPIES = 400
# Fields of a convolution's sizes that are extents of its image (conv/pixels, nn/voxels).
_EXTENTS = ("height", "width", "size_z", "size_y", "size_x")
_DTYPES: dict[str, type[DType]] = {"f16": f16, "f32": f32}


class TrialOperands:
    """Operands uniform in [-1, 1], and weights in that range divided by the square root of K.

    A call finds its weights in memory and its other operands in the cache, as in a network. It has
    a bias, but wide products and batches of plain ones (Winograd's) have none.
    """

    def __init__(self, device: Device, seen: SeenMatmul) -> None:
        self.device, self.seen = device, seen
        self.dtype = _DTYPES[seen.scalar]
        matmul = seen.matmul
        block = np.random.default_rng(0).uniform(-1, 1, _RANDOM_NUMBERS).astype(np.float32)

        def random_buffer(size: int, scale: float, dtype: type[DType]) -> Buffer[Any]:
            numbers = (block * np.float32(scale)).astype(dtype.numpy)
            return device.buffer_from_array(np.resize(numbers, size), dtype)

        extents = [n for name, n in matmul.sizes.items() if name in _EXTENTS]
        pixels = matmul.images * math.prod(extents) if matmul.window else matmul.m
        batch, k, columns = matmul.batch or 1, matmul.k, matmul.columns
        self._sources = [random_buffer(batch * pixels * c, 1, self.dtype) for c in matmul.channels]
        self._weights = [random_buffer(batch * k * columns, 1 / math.sqrt(k), self.dtype)]
        has_bias = not matmul.wide and (matmul.batch is None or bool(matmul.window))
        self._bias = random_buffer(columns, 1, f32) if has_bias else None
        self._out = f32 if matmul.wide else self.dtype
        self._y: Buffer[Any] = device.buffer(self._out, batch * matmul.m * matmul.n)

    def captured_calls(self, tile: Tile, calls: int) -> Graph:
        """Return a captured run of calls with a tile. Its kernels begin to compile."""
        self._copy_weights(calls)
        with self.device.capture() as graph:
            for call in range(calls):
                w = self._weights[call % len(self._weights)]
                self._launch(self.seen.variant, tile, self.seen.matmul, w, self._y)
        return graph

    def _copy_weights(self, calls: int) -> None:
        """Make the copies that so many calls take in turn, as far as there is memory."""
        first = self._weights[0]
        most = min(calls, _MOST_COPIES, ceil_div(_COPIED_BYTES, first.nbytes))
        with suppress(OutOfMemoryError):
            while len(self._weights) < most:
                copy = self.device.buffer(first.dtype, first.shape)
                copy.copy_from(first)
                self._weights.append(copy)

    def result(self, graph: Graph) -> NDArray[Any]:
        """Return the result of a captured run, in memory that was NaN before."""
        self._y.write(np.full(self._y.shape, np.nan, self._y.dtype.numpy))
        graph.replay()
        return self._y.read()

    def expected_result(self) -> NDArray[Any]:
        """Return the naive variant's result, or its first rows; of a large batch, of its first."""
        checked = self._checked_matmul()
        y: Buffer[Any] = self.device.buffer(self._out, (checked.batch or 1) * checked.m * checked.n)
        self._launch("naive", None, checked, self._weights[0], y)
        return y.read()

    def _checked_matmul(self) -> Matmul:
        """Return the product, or as many rows of it as the naive variant makes soon."""
        matmul, row_flops = self.seen.matmul, 2 * self.seen.matmul.k * self.seen.matmul.columns
        if matmul.batch is not None and matmul.batch * matmul.m * row_flops <= _MOST_CHECKED_FLOPS:
            return matmul
        rows = max(1, min(matmul.m, _MOST_CHECKED_FLOPS // row_flops))
        return replace(matmul, m=rows, sizes={**matmul.sizes, "m": rows}, batch=None)

    def agrees(self, result: NDArray[Any], expected: NDArray[Any]) -> bool:
        """Tell whether a result is that of the same sums, in any order.

        Both sides may be off by the bound of the tests' reference. In that, ``spread`` sums K
        values |x w| of mean 1/4, over the square root of K; twice their mean is allowed for.
        """
        eps = float(np.finfo(np.float32).eps)
        stored = 2.0**-10 if self._out is f16 else eps
        spread = math.sqrt(self.seen.matmul.k) / 2 + 1
        if self.seen.matmul.activation == "geglu":
            spread *= spread
        checked = self._checked_part(result, expected.size).astype(np.float32)
        expected = expected.astype(np.float32)
        sums = 4 * eps * math.sqrt(self.seen.matmul.k) * (spread + 1)
        size = np.abs(expected)
        bound = sums + 16 * eps * (1 + size) + stored * (size + 1e-3)
        with np.errstate(invalid="ignore"):
            return bool(np.all(np.abs(checked - expected) <= 2 * bound))

    def _checked_part(self, result: NDArray[Any], count: int) -> NDArray[Any]:
        """Return the elements that were checked.

        The first of a batch that enlarges an image makes every second pixel of every second row.
        """
        matmul, width = self.seen.matmul, self.seen.matmul.sizes.get("out_width")
        if result.size == count or matmul.batch is None or width is None:
            return result[:count]
        m = np.arange(count // matmul.n)
        rows = 2 * (m // width * 2 * width + m % width)
        return np.asarray(result.reshape(-1, matmul.n)[rows].ravel())

    def _launch(
        self, variant: str, tile: Tile | None, matmul: Matmul, w: Buffer[Any], y: Buffer[Any]
    ) -> None:
        x, *others = self._sources
        second, epilogue = others[0] if others else None, Epilogue(self._bias)
        with force_variant("matmul", variant, tile):
            launch_matmul(matmul, x, w, y, second=second, epilogue=epilogue)
