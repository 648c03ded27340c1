"""DoRA (Liu et al. 2024, arXiv 2402.09353): a magnitude for each row or column of the new weight.

The magnitude's shape says which: (1, inputs) is for each input, (outputs, 1) or (outputs,) for each
output. PEFT's is for each output in any shape: that of a convolution is (1, outputs, 1, 1). The
strength is a share of the way from the old weight to the decomposed one.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from diffusion.adapters.tensor_group import TensorGroup, upload
from diffusion.errors import MisfitError
from gpucore import Buffer, f32
from gpustd import arrays, linear_combination

__all__ = ["MAGNITUDE", "check_magnitude", "decompose"]

MAGNITUDE: Final = "dora_scale"
_PEFT: Final = "lora_magnitude_vector"
_EPS: Final = float(np.finfo(np.float32).eps)
"""What LyCORIS adds to a norm, so that it is never 0."""


def check_magnitude(group: TensorGroup) -> None:
    """Raise `MisfitError` unless the magnitude fits the weight."""
    shape = group.shape_of(MAGNITUDE)
    if not (_is_for_outputs(group) or _is_for_inputs(group)):
        raise MisfitError(group.names[MAGNITUDE], (group.rows, 1), shape)


def _is_for_outputs(group: TensorGroup) -> bool:
    shape = group.shape_of(MAGNITUDE)
    if _PEFT in group.names[MAGNITUDE]:
        return math.prod(shape) == group.rows
    return shape[:1] == (group.rows,) and math.prod(shape) == group.rows


def _is_for_inputs(group: TensorGroup) -> bool:
    shape = group.shape_of(MAGNITUDE)
    if _PEFT in group.names[MAGNITUDE]:
        return False
    return shape[:2] == (1, group.inputs) and math.prod(shape) == group.inputs


def decompose(
    group: TensorGroup, weight: Buffer[f32], changed: Buffer[f32], strength: float
) -> Buffer[f32]:
    """Return the weight (rows, columns) on the way to ``changed`` with the file's magnitudes.

    ``changed``: the weight with the whole difference.
    """
    kernel = group.columns // group.inputs
    rows_of = (group.rows, group.inputs, kernel)
    squares = arrays.square(changed)
    if _is_for_outputs(group):
        shape = (group.rows, 1, 1)
        sums = arrays.sum(squares, axis=1)
    else:
        shape = (1, group.inputs, 1)
        sums = arrays.sum(arrays.sum(squares, axis=0).view((group.inputs, kernel)), axis=1)
    norms = arrays.sqrt(sums.view(shape)) + _EPS
    magnitudes = upload(weight.device, group.read(MAGNITUDE, *shape))
    scaled = (changed.view(rows_of) * (magnitudes / norms)).view(weight.shape)
    if strength == 1:
        return scaled
    return linear_combination([(1.0 - strength, weight), (strength, scaled)])
