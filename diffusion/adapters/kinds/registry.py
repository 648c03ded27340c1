"""The list of kinds, and how a module's tensors find theirs."""

from __future__ import annotations

from typing import Final

from diffusion.adapters.kinds.hadamard import HADAMARD
from diffusion.adapters.kinds.input_rotation import INPUT_ROTATION
from diffusion.adapters.kinds.kind import Kind
from diffusion.adapters.kinds.kronecker import KRONECKER
from diffusion.adapters.kinds.low_rank import LOW_RANK
from diffusion.adapters.kinds.rotation import BUTTERFLY, ROTATION
from diffusion.adapters.kinds.scaling import SCALING
from diffusion.adapters.kinds.weight_dependent import WEIGHT_DEPENDENT
from diffusion.adapters.kinds.whole import BIAS, NORM, NORM_BIAS, REPLACEMENT, WHOLE
from diffusion.adapters.tensor_group import TensorGroup

__all__ = ["KINDS", "find_kind"]

KINDS: Final = (
    LOW_RANK,
    HADAMARD,
    KRONECKER,
    WEIGHT_DEPENDENT,
    SCALING,
    ROTATION,
    BUTTERFLY,
    INPUT_ROTATION,
    WHOLE,
    REPLACEMENT,
    BIAS,
    NORM,
    NORM_BIAS,
)


def find_kind(group: TensorGroup) -> Kind | None:
    """Return the kind of a module's tensors; None where they are of no kind, or incomplete."""
    found = frozenset(group.names)
    kind = next((kind for kind in KINDS if kind.reads(found)), None)
    # OFT and BOFT differ in a number of axes alone.
    stages = kind is ROTATION and "oft_blocks" in group and len(group.shape_of("oft_blocks")) == 4
    return BUTTERFLY if stages else kind
