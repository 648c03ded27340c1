"""The UNet's config, worked out from the names and shapes of a single file's tensors."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import count
from typing import Final

from diffusion.checkpoints.single_file.families import (
    COMPLETE_HINT,
    GUIDANCE_NAME,
    UNET_PREFIX,
    Family,
    Shapes,
)
from diffusion.errors import FilePath, ModelFormatError

Json = dict[str, object]

_MAX_BLOCKS: Final = 64


def derive_unet_config(family: Family, shapes: Shapes, file: FilePath, side: int) -> Json:
    """Return ``unet/config.json``; ``side`` in pixels."""
    inner = {
        name.removeprefix(UNET_PREFIX): s
        for name, s in shapes.items()
        if name.startswith(UNET_PREFIX)
    }
    levels = _levels(inner, file)
    channels = [level.channels for level in levels]
    projections = (s for name, s in inner.items() if name.endswith(".1.proj_in.weight"))
    heads = 8 if family.text_width == 768 else [max(1, c // 64) for c in channels]
    config: Json = {
        "_class_name": "UNet2DConditionModel",
        "act_fn": "silu",
        "attention_head_dim": heads,
        "block_out_channels": channels,
        "cross_attention_dim": family.text_width,
        "down_block_types": [_block_type(level.depths, "Down") for level in levels],
        "in_channels": inner["input_blocks.0.0.weight"][1],
        "layers_per_block": _one_or_all([len(level.depths) for level in levels]),
        "norm_eps": 1e-5,
        "norm_num_groups": 32,
        "out_channels": (inner.get("out.2.weight") or (4,))[0],
        "sample_size": side // 8,
        "use_linear_projection": len(next(projections, ())) == 2,
    }
    if "middle_block.0.in_layers.0.weight" not in inner:
        config["mid_block_type"] = None
    config |= _up_blocks_and_depths(inner, levels)
    added = inner.get("label_emb.0.0.weight", ())
    if len(added) == 2:
        config["addition_embed_type"] = "text_time"
        config["addition_time_embed_dim"] = 256
        config["projection_class_embeddings_input_dim"] = added[1]
    guidance = shapes.get(GUIDANCE_NAME, ())
    if len(guidance) == 2:
        config["time_cond_proj_dim"] = guidance[1]
    return config


@dataclass(frozen=True, slots=True)
class _Level:
    """One resolution; ``depths``: transformer blocks after each of its residual blocks."""

    channels: int
    depths: tuple[int, ...]


def _levels(inner: Shapes, file: FilePath) -> list[_Level]:
    """Return the levels of the way down. Raises ``ModelFormatError`` for an unknown layout."""
    levels: list[_Level] = []
    depths: list[int] = []
    channels = 0
    for number in range(1, _MAX_BLOCKS):
        place = f"input_blocks.{number}"
        convolution = inner.get(f"{place}.0.out_layers.3.weight", ())
        if len(convolution) == 4:
            channels = convolution[0]
            depths.append(_depth(inner, f"{place}.1"))
        elif depths:
            levels.append(_Level(channels, tuple(depths)))
            depths = []
        else:
            break
    if not levels:
        raise ModelFormatError(file, "names", "must have a UNet of a known layout", COMPLETE_HINT)
    return levels


def _up_blocks_and_depths(inner: Shapes, levels: list[_Level]) -> Json:
    """Return the kinds of the blocks of the way up, and the depths of all transformers.

    The last level's depth is also the middle's, so that it counts where the level has none.
    """
    number, up = 0, []
    for level in reversed(levels):
        layers = len(level.depths) + 1
        up.append([_depth(inner, f"output_blocks.{number + n}.1") for n in range(layers)])
        number += layers
    config: Json = {"up_block_types": [_block_type(depths, "Up") for depths in up]}
    middle = _depth(inner, "middle_block.1") or 1
    rest = [1] * (len(levels) - 1) + [middle]
    down = [
        [depth or other for depth in level.depths]
        for level, other in zip(levels, rest, strict=True)
    ]
    up = [[depth or 1 for depth in depths] for depths in up]
    if any(len(set(depths)) > 1 for depths in (*down, *up)):
        config["transformer_layers_per_block"] = down
        config["reverse_transformer_layers_per_block"] = up
    else:
        config["transformer_layers_per_block"] = _one_or_all([depths[0] for depths in down])
    return config


def _block_type(depths: Sequence[int], way: str) -> str:
    """Return the class of a level's block; ``way``: Down or Up."""
    return f"CrossAttn{way}Block2D" if any(depths) else f"{way}Block2D"


def _one_or_all(numbers: list[int]) -> int | list[int]:
    """Return a list as the layout writes it: one number where all are equal."""
    return numbers[0] if len(set(numbers)) == 1 else numbers


def _depth(inner: Shapes, place: str) -> int:
    """Return how many transformer blocks stand at a place."""
    pattern = "{}.transformer_blocks.{}.norm1.weight"
    return next(depth for depth in count() if pattern.format(place, depth) not in inner)
