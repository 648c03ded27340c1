"""Casts: bytes only."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Device, DType
from gpucore.dtypes import DTYPES
from gpustd import cast
from tests.gpustd.reference.cast import LARGE, SMALL

__all__ = ["ENTRIES"]


def entry(source: type[DType], target: type[DType], size: int, *, cpu: bool = False) -> Entry:
    """Return the cast of ``size`` elements."""

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(np.random.default_rng(0).standard_normal(size), source)
        return lambda: cast(x, target)

    @functools.cache
    def operand() -> NDArray[Any]:
        return np.random.default_rng(0).standard_normal(size).astype(source.numpy)

    def in_numpy() -> object:
        return operand().astype(target.numpy)

    return Entry(
        name=f"cast {size // 2**20}Mi {source.name} to {target.name}",
        setup=setup,
        flops=0,
        bytes=float((source.itemsize + target.itemsize) * size),
        numpy=in_numpy if cpu else None,
        cpu=cpu,
    )


ENTRIES = [
    *(entry(DTYPES[a], DTYPES[b], size, cpu=True) for a, b, (size, *_) in SMALL),
    *(entry(DTYPES[a], DTYPES[b], size) for a, b, (size, *_) in LARGE),
]
