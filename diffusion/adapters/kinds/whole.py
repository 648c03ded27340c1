"""Whole differences of weights and biases, and those of norms; weights that take their place."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

import numpy as np

from diffusion.adapters.kinds.kind import Kind
from diffusion.adapters.tensor_group import TensorGroup, upload
from gpucore import Buffer, f32
from gpustd import linear_combination

__all__ = ["BIAS", "NORM", "NORM_BIAS", "REPLACEMENT", "WHOLE"]


def _check_role(role: str) -> Callable[[TensorGroup], None]:
    """Return the check of a tensor that must have the weight's shape."""

    def check(group: TensorGroup) -> None:
        group.require(role, *group.shape)

    return check


def _read_role(role: str) -> Callable[[TensorGroup, Buffer[f32], float], Buffer[f32]]:
    """Return the function that reads a tensor."""

    def difference(group: TensorGroup, weight: Buffer[f32], strength: float) -> Buffer[f32]:
        return upload(
            weight.device, group.read(role, group.rows, group.columns) * np.float32(strength)
        )

    return difference


def _replace(group: TensorGroup, weight: Buffer[f32], strength: float) -> Buffer[f32]:
    """Return the difference to the file's weight."""
    new = upload(weight.device, group.read(_REPLACING, group.rows, group.columns))
    return linear_combination([(strength, new), (-strength, weight)])


def _kind(title: str, role: str) -> Kind:
    more = frozenset({"alpha", "scale"})
    return Kind(title, (frozenset({role}),), more, _check_role(role), _read_role(role))


_REPLACING: Final = "set_weight"
REPLACEMENT: Final = Kind(
    "whole weight", (frozenset({_REPLACING}),), frozenset(), _check_role(_REPLACING), _replace
)
"""As ComfyUI writes it."""
WHOLE: Final = _kind("full difference", "diff")
BIAS: Final = _kind("difference of a bias", "diff_b")
NORM: Final = _kind("difference of a norm", "w_norm")
NORM_BIAS: Final = _kind("difference of a norm's bias", "b_norm")
