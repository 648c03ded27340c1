"""OFT (Qiu et al. 2023, arXiv 2306.07280) and BOFT (Liu et al. 2023, arXiv 2311.06243).

Outputs are cut into blocks, each of which is rotated by R = (I + Q)(I - Q)⁻¹, Q being skew. The
rotations are small and are made on the host in float64. BOFT has several stages, each of which
groups outputs that lie twice as far apart as those of the stage before.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from diffusion.adapters.kinds.kind import Kind
from diffusion.adapters.tensor_group import DAMAGED, TensorGroup, upload
from diffusion.errors import MisfitError, ModelFormatError, quote
from gpucore import Buffer, f32
from gpustd import linalg, multiply, subtract, transpose

__all__ = ["BUTTERFLY", "ROTATION"]

_MOST_STAGES: Final = 24


def _check(group: TensorGroup) -> None:
    _check_blocks(group, "oft_blocks" if "oft_blocks" in group else "oft_diag", 3)


def _check_butterfly(group: TensorGroup) -> None:
    _check_blocks(group, "oft_blocks", 4)


def _check_blocks(group: TensorGroup, role: str, axes: int) -> None:
    """Check (..., blocks, size, size), and the factors of each output."""
    shape, name = group.shape_of(role), group.names[role]
    if len(shape) != axes:
        raise MisfitError(name, (1, *shape)[-axes:], shape)
    size = shape[-1]
    if size < 1 or group.rows % size:
        raise MisfitError(name, (*shape[:-3], 1, group.rows, group.rows)[-axes:], shape)
    blocks = group.rows // size
    stages = shape[:-3]
    if shape[-3:] != (blocks, size, size) or any(not 1 <= each <= _MOST_STAGES for each in stages):
        raise MisfitError(name, (*stages, blocks, size, size), shape)
    if stages and (size % 2 or group.rows % (size << (stages[0] - 1))):
        raise MisfitError(name, (1, blocks, size, size), shape)
    if "rescale" in group:
        group.require("rescale", group.rows)


def _rotations(group: TensorGroup, role: str) -> NDArray[np.float64]:
    """Return R (..., blocks, size, size). Raises `ModelFormatError` where it is not finite."""
    blocks = group.read(role).astype(np.float64)
    if role == "oft_diag":
        return blocks
    skew = blocks - np.swapaxes(blocks, -1, -2)
    constraint = (group.scalar("alpha") or 0.0) * group.rows
    norm = float(np.linalg.norm(skew)) + 1e-8
    if 0 < constraint < norm:
        skew *= constraint / norm
    unit = np.eye(blocks.shape[-1])
    # I - Q is regular: the eigenvalues of a skew Q are imaginary.
    found = np.linalg.solve(np.swapaxes(unit - skew, -1, -2), np.swapaxes(unit + skew, -1, -2))
    if not np.isfinite(found).all():
        where = f"tensor {quote(group.names[role])}"
        raise ModelFormatError(group.file.path, where, "must make finite rotations", DAMAGED)
    return np.swapaxes(found, -1, -2).astype(np.float64)


def _weaken(rotations: NDArray[np.float64], strength: float) -> NDArray[np.float64]:
    """Return rotations between none, at strength 0, and the whole ones at 1."""
    unit = np.eye(rotations.shape[-1])
    return unit + strength * (rotations - unit)


def _finish(
    group: TensorGroup, weight: Buffer[f32], rotated: Buffer[f32], strength: float
) -> Buffer[f32]:
    """Return the difference between a weight and the rotated one, times its factors."""
    if "rescale" in group:
        factors = 1 + np.float32(strength) * (group.read("rescale", group.rows, 1) - 1)
        rotated = multiply(rotated, upload(weight.device, factors))
    return subtract(rotated, weight)


def _difference(group: TensorGroup, weight: Buffer[f32], strength: float) -> Buffer[f32]:
    rotations = _rotations(group, "oft_blocks" if "oft_blocks" in group else "oft_diag")
    count, size, _ = rotations.shape
    # OFT mixes outputs by the transpose of R.
    turns = upload(weight.device, np.swapaxes(_weaken(rotations, strength), -1, -2))
    rotated = linalg.matmul(turns, weight.view((count, size, group.columns)))
    return _finish(group, weight, rotated.view(weight.shape), strength)


def _difference_of_stages(group: TensorGroup, weight: Buffer[f32], strength: float) -> Buffer[f32]:
    rotated = weight
    rotations = _weaken(_rotations(group, "oft_blocks"), strength)
    for stage, turns in enumerate(rotations):
        count, size, _ = turns.shape
        stride = (size // 2) << stage
        apart = (group.rows // (2 * stride), 2, stride, group.columns)
        together = (group.rows // (2 * stride), stride, 2, group.columns)
        paired = transpose(rotated.view(apart), (0, 2, 1, 3)).view((count, size, group.columns))
        turned = linalg.matmul(upload(weight.device, turns), paired).view(together)
        rotated = transpose(turned, (0, 2, 1, 3)).view(weight.shape)
    return _finish(group, weight, rotated, strength)


_MORE: Final = frozenset({"alpha", "rescale", "dora_scale"})
ROTATION: Final = Kind(
    "OFT",
    (frozenset({"oft_blocks"}), frozenset({"oft_diag"})),
    _MORE,
    _check,
    _difference,
)
BUTTERFLY: Final = Kind(
    "BOFT", (frozenset({"oft_blocks"}),), _MORE, _check_butterfly, _difference_of_stages
)
