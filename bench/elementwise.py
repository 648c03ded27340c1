"""Arithmetic element by element: bytes only.

Goals for copies hold at the size at which the card's copy rate is measured (128Mi f16). At half of
that size the launch alone takes 3 % of the time.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry, Target
from bench.torch_peer import random
from gpucore import Device, DType, f16, f32
from gpustd import add, guidance, linear_combination
from tests.gpustd.reference.elementwise import SMALL

__all__ = ["ENTRIES"]


_NEAR_COPIES = Target("of copy rate", 0.95)
_ROOF_MILLIONS = 128


def copy(millions: int, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return a `gpucore.Buffer.copy_from` of ``millions`` times 2^20 elements."""
    size = millions * 2**20

    def setup(device: Device) -> Callable[[], object]:
        source = device.buffer_from_array(np.random.default_rng(0).standard_normal(size), dtype)
        target = device.buffer(dtype, size)
        return lambda: target.copy_from(source)

    def in_torch(torch: Any) -> Callable[[], object]:
        source = random(torch, (size,), dtype)
        return functools.partial(torch.empty_like(source).copy_, source)

    return Entry(
        name=f"copy {millions}Mi {dtype.name}",
        setup=setup,
        flops=0,
        bytes=2.0 * dtype.itemsize * size,
        torch=in_torch,
        target=_NEAR_COPIES if millions == _ROOF_MILLIONS else None,
        f16=dtype is f16,
        cpu=cpu,
    )


def combination(terms: int, millions: int, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return a linear combination of ``terms`` arrays of ``millions`` times 2^20 elements."""
    size = millions * 2**20

    @functools.cache
    def arrays() -> list[NDArray[np.float32]]:
        rng = np.random.default_rng(0)
        return [rng.standard_normal(size, np.float32) for _ in range(terms)]

    def setup(device: Device) -> Callable[[], object]:
        terms_on_device = [
            (0.5 + i, device.buffer_from_array(a, dtype)) for i, a in enumerate(arrays())
        ]
        return lambda: linear_combination(terms_on_device)

    def in_numpy() -> object:
        return sum(np.float32(0.5 + i) * a for i, a in enumerate(arrays()))

    return Entry(
        name=f"linear_combination of {terms}, {millions}Mi {dtype.name}",
        setup=setup,
        flops=0,
        bytes=float((terms + 1) * dtype.itemsize * size),
        numpy=in_numpy if cpu else None,
        target=_NEAR_COPIES if terms == 1 and millions == _ROOF_MILLIONS else None,
        f16=dtype is f16,
        cpu=cpu,
    )


def sum_of_two(millions: int, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return ``add`` of two arrays of ``millions`` times 2^20 elements."""
    size = millions * 2**20

    def setup(device: Device) -> Callable[[], object]:
        rng = np.random.default_rng(0)
        x, y = (device.buffer_from_array(rng.standard_normal(size), dtype) for _ in range(2))
        return lambda: add(x, y)

    def in_torch(torch: Any) -> Callable[[], object]:
        x, y = (random(torch, (size,), dtype) for _ in range(2))
        return lambda: x + y

    return Entry(
        name=f"add {millions}Mi {dtype.name}",
        setup=setup,
        flops=0,
        bytes=3.0 * dtype.itemsize * size,
        torch=in_torch,
        target=None if cpu else _NEAR_COPIES,
        f16=dtype is f16,
        cpu=cpu,
    )


def guidance_entry(shape: tuple[int, ...], dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return ``guidance`` of a batch of latents."""
    size = int(np.prod(shape))

    def setup(device: Device) -> Callable[[], object]:
        x = device.buffer_from_array(np.random.default_rng(0).standard_normal(shape), dtype)
        return lambda: guidance(x, 7.5)

    return Entry(
        name=f"guidance {'x'.join(map(str, shape))} {dtype.name}",
        setup=setup,
        flops=0,
        bytes=1.5 * dtype.itemsize * size,
        f16=dtype is f16,
        cpu=cpu,
    )


ENTRIES = [
    copy(1, f32, cpu=True),
    sum_of_two(1, f32, cpu=True),
    combination(4, 1, f32, cpu=True),
    guidance_entry(SMALL[1], f32, cpu=True),
    copy(64, f16),
    copy(_ROOF_MILLIONS, f16),
    combination(1, 64, f16),
    combination(1, _ROOF_MILLIONS, f16),
    sum_of_two(64, f16),
    combination(4, 16, f16),
    combination(4, 16, f32),
]
