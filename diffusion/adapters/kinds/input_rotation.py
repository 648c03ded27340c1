"""OFT as PEFT and OneTrainer train it (Qiu et al. 2025, arXiv 2506.19847): inputs are rotated.

Inputs of a layer, or of a convolution's windows, are cut into blocks. A file has the upper triangle
of a skew Q for each block, or one for all. Its rotation is the Cayley transform by its first five
terms, R = I + 2Q + 2Q² + 2Q³ + Q⁴, as PEFT computes it by default. OneTrainer's scaled form divides
Q by 2 sqrt(size - 1). Magnitudes beside it (DoRA) scale the rotated weight.
"""

from __future__ import annotations

import math
from typing import Final

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.kinds.kind import Kind
from diffusion.adapters.tensor_group import DAMAGED, TensorGroup, upload
from diffusion.errors import MisfitError, ModelFormatError, quote
from gpucore import Buffer, f32
from gpustd import linalg, subtract, transpose

__all__ = ["INPUT_ROTATION"]

_ROLE: Final = "oft_R"
_SCALED: Final = "scaled_oft"


def _check(group: TensorGroup) -> None:
    shape = group.shape_of(_ROLE)
    if len(shape) != 2:
        raise MisfitError(group.names[_ROLE], (1, 1), shape)
    size = _block_size(shape[1])
    if size * (size - 1) // 2 != shape[1] or size < 2 or group.columns % size:
        whole = group.columns * (group.columns - 1) // 2
        raise MisfitError(group.names[_ROLE], (1, whole), shape)
    blocks = group.columns // size
    if shape[0] not in (1, blocks):
        raise MisfitError(group.names[_ROLE], (blocks, shape[1]), shape)


def _block_size(count: int) -> int:
    """Return the side of a square whose upper triangle has so many elements."""
    return (1 + math.isqrt(1 + 8 * count)) // 2


def _rotations(group: TensorGroup) -> NDArray[np.float64]:
    """Return R (blocks, size, size), or (1, size, size). Raises `ModelFormatError`."""
    triangles = group.read(_ROLE).astype(np.float64)
    size = _block_size(triangles.shape[1])
    if _SCALED in group:
        triangles = triangles / (2 * math.sqrt(size - 1))
    skew = np.zeros((len(triangles), size, size))
    skew[:, *np.triu_indices(size, 1)] = triangles
    skew -= np.swapaxes(skew, -1, -2)
    unit = np.eye(size)
    square = skew @ skew
    found: NDArray[np.float64] = unit + 2 * (skew + square + square @ skew) + square @ square
    if not (np.abs(found) <= np.finfo(np.float32).max).all():
        where = f"tensor {quote(group.names[_ROLE])}"
        raise ModelFormatError(group.file.path, where, "must make finite rotations", DAMAGED)
    return found


def _difference(group: TensorGroup, weight: Buffer[f32], strength: float) -> Buffer[f32]:
    rotations = _rotations(group)
    size = rotations.shape[-1]
    blocks = group.columns // size
    weakened = np.eye(size) + strength * (rotations - np.eye(size))
    turns = np.broadcast_to(np.swapaxes(weakened, -1, -2), (blocks, size, size))
    apart = transpose(weight.view((group.rows, blocks, size)), (1, 0, 2))
    turned = linalg.matmul(apart, upload(weight.device, turns))
    return subtract(transpose(turned, (1, 0, 2)).view(weight.shape), weight)


INPUT_ROTATION: Final = Kind(
    "OFT of inputs", (frozenset({_ROLE}),), frozenset({_SCALED, "dora_scale"}), _check, _difference
)
