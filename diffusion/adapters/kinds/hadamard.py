"""LoHa (Hyeon-Woo et al. 2021, arXiv 2108.06098): two low-rank matrices, multiplied elementwise."""

from __future__ import annotations

from typing import Final

import numpy as np

from diffusion.adapters.kinds.kind import Kind
from diffusion.adapters.tensor_group import TensorGroup, upload
from gpucore import Buffer, f32
from gpustd import gemm, multiply

__all__ = ["HADAMARD"]


def _check(group: TensorGroup) -> None:
    for number in "12":
        a, b, core = f"hada_w{number}_a", f"hada_w{number}_b", f"hada_t{number}"
        rank = group.rank_of(b, 0)
        if core in group:
            outer = group.rank_of(core, 0)
            group.require(core, outer, rank, *group.kernel)
            group.require(a, outer, group.rows)
            group.require(b, rank, group.inputs)
        else:
            group.require(a, group.rows, rank)
            group.require(b, rank, group.columns)


def _factor(group: TensorGroup, number: str, weight: Buffer[f32], scale: float) -> Buffer[f32]:
    """Return one of the two matrices (rows, columns), times ``scale``."""
    a, b = group.read(f"hada_w{number}_a"), group.read(f"hada_w{number}_b")
    core = f"hada_t{number}"
    if core in group:
        rank, outer = len(b), len(a)
        middle = group.read(core, outer, rank, -1)
        joined = np.tensordot(middle, b.reshape(rank, -1), axes=(1, 0))
        a, b = a.reshape(outer, -1).T, joined.transpose(0, 2, 1).reshape(outer, -1)
    device = weight.device
    return gemm(upload(device, a * np.float32(scale)), upload(device, b))


def _difference(group: TensorGroup, weight: Buffer[f32], strength: float) -> Buffer[f32]:
    scale = strength * group.scale_of(group.rank_of("hada_w1_b", 0))
    first, second = _factor(group, "1", weight, scale), _factor(group, "2", weight, 1.0)
    return multiply(first, second)


_PAIRS: Final = frozenset({"hada_w1_a", "hada_w1_b", "hada_w2_a", "hada_w2_b"})
HADAMARD: Final = Kind(
    "LoHa",
    (_PAIRS, _PAIRS | {"hada_t1", "hada_t2"}),
    frozenset({"alpha", "scale", "dora_scale"}),
    _check,
    _difference,
)
