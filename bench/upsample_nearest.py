"""Nearest-neighbour enlargement: bytes only."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Device, DType, f16, f32
from gpustd import upsample_nearest
from tests.gpustd.reference.upsample_nearest import LARGE, SMALL

__all__ = ["ENTRIES"]


def entry(shape: tuple[int, int, int, int], dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return the enlargement of images of ``shape`` to twice their sides."""

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(np.random.default_rng(0).standard_normal(shape), dtype)
        return lambda: upsample_nearest(x, 2)

    @functools.cache
    def operand() -> NDArray[Any]:
        return np.random.default_rng(0).standard_normal(shape, np.float32)

    def in_numpy() -> object:
        return operand().repeat(2, axis=1).repeat(2, axis=2)

    return Entry(
        name=f"upsample_nearest {'x'.join(map(str, shape))} {dtype.name}",
        setup=setup,
        flops=0,
        bytes=5.0 * dtype.itemsize * np.prod(shape),
        numpy=in_numpy if cpu else None,
        f16=dtype is f16,
        cpu=cpu,
    )


ENTRIES = [
    *(entry(shape, f32, cpu=True) for shape, _ in SMALL),
    *(entry(shape, f16) for shape, _ in LARGE),
]
