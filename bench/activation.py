"""Activations: bytes only."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.entry import Entry
from gpucore import Device, DType, f16, f32
from gpustd import unary

__all__ = ["ENTRIES"]


def entry(name: str, millions: int, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """One activation of ``millions`` times 2^20 elements."""
    size = millions * 2**20

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(np.random.default_rng(0).standard_normal(size), dtype)
        return lambda: unary(x, name)

    def peer() -> object:
        if not operands:
            operands.append(np.random.default_rng(0).standard_normal(size, np.float32))
        x = operands[0]
        return x / (1 + np.exp(-x))

    operands: list[np.ndarray] = []  # type: ignore[type-arg]
    return Entry(
        name=f"{name} {millions}Mi {dtype.name}",
        setup=setup,
        flops=0,
        bytes=2.0 * dtype.itemsize * size,
        peer=peer if cpu and name == "silu" else None,
        f16=dtype is f16,
        cpu=cpu,
    )


ENTRIES = [
    entry("silu", 1, f32, cpu=True),
    entry("gelu", 1, f32, cpu=True),
    entry("silu", 64, f16),
    entry("gelu", 64, f16),
    entry("gelu", 64, f32),
]
