"""LoRA (Hu et al. 2021, arXiv 2106.09685) and LoCon: the difference is scale * up @ down.

A convolution's down-projection has the kernel, or a third tensor between the two has it (Tucker).
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.kinds.kind import Kind
from diffusion.adapters.tensor_group import Array, TensorGroup, upload
from gpucore import Buffer, f32
from gpustd import gemm

__all__ = ["LOW_RANK", "Factors", "contract", "rank_of_factors", "stored_factors"]


class Factors(NamedTuple):
    """A difference (rows, columns) as ``scale`` times ``up @ down``: (rows, rank), (rank, columns).

    The matrices are as the file has them, in its type.
    """

    up: NDArray[Any]
    down: NDArray[Any]
    scale: float


def _check(group: TensorGroup) -> None:
    rank = group.rank_of("down", 0)
    if "mid" not in group:
        group.require("up", group.rows, rank)
        group.require("down", rank, group.inputs, *group.kernel)
        return
    outer = group.rank_of("up", 1)
    group.require("up", group.rows, outer)
    group.require("down", rank, group.inputs)
    group.require("mid", outer, rank, *group.kernel)


def stored_factors(group: TensorGroup) -> Factors:
    """Return the factors of a difference, with all ranks. Raises `ModelFormatError`."""
    rank = group.rank_of("down", 0)
    scale = group.scale_of(rank)
    if "mid" not in group:
        up, down = group.read_stored("up"), group.read_stored("down")
        return Factors(up.reshape(group.rows, -1), down.reshape(rank, -1), scale)
    up, down = group.read("up", group.rows, -1), group.read("down", rank, -1)
    return Factors(up, contract(group.read("mid", up.shape[1], rank, -1), down), scale)


def rank_of_factors(group: TensorGroup) -> int:
    """Return the ranks that count, without reading a tensor."""
    rank = group.rank_of("up", 1)
    return rank if "mid" in group or group.most_rank is None else min(rank, group.most_rank)


def _difference(group: TensorGroup, weight: Buffer[f32], strength: float) -> Buffer[f32]:
    rank = group.rank_of("down", 0)
    up = group.read("up", group.rows, -1) * np.float32(strength * group.scale_of(rank))
    down = group.read("down", rank, -1)
    if "mid" in group:
        down = contract(group.read("mid", up.shape[1], rank, -1), down)
    elif group.most_rank is not None:
        up, down = up[:, : group.most_rank], down[: group.most_rank]
    device = weight.device
    return gemm(upload(device, up), upload(device, down))


def contract(middle: Array, down: Array) -> Array:
    """Return the down-projection (m, inputs * kernel) of ``middle`` (m, n, kernel) and ``down``."""
    with np.errstate(over="ignore", invalid="ignore"):
        joined = np.tensordot(middle, down, axes=(1, 0))
    return joined.transpose(0, 2, 1).reshape(len(middle), -1)


LOW_RANK: Final = Kind(
    "LoRA",
    (frozenset({"up", "down"}),),
    frozenset({"mid", "alpha", "scale", "dora_scale"}),
    _check,
    _difference,
)
