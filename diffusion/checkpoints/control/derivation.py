"""The config of a ControlNet that is a file alone: from its names and shapes, and from the UNet."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Final

from diffusion.checkpoints.file_kinds import DOWNLOAD_AGAIN
from diffusion.checkpoints.safetensors import TensorEntry
from diffusion.errors import ModelFormatError, Shape
from diffusion.models.control_config import ControlNetConfig
from diffusion.models.fields import MAX_LAYERS
from diffusion.models.unet_config import UNetConfig

__all__ = ["derive_config"]

Entries = Mapping[str, TensorEntry]

_HINT: Final = "controlnet_cond_embedding"
_SHUFFLE: Final = re.compile(r"(?:^|[_\-.])shuffle(?:$|[_\-.])")
"""Nets that are trained on shuffled pictures add means; their published files tell by the name."""
_MOST_HINTS: Final = 16


def derive_config(entries: Entries, unet: UNetConfig, path: Path) -> ControlNetConfig:
    """Return the config of a ControlNet for ``unet``, by its parameters' names in diffusers.

    Depths of transformers and the convolutions that read the picture follow from the file. All else
    is the UNet's, of whose encoder the network is a copy. Raises ``ModelFormatError``.
    """
    levels = range(len(unet.block_out_channels))
    attends = [_has(entries, f"down_blocks.{level}.attentions.") for level in levels]
    projection = next((n for n in entries if n.endswith(".proj_in.weight")), None)
    own = replace(
        unet,
        in_channels=_shape(entries, "conv_in.weight", 4, path)[1],
        down_block_types=tuple(
            "CrossAttnDownBlock2D" if each else "DownBlock2D" for each in attends
        ),
        down_depths=tuple(
            tuple(
                _depth(entries, f"down_blocks.{level}.attentions.{layer}")
                for layer in range(unet.layers_per_block[level])
            )
            for level in levels
        ),
        mid_block_type="UNetMidBlock2DCrossAttn"
        if _has(entries, "mid_block.attentions.")
        else "UNetMidBlock2D",
        mid_depth=_depth(entries, "mid_block.attentions.0"),
        use_linear_projection=len(entries[projection].shape) == 2
        if projection
        else unet.use_linear_projection,
        time_cond_proj_dim=None,
    )
    first = _shape(entries, f"{_HINT}.conv_in.weight", 4, path)
    channels = [first[0]]
    for number in range(1, 2 * _MOST_HINTS, 2):
        name = f"{_HINT}.blocks.{number}.weight"
        if name not in entries:
            break
        channels.append(_shape(entries, name, 4, path)[0])
    pools = _SHUFFLE.search(path.stem.lower()) is not None
    types = _shape(entries, "task_embedding", 2, path)[0] if "task_embedding" in entries else 0
    fusions = sum(f"transformer_layes.{n}.ln_1.weight" in entries for n in range(8))
    return ControlNetConfig(own, first[1], tuple(channels), "rgb", pools, types, fusions)


def _has(entries: Entries, start: str) -> bool:
    return any(name.startswith(start) for name in entries)


def _depth(entries: Entries, place: str) -> int:
    """Return how many transformer blocks stand at a place."""
    pattern = "{}.transformer_blocks.{}.norm1.weight"
    depth = next(n for n in count() if pattern.format(place, n) not in entries)
    return min(depth, MAX_LAYERS)


def _shape(entries: Entries, name: str, axes: int, path: Path) -> Shape:
    """Return a tensor's shape, which must have so many axes. Raises ``ModelFormatError``."""
    shape = entries[name].shape if name in entries else ()
    if len(shape) != axes:
        reason = f"must have {axes} axes, got {list(shape)}"
        raise ModelFormatError(path, f"tensor {name!r}", reason, DOWNLOAD_AGAIN)
    return shape
