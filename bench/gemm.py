"""Benchmark of gemm at the sizes of Stable Diffusion, and of a cube."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.entry import Entry, Target
from bench.torch_peer import random
from gpucore import Device, DType, f16, f32
from gpustd import gemm
from tests.gpustd.reference.gemm import CUBE, FEW_ROWS, SMALL, UNET, UNET_XL, Case

__all__ = ["ENTRIES"]


def entry(
    case: Case,
    dtype: type[DType],
    *,
    target: Target | None = None,
    cpu: bool = False,
    few_rows: bool = False,
) -> Entry:
    """Return one matrix product (m, k) @ (k, n)."""
    (m,), k, n = case.rows, case.k, case.n

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
    *(entry(case, f32, cpu=True) for case in SMALL),
    entry(CUBE, f32, target=Target("tflops", 43)),
    entry(CUBE, f16, target=Target("tflops", 400)),
    *(entry(case, f16, target=_NEAR_CUBLAS) for case in UNET),
    *(entry(case, f16) for case in UNET_XL),
    *(entry(case, f16, few_rows=True) for case in FEW_ROWS),
]
