"""Arithmetic element by element: bytes only."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Device, DType, f16, f32
from gpustd import add, guidance, linear_combination

__all__ = ["ENTRIES"]


def combination(terms: int, millions: int, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Linear combination of ``terms`` arrays of ``millions`` times 2^20 elements."""
    size = millions * 2**20

    @functools.cache
    def arrays() -> list[NDArray[np.float32]]:
        rng = np.random.default_rng(0)
        return [rng.standard_normal(size, np.float32) for _ in range(terms)]

    def setup(device: Device) -> Callable[[], object]:
        weighed = [(0.5 + i, device.buffer_from_array(a, dtype)) for i, a in enumerate(arrays())]
        return lambda: linear_combination(weighed)

    def peer() -> object:
        return sum(np.float32(0.5 + i) * a for i, a in enumerate(arrays()))

    return Entry(
        name=f"linear_combination of {terms}, {millions}Mi {dtype.name}",
        setup=setup,
        flops=0,
        bytes=float((terms + 1) * dtype.itemsize * size),
        peer=peer if cpu else None,
        f16=dtype is f16,
        cpu=cpu,
    )


def sum_of_two(millions: int, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """``add``."""
    size = millions * 2**20

    def setup(device: Device) -> Callable[[], object]:
        rng = np.random.default_rng(0)
        x, y = (device.buffer_from_array(rng.standard_normal(size), dtype) for _ in range(2))
        return lambda: add(x, y)

    return Entry(
        name=f"add {millions}Mi {dtype.name}",
        setup=setup,
        flops=0,
        bytes=3.0 * dtype.itemsize * size,
        f16=dtype is f16,
        cpu=cpu,
    )


def guided(shape: tuple[int, ...], dtype: type[DType], *, cpu: bool = False) -> Entry:
    """``guidance`` of a batch of latents."""
    size = int(np.prod(shape))

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(np.random.default_rng(0).standard_normal(shape), dtype)
        return lambda: guidance(x, 7.5)

    return Entry(
        name=f"guidance {'x'.join(map(str, shape))} {dtype.name}",
        setup=setup,
        flops=0,
        bytes=1.5 * dtype.itemsize * size,
        f16=dtype is f16,
        cpu=cpu,
    )


ENTRIES = [
    sum_of_two(1, f32, cpu=True),
    combination(4, 1, f32, cpu=True),
    guided((2, 64, 64, 4), f32, cpu=True),
    sum_of_two(64, f16),
    combination(4, 16, f16),
    combination(4, 16, f32),
]
