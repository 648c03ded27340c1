"""gemm at the sizes of Stable Diffusion, and a cube."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.entry import Entry
from gpucore import Device, DType, f16, f32
from gpustd import gemm

__all__ = ["ENTRIES"]


def entry(m: int, n: int, k: int, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """One product (m, k) @ (k, n)."""

    def setup(device: Device) -> Callable[[], object]:
        rng = np.random.default_rng(0)
        a = device.buffer_from_array(rng.standard_normal((m, k)), dtype)
        w = device.buffer_from_array(rng.standard_normal((k, n)), dtype)
        return lambda: gemm(a, w)

    def peer() -> object:
        if not operands:
            rng = np.random.default_rng(0)
            operands.append(rng.standard_normal((m, k)).astype(np.float32))
            operands.append(rng.standard_normal((k, n)).astype(np.float32))
        return operands[0] @ operands[1]

    operands: list[np.ndarray] = []
    return Entry(
        name=f"gemm {m}x{n}x{k} {dtype.name}",
        setup=setup,
        flops=2.0 * m * n * k,
        bytes=float(dtype.itemsize * (m * k + k * n + m * n)),
        peer=peer if cpu else None,
        f16=dtype is f16,
        cpu=cpu,
    )


ENTRIES = [
    entry(512, 512, 512, f32, cpu=True),
    entry(1024, 512, 512, f32, cpu=True),
    entry(4096, 4096, 4096, f32),
    entry(4096, 4096, 4096, f16),
    entry(8192, 320, 320, f16),
    entry(8192, 2560, 320, f16),
    entry(8192, 320, 1280, f16),
    entry(2048, 640, 640, f16),
    entry(2048, 5120, 640, f16),
    entry(512, 1280, 1280, f16),
]
