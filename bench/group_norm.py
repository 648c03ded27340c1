"""Group norm + SiLU at the sizes of the UNet and the VAE, and of the bundled model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Device, DType, f16, f32
from gpustd import group_norm
from tests.gpustd.reference.group_norm import LARGE, SMALL, Case

__all__ = ["ENTRIES"]


def entry(case: Case, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return the norm of square images in 32 groups, with SiLU."""
    images, side, _, channels = case.shape
    second = case.second
    shape = (images, side, side, channels)
    total = channels + second

    def setup(device: Device) -> Callable[[], object]:
        rng = np.random.default_rng(0)
        x = device.buffer_from_array(rng.standard_normal(shape), dtype)
        skip = rng.standard_normal((*shape[:3], second))
        other = device.buffer_from_array(skip, dtype) if second else None
        gamma = device.buffer_from_array(np.ones(total, np.float32))
        beta = device.buffer_from_array(np.zeros(total, np.float32))
        return lambda: group_norm(x, 32, gamma, beta, silu=True, second=other)

    @functools.cache
    def operand() -> NDArray[Any]:
        return np.random.default_rng(0).standard_normal(shape, np.float32)

    def in_numpy() -> object:
        x = operand().reshape(images, side * side, 32, channels // 32)
        centred = x - x.mean((1, 3), keepdims=True)
        y = centred / np.sqrt((centred**2).mean((1, 3), keepdims=True) + 1e-5)
        return y / (1 + np.exp(-y))

    source = f"{channels}+{second}" if second else str(channels)
    return Entry(
        name=f"group_norm {images}x{side}x{side}x{source} {dtype.name}",
        setup=setup,
        flops=0,
        bytes=3.0 * dtype.itemsize * images * side * side * total,
        numpy=in_numpy if cpu and not second else None,
        f16=dtype is f16,
        cpu=cpu,
    )


ENTRIES = [
    *(entry(case, f32, cpu=True) for case in SMALL),
    *(entry(case, f16) for case in LARGE),
]
