"""Benchmark of attention at the sizes of Stable Diffusion and of the bundled model."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray

from bench.entry import Entry, Target
from bench.torch_peer import random
from gpucore import Device, DType, f16, f32
from gpustd.nn.attention.fused import attention
from tests.gpustd.reference.attention import LARGE, SMALL, Case

__all__ = ["ENTRIES"]

Array = NDArray[np.float32]


def _operands(case: Case) -> tuple[Array, Array, Array]:
    rng = np.random.default_rng(0)
    channels = case.heads * case.head
    q = rng.standard_normal((case.batch, case.sq, channels), np.float32)
    k = rng.standard_normal((case.batch, case.sk, channels), np.float32)
    v = rng.standard_normal((case.batch, case.sk, channels), np.float32)
    return q, k, v


def _plain(case: Case, q: Array, k: Array, v: Array) -> Array:
    """Compute attention in NumPy f32, with the whole matrix of scores."""

    def split(x: Array) -> Array:
        return x.reshape(case.batch, -1, case.heads, case.head).transpose(0, 2, 1, 3)

    scores = split(q) @ split(k).transpose(0, 1, 3, 2) / np.float32(np.sqrt(case.head))
    powers = np.exp(scores - scores.max(axis=-1, keepdims=True))
    return np.asarray(powers / powers.sum(axis=-1, keepdims=True)) @ split(v)


def entry(
    case: Case, dtype: type[DType], *, target: Target | None = None, cpu: bool = False
) -> Entry:
    """Return one attention, beside NumPy if it is small."""

    def setup(device: Device) -> Callable[[], object]:
        q, k, v = (device.buffer_from_array(x, dtype) for x in _operands(case))
        return lambda: attention(q, k, v, heads=case.heads)

    def in_torch(torch: Any) -> Callable[[], object]:
        def heads(tokens: int) -> Any:
            x = random(torch, (case.batch, tokens, case.heads, case.head), dtype)
            return x.transpose(1, 2)

        q, k, v = heads(case.sq), heads(case.sk), heads(case.sk)
        return lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v)

    operands = functools.cache(lambda: _operands(case))
    tokens = 2 * case.batch * (case.sq + case.sk)
    return Entry(
        name=f"attention {case.name} {dtype.name}",
        setup=setup,
        flops=case.flops,
        bytes=float(dtype.itemsize * tokens * case.heads * case.head),
        numpy=(lambda: _plain(case, *operands())) if cpu else None,
        torch=in_torch,
        target=target,
        f16=dtype is f16,
        cpu=cpu,
    )


_SELF = Target("tflops", 150)

_GOALS = [case for case in LARGE if case.sq == case.sk and case.sq > 256 and case.heads > 1]

ENTRIES = [
    # The bundled model at 256 x 256 pixels with guidance, and its VAE.
    *(entry(case, f32, cpu=True) for case in SMALL),
    # Stable Diffusion 1.5 at 512 x 512 with guidance and its VAE, 2.1 and XL.
    *(entry(case, f16, target=_SELF if case in _GOALS else None) for case in LARGE),
    entry(LARGE[0], f32),
]
