"""Sizes, uniforms and work of attention, which all its variants share."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Any, NamedTuple

from gpucore import Buffer, Device, Work
from gpustd.launch.template import Value

__all__ = [
    "AttentionSizes",
    "Shader",
    "attention_params",
    "attention_work",
    "workgroup_memory",
]

_ALL_ONES = 0xFFFFFFFF


@dataclass(frozen=True)
class AttentionSizes:
    """Images, queries, keys, heads, channels of a head; ``causal``: row i sees keys 0 to i only."""

    batch: int
    sq: int
    sk: int
    heads: int
    head: int
    causal: bool = False


class Shader(NamedTuple):
    """Template variables of a variant, channels in one element of its buffers, and the grid.

    ``suffix`` is that of its file: ``.cu`` is native code.
    """

    spec: dict[str, Value]
    unit: int
    grid: tuple[int, int, int]
    suffix: str = ".wgsl"


def attention_params(sizes: AttentionSizes, unit: int, scale: float) -> dict[str, float]:
    """Return the uniforms of all variants, but for where the heads of operands lie.

    ``unit`` channels make a word.
    """
    return {
        "batch": sizes.batch,
        "sq": sizes.sq,
        "sk": sizes.sk,
        "heads": sizes.heads,
        "units": sizes.head // unit,
        "open": 0 if sizes.causal else _ALL_ONES,
        "scale": math.log2(math.e) * scale,
    }


def attention_work(sizes: AttentionSizes, buffers: tuple[Buffer[Any], ...]) -> Work:
    """Return the arithmetic of both products, and the bytes of all operands."""
    keys_seen = (sizes.sk + 1) / 2 if sizes.causal else sizes.sk
    results = sizes.batch * sizes.sq * sizes.heads * sizes.head
    return Work(4.0 * results * keys_seen, sum(b.nbytes for b in {*buffers}))


def workgroup_memory(device: Device) -> int:
    """Return the bytes of workgroup memory of a device."""
    return int(device.limits["max_compute_workgroup_storage_size"])
