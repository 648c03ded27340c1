"""Benchmark of count_nonfinite, which finds overflow: bytes only."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Device, DType, f16, f32, u32
from gpustd import count_nonfinite
from tests.gpustd.reference.finite import LARGE, SMALL

__all__ = ["ENTRIES"]


def entry(name: str, shape: tuple[int, ...], dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return a count over finite numbers, the usual case."""

    @functools.cache
    def operand() -> NDArray[Any]:
        return np.random.default_rng(0).standard_normal(shape, np.float32).astype(dtype.numpy)

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(operand())
        counts = device.buffer_from_array(np.zeros(1), u32)
        return lambda: count_nonfinite(x, counts)

    def in_numpy() -> object:
        return np.count_nonzero(~np.isfinite(operand()))

    return Entry(
        name=f"count_nonfinite {name} {dtype.name}",
        setup=setup,
        flops=0,
        bytes=float(dtype.itemsize * np.prod(shape)),
        numpy=in_numpy if cpu else None,
        cpu=cpu,
    )


ENTRIES = [
    entry("latents 1x64x64", SMALL[0], f32, cpu=True),
    entry("picture 1x1024x1024", SMALL[1], f16, cpu=True),
    entry("activations 1x1024x1024x128", LARGE[0], f16),
]
