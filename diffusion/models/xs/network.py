"""ControlNet-XS (Zavadski et al. 2023, arXiv 2312.06573), in the form of diffusers.

A thin copy of a UNet's encoder. Before each of its layers, features of the UNet join its own; after
each, its features are added to the UNet's, through 1x1 convolutions. On the way up it adds them
once more. So both are computed layer by layer: see `XsRun`.
"""

from __future__ import annotations

from collections.abc import Iterator
from math import gcd

from diffusion.models.controlnet import HintEncoder
from diffusion.models.layers import Activations, Conv2d, PointwiseConv, repeat_images
from diffusion.models.module import Module
from diffusion.models.resnet import ResnetBlock
from diffusion.models.transformer import CrossAttention, PromptKeys, SpatialTransformer
from diffusion.models.unet import FeatureEmbedding
from diffusion.models.xs.config import XsConfig

__all__ = ["ControlXs"]

_EPS, _MIDDLE_EPS = 1e-5, 1e-6
_MIDDLE_GROUPS = 32
"""The most groups of the middle's norms, whatever the config says, as in diffusers."""
_LATENTS = 4


class _Downsample(Module):
    """Convolution of stride 2."""

    def __init__(self, inputs: int, outputs: int) -> None:
        self.conv = Conv2d(inputs, outputs, 3, stride=2, padding=1)

    def __call__(self, x: Activations) -> Activations:
        return self.conv(x)


def _groups(channels: int, most: int) -> int:
    """Return the largest divisor of ``channels`` up to ``most``."""
    return next(each for each in range(min(channels, most), 0, -1) if channels % each == 0)


def _apply_block(resnet: ResnetBlock, x: Activations, time: Activations) -> Activations:
    """Return a residual block's result for a time embedding with SiLU (B, C).

    Its shift is computed alone: the channels may be fewer than a shared matrix product asks for.
    """
    assert resnet.time_emb_proj is not None
    shift = resnet.time_emb_proj(time)
    return resnet(x, {x.shape[0]: repeat_images(shift, x.shape[0])})


def _transformer(config: XsConfig, level: int, groups: int) -> SpatialTransformer:
    """Return a level's spatial transformer."""
    return SpatialTransformer(
        config.block_out_channels[level],
        config.widths[level],
        config.heads[level],
        groups,
        linear=config.linear,
        depth=config.depths[level],
    )


class XsDownBlock(Module):
    """A level of the way down: its layers, then its downsampler unless it is the last level.

    Its norms have at most as many groups as the first one has, as diffusers joins both networks.
    """

    def __init__(self, config: XsConfig, level: int) -> None:
        own, base, time = config.block_out_channels, config.base_channels, config.time_embed_dim
        width, wide = own[level], base[level]
        attends = config.down_block_types[level] == "CrossAttnDownBlock2D"
        self.resnets = []
        self.attentions = []
        self.base_to_ctrl = []
        self.ctrl_to_base = []
        above = max(level - 1, 0)
        most = _groups(own[above] + base[above], config.groups)
        for layer in range(config.layers):
            before = above if layer == 0 else level
            inputs, read = own[before], base[before]
            self.base_to_ctrl.append(PointwiseConv(read, read))
            self.resnets.append(
                ResnetBlock(
                    inputs + read,
                    width,
                    _groups(inputs + read, most),
                    _EPS,
                    time,
                    groups_out=_groups(width, most),
                )
            )
            if attends:
                self.attentions.append(_transformer(config, level, _groups(width, most)))
            self.ctrl_to_base.append(PointwiseConv(width, wide))
        self.downsamplers: _Downsample | None = None
        if level < len(own) - 1:
            self.base_to_ctrl.append(PointwiseConv(wide, wide))
            self.downsamplers = _Downsample(width + wide, width)
            self.ctrl_to_base.append(PointwiseConv(width, wide))

    def __call__(
        self, index: int, x: Activations, time: Activations, prompt: PromptKeys
    ) -> Activations:
        """Return the result of layer ``index``, after the last of which the downsampler comes."""
        if index < len(self.resnets):
            x = _apply_block(self.resnets[index], x, time)
            return self.attentions[index](x, prompt) if self.attentions else x
        assert self.downsamplers is not None
        return self.downsamplers(x)


class _Middle(Module):
    """Residual block, transformer, residual block."""

    def __init__(self, config: XsConfig) -> None:
        width, wide = config.block_out_channels[-1], config.base_channels[-1]
        time, groups = config.time_embed_dim, _groups(gcd(width, width + wide), _MIDDLE_GROUPS)
        last = len(config.block_out_channels) - 1
        self.attentions = [_transformer(config, last, groups)]
        self.resnets = [
            ResnetBlock(inputs, width, groups, _MIDDLE_EPS, time)
            for inputs in (width + wide, width)
        ]

    def __call__(self, x: Activations, time: Activations, prompt: PromptKeys) -> Activations:
        x = self.attentions[0](_apply_block(self.resnets[0], x, time), prompt)
        return _apply_block(self.resnets[1], x, time)


class XsMidBlock(Module):
    """The middle, with what it reads of the UNet's middle and adds to it."""

    def __init__(self, config: XsConfig) -> None:
        width, wide = config.block_out_channels[-1], config.base_channels[-1]
        self.base_to_ctrl = PointwiseConv(wide, wide)
        self.midblock = _Middle(config)
        self.ctrl_to_base = PointwiseConv(width, wide)


class _UpConnections(Module):
    """The convolutions of a level of the way up, which read states of the way down."""

    def __init__(self, pairs: list[tuple[int, int]]) -> None:
        self.ctrl_to_base = [PointwiseConv(inputs, outputs) for inputs, outputs in pairs]


class ControlXs(Module):
    """The network's weights and layers. ``steps``: block and layer of each step of the way down."""

    def __init__(self, config: XsConfig) -> None:
        own, base = config.block_out_channels, config.base_channels
        self.controlnet_cond_embedding = HintEncoder(
            config.hint_inputs, config.hint_channels, own[0]
        )
        self.time_embedding = (
            FeatureEmbedding(base[0], config.time_embed_dim) if config.learns_time else None
        )
        self.conv_in = Conv2d(_LATENTS, own[0], 3, padding=1)
        self.control_to_base_for_conv_in = PointwiseConv(own[0], base[0])
        self.down_blocks = [XsDownBlock(config, level) for level in range(len(own))]
        self.mid_block = XsMidBlock(config)
        self.up_connections = [_UpConnections(pairs) for pairs in _up_pairs(config)]
        self._time_share = config.time_share

    @property
    def time_share(self) -> float:
        """The share of its own time embedding."""
        return self._time_share

    @property
    def latent_channels(self) -> int:
        """Channels of the latents that it reads."""
        return self.conv_in.weight.shape[1]

    @property
    def steps(self) -> list[tuple[XsDownBlock, int]]:
        """Block and number of each layer of the way down, in the order of computing."""
        return [(each, n) for each in self.down_blocks for n in range(len(each.ctrl_to_base))]

    @property
    def up_convolutions(self) -> list[PointwiseConv]:
        """The convolutions that add to each layer of the way up, in the order of computing."""
        return [each for block in self.up_connections for each in block.ctrl_to_base]

    @property
    def layers(self) -> int:
        """The number of its strengths: for each state of the way down, the middle's last."""
        return len(self.steps) + 2

    def cross_attentions(self) -> Iterator[CrossAttention]:
        """Yield the attentions to the prompt."""
        blocks: list[XsDownBlock | _Middle] = [*self.down_blocks, self.mid_block.midblock]
        for block in blocks:
            for each in block.attentions:
                yield from each.cross_attentions()

    def prompt_keys(self, context: Activations) -> PromptKeys:
        """Compute keys and values of text embeddings (B, S, width), once for each prompt."""
        return {attention: attention.keys(context) for attention in self.cross_attentions()}

    def read_picture(self, picture: Activations) -> Activations:
        """Return the features of a picture (B, H, W, C) in 0..1."""
        return self.controlnet_cond_embedding(picture)


def _up_pairs(config: XsConfig) -> list[list[tuple[int, int]]]:
    """Return inputs and outputs of what adds to each layer of the way up, by level."""
    own, base = config.block_out_channels, config.base_channels
    skips = [own[0]]
    for level, width in enumerate(own):
        skips += [width] * (config.layers + (level < len(own) - 1))
    levels = []
    for level in reversed(range(len(own))):
        above = min(level + 1, len(own) - 1)
        wide = [base[above], *[base[level]] * config.layers]
        levels.append([(skips.pop(), outputs) for outputs in wide])
    return levels
