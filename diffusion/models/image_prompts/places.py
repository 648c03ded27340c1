"""The attentions of a UNet that image prompts add to, in the orders of files and of computing."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal, NamedTuple

from diffusion.models.transformer import CrossAttention, SpatialTransformer
from diffusion.models.unet import UNet

__all__ = ["CrossPlace", "cross_places"]

Side = Literal["input", "middle", "output"]


class CrossPlace(NamedTuple):
    """An attention to the prompt.

    ``level``: of its resolution, 0 for the highest. ``transformer``: the number of the spatial
    transformer around it, in the order of computing. ``width``: its channels.
    """

    attention: CrossAttention
    side: Side
    level: int
    transformer: int
    width: int


def cross_places(unet: UNet) -> list[CrossPlace]:
    """Return the places of a UNet in the order of an adapter's file: down, up, then the middle."""
    down = sum(len(block.attentions) for block in unet.down_blocks)
    middle = len(unet.mid_block.attentions) if unet.mid_block else 0
    last = len(unet.down_blocks) - 1
    found: list[CrossPlace] = []
    number = 0
    for level, block in enumerate(unet.down_blocks):
        for each in block.attentions:
            found += _places(each, "input", level, number)
            number += 1
    number = down + middle
    for index, up in enumerate(unet.up_blocks):
        for each in up.attentions:
            found += _places(each, "output", last - index, number)
            number += 1
    for offset, each in enumerate(unet.mid_block.attentions if unet.mid_block else ()):
        found += _places(each, "middle", last, down + offset)
    return found


def _places(
    transformer: SpatialTransformer, side: Side, level: int, number: int
) -> Iterator[CrossPlace]:
    for block in transformer.transformer_blocks:
        width = block.attn2.to_k.weight.shape[0]
        yield CrossPlace(block.attn2, side, level, number, width)
