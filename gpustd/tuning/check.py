"""Random operands of a product that is tuned, and the check of what a tile makes of them."""

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
from gpustd.matmul.product import Product
from gpustd.matmul.tiles import Tile
from gpustd.tuning.lookup import SeenProduct

__all__ = ["TrialOperands"]

# The naive variant checks the first rows only of a product that would take it long: the tiles must
# then agree on the rest, bit for bit.
_MOST_CHECKED_FLOPS = 2**36
_BLOCK = 2**20 - 3
# Bytes of weights that runs of calls take in turn, and how many copies: in a network they come from
# memory, since the others' have filled the cache meanwhile.
_TURN_BYTES = 3 << 25
_MOST_COPIES = 400
# Fields of a convolution's sizes that are extents of its image (conv/pixels, nn/voxels).
_EXTENTS = ("height", "width", "size_z", "size_y", "size_x")
_DTYPES: dict[str, type[DType]] = {"f16": f16, "f32": f32}


class TrialOperands:
    """Operands uniform in [-1, 1], weights over the square root of K; with a bias, nothing else.

    As in networks, calls find their weights in memory and the rest in the cache, and wide products
    and batches of plain ones (Winograd's) have no bias.
    """

    def __init__(self, device: Device, seen: SeenProduct) -> None:
        self.device, self.seen = device, seen
        self.dtype = _DTYPES[seen.scalar]
        product, random = seen.product, np.random.default_rng(0)
        taps = product.window.get("kernel_height", 1) * product.window.get("kernel_width", 1)
        self.k = taps * sum(product.channels)
        self.columns = product.n * (2 if product.activation == "geglu" else 1)
        block = random.uniform(-1, 1, _BLOCK).astype(np.float32)

        def drawn(size: int, scale: float, dtype: type[DType]) -> Buffer[Any]:
            numbers = (block * np.float32(scale)).astype(dtype.numpy)
            return device.buffer_from_array(np.resize(numbers, size), dtype)

        extents = [n for name, n in product.sizes.items() if name in _EXTENTS]
        pixels = product.images * math.prod(extents) if product.window else product.m
        batch = product.batch or 1
        self._sources = [drawn(batch * pixels * c, 1.0, self.dtype) for c in product.channels]
        self._ws = [drawn(batch * self.k * self.columns, 1 / math.sqrt(self.k), self.dtype)]
        bare = product.wide or (product.batch is not None and not product.window)
        self._bias = None if bare else drawn(self.columns, 1.0, f32)
        self._out = f32 if product.wide else self.dtype
        self._y: Buffer[Any] = device.buffer(self._out, batch * product.m * product.n)

    def captured(self, tile: Tile, calls: int) -> Graph:
        """A run of calls with a tile; its kernels begin to compile."""
        self._copy_weights(calls)
        with self.device.capture() as graph:
            for call in range(calls):
                w = self._ws[call % len(self._ws)]
                self._launch(self.seen.variant, tile, self.seen.product, w, self._y)
        return graph

    def _copy_weights(self, calls: int) -> None:
        """As many copies as so many calls take in turn; as many as there is room for."""
        first = self._ws[0]
        most = min(calls, _MOST_COPIES, ceil_div(_TURN_BYTES, first.nbytes))
        with suppress(OutOfMemoryError):
            while len(self._ws) < most:
                copy = self.device.buffer(first.dtype, first.shape)
                copy.copy_from(first)
                self._ws.append(copy)

    def result(self, graph: Graph) -> NDArray[Any]:
        """What a captured run leaves where all was NaN."""
        self._y.write(np.full(self._y.shape, np.nan, self._y.dtype.numpy))
        graph.replay()
        return self._y.read()

    def truth(self) -> NDArray[Any]:
        """The naive variant's result, or the first rows of it; of a large batch, of its first."""
        checked = self._checked()
        y: Buffer[Any] = self.device.buffer(self._out, (checked.batch or 1) * checked.m * checked.n)
        self._launch("naive", None, checked, self._ws[0], y)
        return y.read()

    def _checked(self) -> Product:
        """The product, or as much of it as the naive variant makes soon."""
        product, row = self.seen.product, 2 * self.k * self.columns
        if product.batch is not None and product.batch * product.m * row <= _MOST_CHECKED_FLOPS:
            return product
        rows = max(1, min(product.m, _MOST_CHECKED_FLOPS // row))
        return replace(product, m=rows, sizes={**product.sizes, "m": rows}, batch=None)

    def agrees(self, result: NDArray[Any], truth: NDArray[Any]) -> bool:
        """Tell whether a result is that of the same sums, whatever their order.

        Both sides may be off by the bound of the tests' reference. In that, ``spread`` sums K
        values |x w| of mean 1/4, over the square root of K; twice their mean is allowed for.
        """
        eps = float(np.finfo(np.float32).eps)
        stored = 2.0**-10 if self._out is f16 else eps
        spread = math.sqrt(self.k) / 2 + 1
        if self.seen.product.activation == "geglu":
            spread *= spread
        ours, theirs = (x.astype(np.float32) for x in (self._first(result, truth.size), truth))
        sums = 4 * eps * math.sqrt(self.k) * (spread + 1)
        size = np.abs(theirs)
        bound = sums + 16 * eps * (1 + size) + stored * (size + 1e-3)
        with np.errstate(invalid="ignore"):
            return bool(np.all(np.abs(ours - theirs) <= 2 * bound))

    def _first(self, result: NDArray[Any], count: int) -> NDArray[Any]:
        """As much as was checked: the first of a batch that enlarges an image has rows apart."""
        product, width = self.seen.product, self.seen.product.sizes.get("out_width")
        if result.size == count or product.batch is None or width is None:
            return result[:count]
        m = np.arange(count // product.n)
        rows = 2 * (m // width * 2 * width + m % width)
        return np.asarray(result.reshape(-1, product.n)[rows].ravel())

    def _launch(
        self, variant: str, tile: Tile | None, product: Product, w: Buffer[Any], y: Buffer[Any]
    ) -> None:
        x, *second = self._sources
        with force_variant("product", variant, tile):
            product.launch(x, second[0] if second else None, w, self._bias, None, None, y)
