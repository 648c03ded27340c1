"""LoKr: the difference is a Kronecker product (Edalati et al. 2022, arXiv 2212.10650).

The factors are (a, c) and (b, d) of a weight (a b, c d); either may be a low-rank matmul itself.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from diffusion.adapters.kinds.kind import Kind
from diffusion.adapters.tensor_group import Array, TensorGroup, upload
from diffusion.errors import MisfitError, Shape
from gpucore import Buffer, f32
from gpustd import multiply

__all__ = ["KRONECKER"]


def _first_shape(group: TensorGroup) -> Shape:
    """Return (a, c). Raises `MisfitError`."""
    if "lokr_w1" in group:
        return group.rank_of("lokr_w1", 0), group.rank_of("lokr_w1", 1)
    rank = group.rank_of("lokr_w1_b", 0)
    a, c = group.rank_of("lokr_w1_a", 0), group.rank_of("lokr_w1_b", 1)
    group.require("lokr_w1_a", a, rank)
    group.require("lokr_w1_b", rank, c)
    return a, c


def _check(group: TensorGroup) -> None:
    a, c = _first_shape(group)
    if group.rows % a or group.inputs % c:
        name = group.names.get("lokr_w1", group.names.get("lokr_w1_a", ""))
        expected = math.gcd(group.rows, a), math.gcd(group.inputs, c)
        raise MisfitError(name, expected, (a, c))
    b, d = group.rows // a, group.inputs // c
    if "lokr_w1" in group:
        group.require("lokr_w1", a, c)
    if "lokr_w2" in group:
        group.require("lokr_w2", b, d, *group.kernel)
        return
    rank = group.rank_of("lokr_w2_b", 0)
    if "lokr_t2" in group:
        outer = group.rank_of("lokr_t2", 0)
        group.require("lokr_t2", outer, rank, *group.kernel)
        group.require("lokr_w2_a", outer, b)
        group.require("lokr_w2_b", rank, d)
    else:
        group.require("lokr_w2_a", b, rank)
        group.require("lokr_w2_b", rank, d * math.prod(group.kernel))


def _first(group: TensorGroup) -> Array:
    """Return the first factor (a, c)."""
    if "lokr_w1" in group:
        return group.read("lokr_w1", *_first_shape(group))
    rows, columns = _first_shape(group)
    rank = group.rank_of("lokr_w1_b", 0)
    return group.read("lokr_w1_a", rows, rank) @ group.read("lokr_w1_b", rank, columns)


def _second(group: TensorGroup, rows: int) -> Array:
    """Return the second factor (b, d * kernel)."""
    if "lokr_w2" in group:
        return group.read("lokr_w2", rows, -1)
    rank = group.rank_of("lokr_w2_b", 0)
    b = group.read("lokr_w2_b", rank, -1)
    if "lokr_t2" not in group:
        return group.read("lokr_w2_a", rows, rank) @ b
    outer = group.rank_of("lokr_t2", 0)
    joined = np.tensordot(group.read("lokr_t2", outer, rank, -1), b, axes=(1, 0))
    return group.read("lokr_w2_a", outer, rows).T @ joined.transpose(0, 2, 1).reshape(outer, -1)


def _scale(group: TensorGroup) -> float:
    """Return the scale: 1 where both factors are whole, whatever alpha says."""
    for split in ("lokr_w1_b", "lokr_w2_b"):
        if split in group:
            return group.scale_of(group.rank_of(split, 0))
    return 1.0


def _difference(group: TensorGroup, weight: Buffer[f32], strength: float) -> Buffer[f32]:
    first = _first(group) * np.float32(strength * _scale(group))
    second = _second(group, group.rows // len(first))
    device, (a, c), (b, rest) = weight.device, first.shape, second.shape
    product = multiply(
        upload(device, first.reshape(a, 1, c, 1)), upload(device, second.reshape(1, b, 1, rest))
    )
    return product.view((group.rows, group.columns))


_FIRST: Final = (frozenset({"lokr_w1"}), frozenset({"lokr_w1_a", "lokr_w1_b"}))
_SPLIT: Final = frozenset({"lokr_w2_a", "lokr_w2_b"})
_SECOND: Final = (frozenset({"lokr_w2"}), _SPLIT, _SPLIT | {"lokr_t2"})
KRONECKER: Final = Kind(
    "LoKr",
    tuple(first | second for first in _FIRST for second in _SECOND),
    frozenset({"alpha", "scale", "dora_scale"}),
    _check,
    _difference,
)
