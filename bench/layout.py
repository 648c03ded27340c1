"""Moving elements: bytes only."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Device, DType, f16, f32
from gpustd import concat, transpose
from tests.gpustd.reference.layout import LARGE, SMALL

__all__ = ["ENTRIES"]


def transpose_entry(
    shape: tuple[int, ...], axes: tuple[int, ...], dtype: type[DType], *, cpu: bool = False
) -> Entry:
    """Return a ``transpose``, as in the layout of weights."""
    size = int(np.prod(shape))

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(np.random.default_rng(0).standard_normal(shape), dtype)
        return lambda: transpose(x, axes)

    @functools.cache
    def operand() -> NDArray[Any]:
        return np.random.default_rng(0).standard_normal(shape, np.float32)

    def in_numpy() -> object:
        return np.ascontiguousarray(operand().transpose(axes))

    return Entry(
        name=f"transpose {'x'.join(map(str, shape))} to {axes} {dtype.name}",
        setup=setup,
        flops=0,
        bytes=2.0 * dtype.itemsize * size,
        numpy=in_numpy if cpu else None,
        f16=dtype is f16,
        cpu=cpu,
    )


def concat_entry(
    side: int, widths: tuple[int, int], dtype: type[DType], *, cpu: bool = False
) -> Entry:
    """Return a ``concat`` of the channels of two square images."""

    def setup(device: Device) -> Callable[[], object]:
        rng = np.random.default_rng(0)
        parts = [
            device.buffer_from_array(rng.standard_normal((2, side, side, width)), dtype)
            for width in widths
        ]
        return lambda: concat(parts, 3)

    return Entry(
        name=f"concat 2x{side}x{side}x{widths} {dtype.name}",
        setup=setup,
        flops=0,
        bytes=4.0 * dtype.itemsize * side * side * sum(widths),
        f16=dtype is f16,
        cpu=cpu,
    )


ENTRIES = [
    *(transpose_entry(shape, axes, f32, cpu=True) for shape, axes in SMALL),
    concat_entry(16, (128, 64), f32, cpu=True),
    *(transpose_entry(shape, axes, f16) for shape, axes in LARGE),
    concat_entry(64, (320, 320), f16),
]
