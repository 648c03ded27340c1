"""Random operands of a product that is tuned, and the check of what a tile makes of them."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from gpucore import Buffer, Device, DType, Graph, f16, f32
from gpustd.cast import cast
from gpustd.layer_norm import layer_norm
from gpustd.rungs import forced_rung
from gpustd.tiles import Tile
from gpustd.tuning import SeenProduct

__all__ = ["TrialOperands"]

# The naive rung checks the first rows only of a product that would take it long.
_MOST_CHECKED_FLOPS = 2**36
_BLOCK = 2**20 - 3
# Fields of a convolution's sizes that are extents of its image (conv/pixels, nn/voxels).
_EXTENTS = ("height", "width", "size_z", "size_y", "size_x")
_DTYPES: dict[str, type[DType]] = {"f16": f16, "f32": f32}


class TrialOperands:
    """Operands uniform in [-1, 1], weights over the square root of K; with a bias, nothing else.

    Where rows are normalised, with the sums of the weights too.
    """

    def __init__(self, device: Device, seen: SeenProduct) -> None:
        self.device, self.seen = device, seen
        self.dtype = _DTYPES[seen.scalar]
        product, random = seen.product, np.random.default_rng(0)
        taps = product.window.get("kernel_height", 1) * product.window.get("kernel_width", 1)
        self.k = taps * sum(product.channels)
        self.columns = product.n * (2 if product.activation == "geglu" else 1)
        block = random.uniform(-1, 1, _BLOCK).astype(np.float32)

        def numbers(size: int, scale: float, dtype: type[DType]) -> NDArray[Any]:
            return np.resize((block * np.float32(scale)).astype(dtype.numpy), size)

        def drawn(size: int, scale: float, dtype: type[DType]) -> Buffer[Any]:
            return device.buffer_from_array(numbers(size, scale, dtype), dtype)

        extents = [n for name, n in product.sizes.items() if name in _EXTENTS]
        pixels = product.images * math.prod(extents) if product.window else product.m
        batch = product.batch
        self._sources = [drawn(batch * pixels * c, 1.0, self.dtype) for c in product.channels]
        weights = numbers(batch * self.k * self.columns, 1 / math.sqrt(self.k), self.dtype)
        self._w: Buffer[Any] = device.buffer_from_array(weights, self.dtype)
        self._sums = None
        if product.eps is not None:
            by_column = weights.reshape(self.k, self.columns).sum(axis=0, dtype=np.float32)
            self._sums = device.buffer_from_array(by_column, f32)
        self._bias = drawn(self.columns, 1.0, f32)
        self._y: Buffer[Any] = device.buffer(self.dtype, batch * product.m * product.n)

    def captured(self, tile: Tile, calls: int) -> Graph:
        """A run of calls with a tile; its kernels begin to compile."""
        with self.device.capture() as graph:
            for _ in range(calls):
                self._launch(tile)
        return graph

    def result(self, graph: Graph) -> NDArray[Any]:
        """What a captured run leaves where all was NaN."""
        self._y.write(np.full(self._y.shape, np.nan, self._y.dtype.numpy))
        graph.replay()
        return self._y.read()

    def truth(self) -> NDArray[Any]:
        """The result by the naive rung, or the first rows of it; of a batch, the first product.

        Where rows are normalised, by a layer norm before it, all in f32.
        """
        product, sources, w = self.seen.product, self._sources, self._w
        if product.eps is not None:
            sources, w = [self._normalised(product.eps)], cast(w, f32)
        rows = max(1, min(product.m, _MOST_CHECKED_FLOPS // (2 * self.k * self.columns)))
        first = replace(product, m=rows, sizes={**product.sizes, "m": rows}, eps=None, batch=1)
        y: Buffer[Any] = self.device.buffer(w.dtype, rows * product.n)
        x, *second = sources
        with forced_rung("product", "naive"):
            first.launch(x, second[0] if second else None, w, self._bias, None, None, y)
        return y.read()

    def agrees(self, result: NDArray[Any], truth: NDArray[Any]) -> bool:
        """Tell whether a result is that of the same sums, whatever their order.

        Both sides may be off by the bound in gpustd/reference/gemm.py. In that, ``spread`` sums K
        values |x w| of mean 1/4, over the square root of K; twice their mean is allowed for.
        Normalising makes them 1.7 times as large.
        """
        eps = float(np.finfo(np.float32).eps)
        stored = 2.0**-10 if self.dtype is f16 else eps
        spread = math.sqrt(self.k) / (2 if self.seen.product.eps is None else 1) + 1
        if self.seen.product.activation == "geglu":
            spread *= spread
        ours, theirs = (x.astype(np.float32) for x in (result[: truth.size], truth))
        sums = 4 * eps * math.sqrt(self.k) * (spread + 1)
        size = np.abs(theirs)
        bound = sums + 16 * eps * (1 + size) + stored * (size + 1e-3)
        with np.errstate(invalid="ignore"):
            return bool(np.all(np.abs(ours - theirs) <= 2 * bound))

    def _normalised(self, eps: float) -> Buffer[f32]:
        one, nothing = (self.device.buffer_from_array(np.full(self.k, v), f32) for v in (1, 0))
        rows = cast(self._sources[0], f32).view((-1, self.k))
        return layer_norm(rows, one, nothing, eps=eps)

    def _launch(self, tile: Tile) -> None:
        x, *second = self._sources
        x2 = second[0] if second else None
        product, y = self.seen.product, self._y
        with forced_rung("product", self.seen.rung, tile):
            product.launch(x, x2, self._w, self._bias, None, None, y, self._sums)
