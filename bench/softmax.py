"""Benchmark of softmax over rows of the lengths that attention has."""

from __future__ import annotations

import functools
import math
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Device, DType, f16, f32
from gpustd.nn import softmax
from tests.gpustd.reference.softmax import LARGE, SMALL

__all__ = ["ENTRIES"]


def _operand(shape: tuple[int, ...]) -> NDArray[np.float32]:
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def _plain(x: NDArray[np.float32]) -> NDArray[np.float32]:
    powers = np.exp(x - x.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True))


def entry(shape: tuple[int, ...], dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return one softmax; only bytes matter."""

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(_operand(shape), dtype)
        return lambda: softmax(x)

    operand = functools.cache(lambda: _operand(shape))
    return Entry(
        name=f"softmax {'x'.join(map(str, shape))} {dtype.name}",
        setup=setup,
        flops=0.0,
        bytes=2.0 * dtype.itemsize * math.prod(shape),
        numpy=(lambda: _plain(operand())) if cpu else None,
        f16=dtype is f16,
        cpu=cpu,
    )


ENTRIES = [
    *(entry(shape, f32, cpu=True) for shape in SMALL),
    *(entry(shape, f16) for shape in LARGE),
    entry((8, 4096, 4096), f32),
]
