"""The config of a ControlNet-LLLite, and the layers of a UNet that one may change."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from math import prod
from typing import NamedTuple

from diffusion.models.unet_config import UNetConfig

__all__ = ["AttentionPlace", "LiteConfig", "LitePlace", "attention_places"]


class AttentionPlace(NamedTuple):
    """A layer of an attention that reads pixels' features.

    ``layer``: its name in diffusers. ``level``: of its resolution, 0 for the highest. ``width``: of
    its input. ``transformer``: the number of the spatial transformer, in the order of computing.
    """

    layer: str
    level: int
    width: int
    transformer: int


class LitePlace(NamedTuple):
    """A module: ``name`` in the file, the ``place`` that it changes, and its widths.

    ``embeddings``: channels of the convolutions that read the picture. ``kernels``: their sides,
    which are their strides as well. ``rank``: of the features of the layer's input.
    """

    name: str
    place: AttentionPlace
    embeddings: tuple[int, ...]
    kernels: tuple[int, ...]
    rank: int

    @property
    def downscale(self) -> int:
        """Pixels of the picture per token along a side."""
        return prod(self.kernels)


@dataclass(frozen=True, slots=True)
class LiteConfig:
    """A ControlNet-LLLite: its modules, in the order of computing."""

    places: tuple[LitePlace, ...]

    @property
    def transformers(self) -> tuple[int, ...]:
        """The numbers of the spatial transformers that it changes; a strength is for each."""
        return tuple(sorted({each.place.transformer for each in self.places}))


def attention_places(unet: UNetConfig) -> Iterator[AttentionPlace]:
    """Yield the layers of a UNet's attentions that read features of the picture that is drawn.

    Keys and values of the attention to the prompt read the prompt.
    """
    number, last = 0, len(unet.block_out_channels) - 1
    for level, kind in enumerate(unet.down_block_types):
        depths = unet.down_depths[level] if kind.startswith("CrossAttn") else ()
        for index, depth in enumerate(depths):
            yield from _places(
                unet, f"down_blocks.{level}.attentions.{index}", level, number, depth
            )
            number += 1
    if unet.mid_depth and unet.mid_block_type == "UNetMidBlock2DCrossAttn":
        place = "mid_block.attentions.0"
        yield from _places(unet, place, last, number, unet.mid_depth, middle=True)
        number += 1
    for block, kind in enumerate(unet.up_block_types):
        level = last - block
        depths = unet.up_depths[level] if kind.startswith("CrossAttn") else ()
        for index, depth in enumerate(depths):
            name = f"up_blocks.{block}.attentions.{index}"
            yield from _places(unet, name, level, number, depth)
            number += 1


def _places(
    unet: UNetConfig, name: str, level: int, number: int, depth: int, *, middle: bool = False
) -> Iterator[AttentionPlace]:
    """Yield the places of one spatial transformer; the ``middle`` one always attends to itself."""
    crosses = unet.only_cross_attention[level] and not middle
    layers = ["attn1.to_q", *([] if crosses else ["attn1.to_k", "attn1.to_v"]), "attn2.to_q"]
    width = unet.block_out_channels[level]
    for block in range(depth):
        for layer in layers:
            yield AttentionPlace(f"{name}.transformer_blocks.{block}.{layer}", level, width, number)
