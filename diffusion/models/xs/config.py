"""The config of a ControlNet-XS, as diffusers writes it for its ``ControlNetXSAdapter``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Self

from diffusion.errors import FilePath
from diffusion.models.fields import (
    MAX_CHANNELS,
    MAX_LAYERS,
    MAX_TOTAL,
    Fields,
    Flag,
    Integer,
    ListOf,
    Number,
    PerLevel,
    Word,
)

__all__ = ["XsConfig"]

_HINT: Final = [16, 32, 96, 256]
_DOWN: Final = ("CrossAttnDownBlock2D", "DownBlock2D")
_LEVELS: Final = [*[_DOWN[0]] * 3, _DOWN[1]]
_IGNORED: Final = ("upcast_attention", "sample_size")
_LAYERS: Final = 2


@dataclass(frozen=True, slots=True)
class XsConfig:
    """A ControlNet-XS: its channels at each level, highest first, and those of the UNet beside it.

    ``hint_channels``: of the convolutions that read the picture, which has ``hint_inputs``
    channels, or blue before red where ``swaps_colours``. ``learns_time``: it has a time embedding
    of its own, which counts ``time_share`` in both networks. ``groups``: the most groups that a
    norm has; it has the largest divisor up to that.
    """

    block_out_channels: Annotated[
        tuple[int, ...], ListOf(Integer(1, MAX_CHANNELS), default=[4, 8, 16, 16])
    ]
    base_channels: Annotated[
        tuple[int, ...],
        PerLevel(
            Integer(1, MAX_CHANNELS),
            repeat=False,
            key="base_block_out_channels",
            default=[320, 640, 1280, 1280],
        ),
    ]
    hint_inputs: Annotated[int, Integer(1, MAX_CHANNELS, default=3, key="conditioning_channels")]
    hint_channels: Annotated[
        tuple[int, ...],
        ListOf(Integer(1, MAX_CHANNELS), default=_HINT, key="conditioning_embedding_out_channels"),
    ]
    order: Annotated[str, Word(("rgb", "bgr"), default="rgb", key="conditioning_channel_order")]
    time_embedding_mix: Annotated[float, Number(0, 1, default=1.0)]
    learns_time: Annotated[bool, Flag(default=False, key="learn_time_embedding")]
    heads: Annotated[
        tuple[int, ...],
        PerLevel(Integer(1, MAX_CHANNELS), key="num_attention_heads", default=4),
    ]
    widths: Annotated[
        tuple[int, ...],
        PerLevel(Integer(1, MAX_CHANNELS), key="cross_attention_dim", default=1024),
    ]
    down_block_types: Annotated[
        tuple[str, ...], PerLevel(Word(_DOWN), repeat=False, default=_LEVELS)
    ]
    depths: Annotated[
        tuple[int, ...],
        PerLevel(Integer(1, MAX_LAYERS), key="transformer_layers_per_block", default=1),
    ]
    groups: Annotated[int, Integer(1, MAX_CHANNELS, key="max_norm_num_groups", default=32)]
    linear: Annotated[bool, Flag(key="use_linear_projection", default=True)]

    @property
    def downscale(self) -> int:
        """Pixels of the picture per latent pixel along a side."""
        return 1 << (len(self.hint_channels) - 1)

    @property
    def swaps_colours(self) -> bool:
        """Tell whether it reads blue, green, red."""
        return self.order == "bgr"

    @property
    def layers(self) -> int:
        """Residual blocks of each level; diffusers knows two alone."""
        return _LAYERS

    @property
    def time_embed_dim(self) -> int:
        """Width of the time embedding, which is the UNet's."""
        return 4 * self.base_channels[0]

    @property
    def time_share(self) -> float:
        """The share of its own time embedding; 0 without one."""
        return float(self.time_embedding_mix**0.3) if self.learns_time else 0.0

    @classmethod
    def from_json(cls, mapping: Mapping[str, object], file: FilePath) -> Self:
        """Read a ControlNet-XS's ``config.json``. Raises ``ModelFormatError`` naming the key."""
        fields = Fields(mapping, file)
        fields.ignore(_IGNORED)
        config = cls(**fields.read_all(cls))
        fields.refuse_unknown()
        for width, count in zip(config.block_out_channels, config.heads, strict=True):
            if width % count:
                reason = f"must divide {list(config.block_out_channels)}, got {list(config.heads)}"
                fields.fail("num_attention_heads", reason)
        if sum(config.depths) * config.layers + config.depths[-1] > MAX_TOTAL:
            reason = f"must make at most {MAX_TOTAL} blocks, got {list(config.depths)} a layer"
            fields.fail("transformer_layers_per_block", reason)
        return config
