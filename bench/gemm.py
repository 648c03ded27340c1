"""gemm at the sizes of Stable Diffusion, and a cube."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.entry import Entry, Target
from bench.torch_peer import random
from gpucore import Device, DType, f16, f32
from gpustd import gemm

__all__ = ["ENTRIES"]


def entry(
    m: int,
    n: int,
    k: int,
    dtype: type[DType],
    *,
    target: Target | None = None,
    cpu: bool = False,
    few_rows: bool = False,
) -> Entry:
    """One product (m, k) @ (k, n)."""

    def setup(device: Device) -> Callable[[], object]:
        rng = np.random.default_rng(0)
        a = device.buffer_from_array(rng.standard_normal((m, k)), dtype)
        w = device.buffer_from_array(rng.standard_normal((k, n)), dtype)
        return lambda: gemm(a, w, few_rows=few_rows)

    def in_torch(torch: Any) -> Callable[[], object]:
        a, w = random(torch, (m, k), dtype), random(torch, (k, n), dtype)
        return lambda: a @ w

    def in_numpy() -> object:
        if not operands:
            rng = np.random.default_rng(0)
            operands.append(rng.standard_normal((m, k)).astype(np.float32))
            operands.append(rng.standard_normal((k, n)).astype(np.float32))
        return operands[0] @ operands[1]

    operands: list[np.ndarray] = []
    return Entry(
        name=f"gemm {m}x{n}x{k} {dtype.name}{' few rows' if few_rows else ''}",
        setup=setup,
        flops=2.0 * m * n * k,
        bytes=float(dtype.itemsize * (m * k + k * n + m * n)),
        numpy=in_numpy if cpu else None,
        torch=in_torch,
        target=target,
        f16=dtype is f16,
        cpu=cpu,
    )


_NEAR_CUBLAS = Target("of peer", 0.85)

ENTRIES = [
    entry(512, 512, 512, f32, cpu=True),
    entry(1024, 512, 512, f32, cpu=True),
    entry(4096, 4096, 4096, f32, target=Target("tflops", 43)),
    entry(4096, 4096, 4096, f16, target=Target("tflops", 400)),
    entry(8192, 320, 320, f16, target=_NEAR_CUBLAS),
    entry(8192, 2560, 320, f16, target=_NEAR_CUBLAS),
    entry(8192, 320, 1280, f16, target=_NEAR_CUBLAS),
    entry(2048, 640, 640, f16, target=_NEAR_CUBLAS),
    entry(2048, 5120, 640, f16, target=_NEAR_CUBLAS),
    entry(512, 1280, 1280, f16, target=_NEAR_CUBLAS),
    entry(8192, 960, 320, f16, target=_NEAR_CUBLAS),
    entry(2048, 1920, 640, f16, target=_NEAR_CUBLAS),
    entry(2048, 640, 2560, f16, target=_NEAR_CUBLAS),
    entry(512, 3840, 1280, f16, target=_NEAR_CUBLAS),
    entry(512, 10240, 1280, f16, target=_NEAR_CUBLAS),
    entry(512, 1280, 5120, f16, target=_NEAR_CUBLAS),
    entry(128, 1280, 1280, f16, target=_NEAR_CUBLAS),
    entry(8192, 640, 640, f16),
    entry(2048, 1280, 1280, f16),
    entry(2048, 3840, 1280, f16),
    entry(2048, 10240, 1280, f16),
    entry(2048, 1280, 5120, f16),
    entry(2, 1280, 1280, f16, few_rows=True),
    entry(2, 20160, 1280, f16, few_rows=True),
]
