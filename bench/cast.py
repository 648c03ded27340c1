"""Casts: bytes only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

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

    def peer() -> object:
        if not operands:
            operands.append(np.random.default_rng(0).standard_normal(size).astype(source.numpy))
        return operands[0].astype(target.numpy)

    operands: list[np.ndarray] = []  # type: ignore[type-arg]
    return Entry(
        name=f"cast {millions}Mi {source.name} to {target.name}",
        setup=setup,
        flops=0,
        bytes=float((source.itemsize + target.itemsize) * size),
        peer=peer if cpu else None,
        cpu=cpu,
    )


ENTRIES = [
    entry(1, f32, f16, cpu=True),
    entry(1, f16, f32, cpu=True),
    entry(64, f32, f16),
    entry(64, f16, f32),
]
