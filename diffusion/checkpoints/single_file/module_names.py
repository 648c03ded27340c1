"""Names inside single-file checkpoints and in the diffusers layout, each made from the other.

Single files keep the names of the code that the models were trained with: CompVis latent-diffusion
(SD 1.x), Stability stablediffusion (2.x) and generative-models (XL), the last two with open_clip's
text encoder. A network's blocks are counted differently there, so that the table follows from its
layout: which blocks attend, and how many layers each has.
"""

from collections.abc import Sequence
from typing import Final

from diffusion.checkpoints.single_file.name_pairs import NamePairs, Pairs, module_pairs

_RESNET: Final = (
    ("in_layers.0", "norm1"),
    ("in_layers.2", "conv1"),
    ("emb_layers.1", "time_emb_proj"),
    ("out_layers.0", "norm2"),
    ("out_layers.3", "conv2"),
    ("skip_connection", "conv_shortcut"),
)
_VAE_RESNET: Final = (
    *((name, name) for name in ("norm1", "conv1", "norm2", "conv2")),
    ("nin_shortcut", "conv_shortcut"),
)
_VAE_ATTENTION: Final = (
    ("norm", "group_norm"),
    ("q", "to_q"),
    ("k", "to_k"),
    ("v", "to_v"),
    ("proj_out", "to_out.0"),
)


def unet_names(
    down_types: Sequence[str], up_types: Sequence[str], layers: Sequence[int]
) -> NamePairs:
    """Return the UNet's names, given the block types and ``layers_per_block`` of each level."""
    return NamePairs(_unet_pairs(down_types, up_types, layers))


def _unet_pairs(down_types: Sequence[str], up_types: Sequence[str], layers: Sequence[int]) -> Pairs:
    """Yield the pairs of names of a UNet."""
    yield from encoder_pairs(down_types, layers)
    number = 0
    for level, kind in enumerate(up_types):
        block, last = f"up_blocks.{level}", layers[-1 - level]
        for layer in range(last + 1):
            yield from _layer_pairs(f"output_blocks.{number + layer}", block, layer, kind)
        number += last
        if level < len(up_types) - 1:
            place = 2 if "CrossAttn" in kind else 1
            yield f"output_blocks.{number}.{place}.conv", f"{block}.upsamplers.0.conv"
        number += 1
    yield "out.0", "conv_norm_out"
    yield "out.2", "conv_out"


def encoder_pairs(down_types: Sequence[str], layers: Sequence[int]) -> Pairs:
    """Yield the pairs of names of a UNet's way down and its middle."""
    for index, name in ((0, "linear_1"), (2, "linear_2")):
        yield f"time_embed.{index}", f"time_embedding.{name}"
        yield f"label_emb.0.{index}", f"add_embedding.{name}"
    yield "time_embed.cond_proj", "time_embedding.cond_proj"
    yield "input_blocks.0.0", "conv_in"
    number = 1
    for level, kind in enumerate(down_types):
        block = f"down_blocks.{level}"
        for layer in range(layers[level]):
            yield from _layer_pairs(f"input_blocks.{number}", block, layer, kind)
            number += 1
        if level < len(down_types) - 1:
            yield f"input_blocks.{number}.0.op", f"{block}.downsamplers.0.conv"
            number += 1
    yield from module_pairs("middle_block.0", "mid_block.resnets.0", _RESNET)
    yield "middle_block.1", "mid_block.attentions.0"
    yield from module_pairs("middle_block.2", "mid_block.resnets.1", _RESNET)


def _layer_pairs(place: str, block: str, layer: int, kind: str) -> Pairs:
    """Yield the names of a residual block and, where the block attends, of its transformer."""
    yield from module_pairs(f"{place}.0", f"{block}.resnets.{layer}", _RESNET)
    if "CrossAttn" in kind:
        yield f"{place}.1", f"{block}.attentions.{layer}"


def vae_names(levels: int, layers: int) -> NamePairs:
    """Return the VAE's names, given its number of levels and ``layers_per_block``."""
    return NamePairs(_vae_pairs(levels, layers))


def _vae_pairs(levels: int, layers: int) -> Pairs:
    """Yield the pairs of names of a VAE."""
    yield from ((name, name) for name in ("quant_conv", "post_quant_conv"))
    for half in ("encoder", "decoder"):
        yield f"{half}.conv_in", f"{half}.conv_in"
        yield f"{half}.norm_out", f"{half}.conv_norm_out"
        yield f"{half}.conv_out", f"{half}.conv_out"
        for index in range(2):
            middle = f"{half}.mid_block.resnets.{index}"
            yield from module_pairs(f"{half}.mid.block_{index + 1}", middle, _VAE_RESNET)
        attention = f"{half}.mid_block.attentions.0"
        yield from module_pairs(f"{half}.mid.attn_1", attention, _VAE_ATTENTION)
    for level in range(levels):
        old, new = f"encoder.down.{level}", f"encoder.down_blocks.{level}"
        yield f"{old}.downsample.conv", f"{new}.downsamplers.0.conv"
        for layer in range(layers):
            yield from module_pairs(f"{old}.block.{layer}", f"{new}.resnets.{layer}", _VAE_RESNET)
        # The decoder's levels are counted from the finest in a single file.
        old, new = f"decoder.up.{levels - 1 - level}", f"decoder.up_blocks.{level}"
        yield f"{old}.upsample.conv", f"{new}.upsamplers.0.conv"
        for layer in range(layers + 1):
            yield from module_pairs(f"{old}.block.{layer}", f"{new}.resnets.{layer}", _VAE_RESNET)


def is_vae_projection(name: str) -> bool:
    """Tell whether a diffusers name is a matrix that single files keep as a 1x1 convolution."""
    return ".attentions." in name and ".to_" in name and name.endswith(".weight")
