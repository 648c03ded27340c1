"""The embedding look-up: bytes only."""

from __future__ import annotations

import functools
from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Device, DType, f16, f32
from gpustd import embedding
from tests.gpustd.reference.embedding import LARGE, SMALL

__all__ = ["ENTRIES"]


def entry(
    table: tuple[int, int], ids: tuple[int, ...], dtype: type[DType], *, cpu: bool = False
) -> Entry:
    """Return a look-up of ``ids`` in a random table."""

    @functools.cache
    def arrays() -> tuple[NDArray[np.float32], NDArray[np.int32]]:
        rng = np.random.default_rng(0)
        return rng.standard_normal(table, np.float32), rng.integers(0, table[0], ids, np.int32)

    def setup(device: Device) -> Callable[[], object]:
        rows, numbers = arrays()
        weight = device.buffer_from_array(rows, dtype)
        tokens = device.buffer_from_array(numbers)
        return lambda: embedding(tokens, weight)

    def in_numpy() -> object:
        rows, numbers = arrays()
        return rows[numbers]

    return Entry(
        name=f"embedding {table[0]}x{table[1]}, ids {ids[0]}x{ids[1]} {dtype.name}",
        setup=setup,
        flops=0,
        bytes=2.0 * dtype.itemsize * ids[0] * ids[1] * table[1],
        numpy=in_numpy if cpu else None,
        f16=dtype is f16,
        cpu=cpu,
    )


ENTRIES = [
    *(entry(table, ids, f32, cpu=True) for table, ids in SMALL),
    *(entry(table, ids, f16) for table, ids in LARGE),
]
