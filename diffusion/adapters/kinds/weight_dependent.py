"""GLoRA (Chavan et al. 2023, arXiv 2306.07967): the difference is W @ A + B.

Each of A and B has two factors. Of a convolution, B's second has the kernel, or a third tensor
between the two has it (Tucker).
"""

from __future__ import annotations

from typing import Final

import numpy as np

from diffusion.adapters.kinds.kind import Kind
from diffusion.adapters.kinds.low_rank import contract
from diffusion.adapters.tensor_group import TensorGroup, upload
from diffusion.errors import Shape
from gpucore import Buffer, f32
from gpustd import add, gemm, transpose

__all__ = ["WEIGHT_DEPENDENT"]


def _check(group: TensorGroup) -> None:
    kernel = () if "bm" in group else group.kernel
    if _is_old(group):
        a, b = group.rank_of("a1", 0), group.rank_of("b1", 0)
        shapes: dict[str, Shape] = {"a1": (a, group.inputs), "a2": (group.inputs, a)}
        shapes |= {"b1": (b, group.inputs, *kernel), "b2": (group.rows, b)}
    else:
        a, b = group.rank_of("a2", 0), group.rank_of("b2", 0)
        shapes = {"a1": (group.inputs, a), "a2": (a, group.inputs)}
        shapes |= {"b1": (group.rows, b), "b2": (b, group.inputs, *kernel)}
    if "bm" in group:
        shapes["bm"] = (b, b, *group.kernel)
    for role, shape in shapes.items():
        group.require(role, *shape)


def _is_old(group: TensorGroup) -> bool:
    """Tell whether the file has the older, transposed layout."""
    return group.rank_of("a1", 0) == group.rank_of("a2", 1) < group.rank_of("a1", 1)


def _difference(group: TensorGroup, weight: Buffer[f32], strength: float) -> Buffer[f32]:
    a1, a2, b1, b2 = (
        group.read(role, len(group.read(role)), -1) for role in ("a1", "a2", "b1", "b2")
    )
    if _is_old(group):
        a1, a2, b1, b2 = a2, a1, b2, b1
    if "bm" in group:
        b2 = contract(group.read("bm", len(b2), len(b2), -1), b2)
    scale = np.float32(strength * group.scale_of(len(a2)))
    device = weight.device
    inputs_first = (group.rows, group.inputs, group.columns // group.inputs)
    inputs_last = transpose(weight.view(inputs_first), (0, 2, 1))
    through = gemm(gemm(inputs_last, upload(device, a1 * scale)), upload(device, a2))
    through = transpose(through, (0, 2, 1)).view(weight.shape)
    return add(through, gemm(upload(device, b1 * scale), upload(device, b2)))


WEIGHT_DEPENDENT: Final = Kind(
    "GLoRA",
    (frozenset({"a1", "a2", "b1", "b2"}),),
    frozenset({"alpha", "bm", "scale", "dora_scale"}),
    _check,
    _difference,
)
