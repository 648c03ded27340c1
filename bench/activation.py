"""Activations: bytes only."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Device, DType, f16, f32
from gpustd import nn
from tests.gpustd.reference.activation import LARGE, SMALL

__all__ = ["ENTRIES"]


def entry(name: str, size: int, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return one activation of ``size`` elements."""

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(np.random.default_rng(0).standard_normal(size), dtype)
        return lambda: getattr(nn, name)(x)

    @functools.cache
    def operand() -> NDArray[Any]:
        return np.random.default_rng(0).standard_normal(size, np.float32)

    def in_numpy() -> object:
        x = operand()
        return x / (1 + np.exp(-x))

    return Entry(
        name=f"{name} {size // 2**20}Mi {dtype.name}",
        setup=setup,
        flops=0,
        bytes=2.0 * dtype.itemsize * size,
        numpy=in_numpy if cpu and name == "silu" else None,
        f16=dtype is f16,
        cpu=cpu,
    )


ENTRIES = [
    *(entry(name, size, f32, cpu=True) for size in SMALL for name in ("silu", "gelu")),
    *(entry(name, size, f16) for size in LARGE for name in ("silu", "gelu")),
    *(entry("gelu", size, f32) for size in LARGE),
]
