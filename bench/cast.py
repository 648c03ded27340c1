"""Casts: bytes only."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Device, DType, f16, f32
from gpustd import cast

__all__ = ["ENTRIES"]


def entry(millions: int, source: type[DType], target: type[DType], *, cpu: bool = False) -> Entry:
    """``millions`` times 2^20 elements."""
    size = millions * 2**20

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(np.random.default_rng(0).standard_normal(size), source)
        return lambda: cast(x, target)

    @functools.cache
    def operand() -> NDArray[Any]:
        return np.random.default_rng(0).standard_normal(size).astype(source.numpy)

    def in_numpy() -> object:
        return operand().astype(target.numpy)

    return Entry(
        name=f"cast {millions}Mi {source.name} to {target.name}",
        setup=setup,
        flops=0,
        bytes=float((source.itemsize + target.itemsize) * size),
        numpy=in_numpy if cpu else None,
        cpu=cpu,
    )


ENTRIES = [
    entry(1, f32, f16, cpu=True),
    entry(1, f16, f32, cpu=True),
    entry(64, f32, f16),
    entry(64, f16, f32),
]
