"""The conversion to u8 pixels: bytes only."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry
from gpucore import Device, DType, f16, f32
from gpustd import to_image
from tests.gpustd.reference.to_image import LARGE, SMALL

__all__ = ["ENTRIES"]


def entry(images: int, side: int, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return the conversion of square images of ``side`` pixels."""
    shape = (images, side, side, 3)

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(np.random.default_rng(0).standard_normal(shape), dtype)
        return lambda: to_image(x)

    @functools.cache
    def operand() -> NDArray[Any]:
        return np.random.default_rng(0).standard_normal(shape, np.float32)

    def in_numpy() -> object:
        return np.clip(np.rint((operand() / 2 + 0.5) * 255), 0, 255).astype(np.uint8)

    return Entry(
        name=f"to_image {images}x{side}x{side} {dtype.name}",
        setup=setup,
        flops=0,
        bytes=float((dtype.itemsize + 1) * np.prod(shape)),
        numpy=in_numpy if cpu else None,
        f16=dtype is f16,
        cpu=cpu,
    )


ENTRIES = [
    *(entry(shape[0], shape[1], f32, cpu=True) for shape in SMALL),
    *(entry(shape[0], shape[1], f16) for shape in LARGE),
]
