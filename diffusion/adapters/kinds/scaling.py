"""(IA)³ (Liu et al. 2022, arXiv 2205.05638): a factor for each output, or for each input."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from diffusion.adapters.kinds.kind import Kind
from diffusion.adapters.tensor_group import DAMAGED, TensorGroup, upload
from diffusion.errors import ModelFormatError, quote
from gpucore import Buffer, f32
from gpustd import multiply

__all__ = ["SCALING"]


def _check(group: TensorGroup) -> None:
    if math.prod(group.shape_of("weight")) not in (group.rows, group.inputs):
        group.require("weight", group.rows)


def _difference(group: TensorGroup, weight: Buffer[f32], strength: float) -> Buffer[f32]:
    factors = group.read("weight") * np.float32(strength)
    on_input = bool(group.scalar("on_input"))
    expected = group.inputs if on_input else group.rows
    if factors.size != expected:
        where = f"tensor {quote(group.names['weight'])}"
        reason = f"must have {expected} factors, got {factors.size}"
        raise ModelFormatError(group.file.path, where, reason, DAMAGED)
    if not on_input:
        return multiply(weight, upload(weight.device, factors.reshape(group.rows, 1)))
    row = upload(weight.device, factors.reshape(1, group.inputs, 1))
    shape = group.rows, group.inputs, group.columns // group.inputs
    return multiply(weight.view(shape), row).view(weight.shape)


SCALING: Final = Kind(
    "(IA)³",
    (frozenset({"weight", "on_input"}),),
    frozenset({"alpha", "scale"}),
    _check,
    _difference,
)
