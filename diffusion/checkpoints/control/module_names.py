"""Names inside ControlNet files and in the diffusers layout, each made from the other.

lllyasviel/ControlNet saves the names of its training code (cldm.py) under ``control_model.``, and
some files leave that out.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Final

from diffusion.checkpoints.single_file.module_names import encoder_pairs
from diffusion.checkpoints.single_file.name_pairs import NamePairs, Pairs

__all__ = ["LDM_PREFIX", "control_names"]

LDM_PREFIX: Final = "control_model."


def control_names(layers: Sequence[int], hint_blocks: int) -> NamePairs:
    """Return the names of a ControlNet, given ``layers_per_block`` of each level.

    ``hint_blocks``: the convolutions that read the picture, without the first and the last.
    """
    return NamePairs(_control_pairs(layers, hint_blocks))


def _control_pairs(layers: Sequence[int], hint_blocks: int) -> Pairs:
    yield from encoder_pairs(["CrossAttnDownBlock2D"] * len(layers), layers)
    for number, name in enumerate(_hint_names(hint_blocks)):
        yield f"input_hint_block.{2 * number}", f"controlnet_cond_embedding.{name}"
    for number in range(sum(layers) + len(layers)):
        yield f"zero_convs.{number}.0", f"controlnet_down_blocks.{number}"
    yield "middle_block_out.0", "controlnet_mid_block"


def _hint_names(hint_blocks: int) -> Iterator[str]:
    yield "conv_in"
    yield from (f"blocks.{number}" for number in range(hint_blocks))
    yield "conv_out"
