"""Layer norm at the sizes of the text encoder and the transformers."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Device, DType, f16, f32
from gpustd import layer_norm

__all__ = ["ENTRIES"]


def entry(rows: int, channels: int, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """``rows`` tokens."""
    shape = (rows, channels)

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(np.random.default_rng(0).standard_normal(shape), dtype)
        gamma = device.buffer_from_array(np.ones(channels, np.float32))
        beta = device.buffer_from_array(np.zeros(channels, np.float32))
        return lambda: layer_norm(x, gamma, beta, eps=1e-5)

    @functools.cache
    def operand() -> NDArray[Any]:
        return np.random.default_rng(0).standard_normal(shape, np.float32)

    def in_numpy() -> object:
        x = operand()
        centred = x - x.mean(-1, keepdims=True)
        return centred / np.sqrt((centred**2).mean(-1, keepdims=True) + 1e-5)

    return Entry(
        name=f"layer_norm {rows}x{channels} {dtype.name}",
        setup=setup,
        flops=0,
        bytes=2.0 * dtype.itemsize * rows * channels,
        numpy=in_numpy if cpu else None,
        f16=dtype is f16,
        cpu=cpu,
    )


ENTRIES = [
    entry(288, 128, f32, cpu=True),
    entry(4096, 64, f32, cpu=True),
    entry(8192, 320, f16),
    entry(2048, 640, f16),
    entry(512, 1280, f16),
    entry(128, 1280, f16),
    entry(154, 768, f16),
]
