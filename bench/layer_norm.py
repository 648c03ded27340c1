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
from tests.gpustd.reference.layer_norm import LARGE, SMALL

__all__ = ["ENTRIES"]


def entry(rows: int, channels: int, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return the norm of ``rows`` tokens."""
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
    *(entry(rows, channels, f32, cpu=True) for rows, channels in SMALL),
    *(entry(rows, channels, f16) for rows, channels in LARGE),
]
