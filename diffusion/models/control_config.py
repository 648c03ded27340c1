"""The configs of control networks: ControlNet and T2I-Adapter, as diffusers writes them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Final, Self

from diffusion.errors import FilePath
from diffusion.models.fields import (
    MAX_CHANNELS,
    MAX_LAYERS,
    Fields,
    Flag,
    Integer,
    ListOf,
    Word,
)
from diffusion.models.unet_config import UNetConfig

__all__ = ["AdapterConfig", "ControlNetConfig", "begins_halved"]

_HINT: Final = [16, 32, 96, 256]
_ADAPTERS: Final = ("full_adapter", "full_adapter_xl", "light_adapter")
_OWN: Final = (
    "conditioning_channels",
    "conditioning_embedding_out_channels",
    "controlnet_conditioning_channel_order",
    "global_pool_conditions",
    "num_control_type",
    "num_trans_layer",
)
_UNION_WIDTHS: Final = ("num_trans_channel", "num_proj_channel")
_UNION_TYPES: Final = 6
_TO_UP: Final = {"CrossAttnDownBlock2D": "CrossAttnUpBlock2D", "DownBlock2D": "UpBlock2D"}


@dataclass(frozen=True, slots=True)
class ControlNetConfig:
    """A ControlNet. ``unet``: its encoder, as the config of a UNet that has a way up as well.

    ``hint_channels``: of the convolutions that read the picture, which has ``hint_inputs``
    channels, or blue before red where ``swaps_colours``. ``pools``: what it adds is the mean over
    the picture. ``types``: how many kinds of pictures a union of ControlNets knows, 0 for others;
    ``fusions``: its transformer blocks that read them.
    """

    unet: UNetConfig
    hint_inputs: Annotated[int, Integer(1, MAX_CHANNELS, default=3, key="conditioning_channels")]
    hint_channels: Annotated[
        tuple[int, ...],
        ListOf(Integer(1, MAX_CHANNELS), default=_HINT, key="conditioning_embedding_out_channels"),
    ]
    order: Annotated[
        str, Word(("rgb", "bgr"), default="rgb", key="controlnet_conditioning_channel_order")
    ]
    pools: Annotated[bool, Flag(default=False, key="global_pool_conditions")]
    types: Annotated[int, Integer(0, 64, default=0, key="num_control_type")] = 0
    fusions: Annotated[int, Integer(1, 8, default=1, key="num_trans_layer")] = 1

    @property
    def downscale(self) -> int:
        """Pixels of the picture per latent pixel along a side."""
        return 1 << (len(self.hint_channels) - 1)

    @property
    def swaps_colours(self) -> bool:
        """Tell whether it reads blue, green, red."""
        return self.order == "bgr"

    @classmethod
    def from_json(cls, mapping: Mapping[str, object], file: FilePath) -> Self:
        """Read a ControlNet's ``config.json``. Raises ``ModelFormatError`` naming the key."""
        own = {key: mapping[key] for key in _OWN if key in mapping}
        if mapping.get("_class_name") == "ControlNetUnionModel":
            own.setdefault("num_control_type", _UNION_TYPES)
        fields = Fields(own, file)
        values = fields.read_all(cls)
        ignored = {*own, *_UNION_WIDTHS, "num_trans_head"}
        rest = {key: value for key, value in mapping.items() if key not in ignored}
        down = mapping.get("down_block_types")
        up = [_TO_UP.get(kind, kind) for kind in reversed(down)] if isinstance(down, list) else down
        unet = UNetConfig.from_json({**rest, "up_block_types": up, "sample_size": 64}, file)
        width = unet.block_out_channels[0]
        for key in _UNION_WIDTHS:
            if values["types"] and mapping.get(key, width) != width:
                fields.fail(key, f"must be {width}, the first level's channels")
        return cls(unet=unet, **values)


def begins_halved(unet: UNetConfig) -> bool:
    """Tell whether an adapter adds to a UNet's first level after it is halved, as in SDXL.

    So it is where that level has no attention. The middle then reads features, too.
    """
    return unet.down_block_types[0] == "DownBlock2D" and len(unet.down_block_types) > 1


@dataclass(frozen=True, slots=True)
class AdapterConfig:
    """A T2I-Adapter. ``channels``: what it adds to the levels of the UNet, highest first.

    ``inputs``: channels of the picture. ``downscale``: its pixels per pixel of the first level.
    """

    inputs: Annotated[int, Integer(1, MAX_CHANNELS, default=3, key="in_channels")]
    channels: Annotated[
        tuple[int, ...], ListOf(Integer(1, MAX_CHANNELS), default=[320, 640, 1280, 1280])
    ]
    blocks: Annotated[int, Integer(1, MAX_LAYERS, default=2, key="num_res_blocks")]
    downscale: Annotated[int, Integer(1, 64, default=8, key="downscale_factor")]
    kind: Annotated[str, Word(_ADAPTERS, default="full_adapter", key="adapter_type")]

    @property
    def outputs(self) -> tuple[int, ...]:
        """The channels of each level's features; a light adapter has one level more."""
        light = self.kind == "light_adapter"
        return (*self.channels, self.channels[-1]) if light else self.channels

    @classmethod
    def from_json(cls, mapping: Mapping[str, object], file: FilePath) -> Self:
        """Read a T2I-Adapter's ``config.json``. Raises ``ModelFormatError``."""
        fields = Fields(mapping, file)
        config = cls(**fields.read_all(cls))
        fields.refuse_unknown()
        return config
