"""The denoising UNet of Stable Diffusion (Rombach et al. 2022, arXiv 2112.10752)."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diffusion.models.config import UNetConfig
from diffusion.models.layers import Activations, Conv2d, GroupNorm, Linear
from diffusion.models.module import Module
from diffusion.models.resnet import Downsample, ResnetBlock, Upsample
from diffusion.models.transformer import Attention, PromptKeys, SpatialTransformer

__all__ = ["UNet", "time_features"]


def time_features(timesteps: Sequence[float], config: UNetConfig) -> NDArray[np.float32]:
    """Sinusoids (B, C) of time steps, C being the first block's channels.

    Computed in float64: sines of large arguments are imprecise on GPUs.
    (Vaswani et al. 2017, arXiv 1706.03762, with diffusers' order and ``freq_shift``.)
    """
    width = config.block_out_channels[0]
    half = width // 2
    exponent = -math.log(10000) * np.arange(half) / (half - config.freq_shift)
    angles = np.asarray(timesteps, np.float64)[:, None] * np.exp(exponent)
    first, second = np.sin(angles), np.cos(angles)
    if config.flip_sin_to_cos:
        first, second = second, first
    result = np.zeros((len(angles), width), np.float32)
    result[:, :half], result[:, half : 2 * half] = first, second
    return result


class TimeEmbedding(Module):
    """Two linear layers over the time features. The second SiLU is the one of every resnet."""

    def __init__(self, config: UNetConfig) -> None:
        self.linear_1 = Linear(config.block_out_channels[0], config.time_embed_dim)
        self.linear_2 = Linear(config.time_embed_dim, config.time_embed_dim)

    def __call__(self, features: Activations) -> Activations:
        return self.linear_2(self.linear_1(features, activation="silu"), activation="silu")


class Block(Module):
    """One resolution: residual blocks, each followed by a transformer if the block has them."""

    def __init__(
        self, config: UNetConfig, level: int, inputs: Sequence[int], *, attend: bool
    ) -> None:
        width = config.block_out_channels[level]
        groups, eps = config.norm_num_groups, config.norm_eps
        self.resnets = [
            ResnetBlock(count, width, groups, eps, config.time_embed_dim) for count in inputs
        ]
        self.attentions = [transformer(config, level) for _ in inputs] if attend else []

    def layer(
        self,
        index: int,
        x: Activations,
        time: Activations,
        prompt: PromptKeys,
        second: Activations | None = None,
    ) -> Activations:
        """Residual block ``index`` and its transformer."""
        x = self.resnets[index](x, time, second)
        return self.attentions[index](x, prompt) if self.attentions else x


class DownBlock(Block):
    """A block of the way down; its outputs are the skip connections."""

    def __init__(self, config: UNetConfig, level: int) -> None:
        widths = config.block_out_channels
        before = widths[max(level - 1, 0)]
        inputs = [before] + [widths[level]] * (config.layers_per_block - 1)
        attend = config.down_block_types[level] == "CrossAttnDownBlock2D"
        super().__init__(config, level, inputs, attend=attend)
        last = level == len(widths) - 1
        padding = config.downsample_padding
        self.downsamplers = [] if last else [Downsample(widths[level], padding)]

    def __call__(self, x: Activations, time: Activations, prompt: PromptKeys) -> list[Activations]:
        outputs = [x]
        for index in range(len(self.resnets)):
            outputs.append(self.layer(index, outputs[-1], time, prompt))
        outputs.extend(downsample(outputs[-1]) for downsample in self.downsamplers)
        return outputs[1:]


class MidBlock(Module):
    """Residual block, transformer, residual block."""

    def __init__(self, config: UNetConfig) -> None:
        width = config.block_out_channels[-1]
        arguments = (width, width, config.norm_num_groups, config.norm_eps, config.time_embed_dim)
        self.resnets = [ResnetBlock(*arguments), ResnetBlock(*arguments)]
        self.attentions = [transformer(config, len(config.block_out_channels) - 1)]

    def __call__(self, x: Activations, time: Activations, prompt: PromptKeys) -> Activations:
        x = self.attentions[0](self.resnets[0](x, time), prompt)
        return self.resnets[1](x, time)


class UpBlock(Block):
    """A block of the way up; each residual block also reads a skip connection."""

    def __init__(self, config: UNetConfig, index: int) -> None:
        widths = config.block_out_channels
        level = len(widths) - 1 - index
        before = widths[min(level + 1, len(widths) - 1)]
        count = config.layers_per_block + 1
        skips = [widths[level]] * (count - 1) + [widths[max(level - 1, 0)]]
        inputs = [before] + [widths[level]] * (count - 1)
        sums = [a + b for a, b in zip(inputs, skips, strict=True)]
        attend = config.up_block_types[index] == "CrossAttnUpBlock2D"
        super().__init__(config, level, sums, attend=attend)
        self.upsamplers = [Upsample(widths[level])] if level else []

    def __call__(
        self, x: Activations, time: Activations, prompt: PromptKeys, skips: list[Activations]
    ) -> Activations:
        for index in range(len(self.resnets)):
            x = self.layer(index, x, time, prompt, skips.pop())
        for upsample in self.upsamplers:
            # An odd size on the way down comes back from the skip connection that is next.
            _, height, width, _ = skips[-1].shape
            x = upsample(x, (height, width))
        return x


def transformer(config: UNetConfig, level: int) -> SpatialTransformer:
    """The spatial transformer of a level."""
    return SpatialTransformer(
        config.block_out_channels[level],
        config.cross_attention_dim,
        config.heads[level],
        config.norm_num_groups,
        linear=config.use_linear_projection,
    )


class UNet(Module):
    """Latents (B, H, W, 4), time features (B, C) and the prompt to the network's prediction."""

    def __init__(self, config: UNetConfig) -> None:
        widths = config.block_out_channels
        levels = range(len(widths))
        self.conv_in = Conv2d(config.in_channels, widths[0], 3, padding=1)
        self.time_embedding = TimeEmbedding(config)
        self.down_blocks = [DownBlock(config, level) for level in levels]
        self.mid_block = MidBlock(config)
        self.up_blocks = [UpBlock(config, index) for index in levels]
        self.conv_norm_out = GroupNorm(config.norm_num_groups, widths[0], config.norm_eps)
        self.conv_out = Conv2d(widths[0], config.out_channels, 3, padding=1)

    def cross_attentions(self) -> list[Attention]:
        """All attentions that look at the prompt."""
        blocks: list[Block | MidBlock] = [*self.down_blocks, self.mid_block, *self.up_blocks]
        return [a for block in blocks for t in block.attentions for a in t.cross_attentions()]

    def prompt_keys(self, context: Activations) -> PromptKeys:
        """Keys and values of text embeddings (B, S, width); made once a prompt."""
        return {attention: attention.keys(context) for attention in self.cross_attentions()}

    def __call__(
        self, latents: Activations, features: Activations, prompt: PromptKeys
    ) -> Activations:
        time = self.time_embedding(features)
        x = self.conv_in(latents)
        skips = [x]
        for down in self.down_blocks:
            skips += down(skips[-1], time, prompt)
        x = self.mid_block(skips[-1], time, prompt)
        for up in self.up_blocks:
            x = up(x, time, prompt, skips)
        return self.conv_out(self.conv_norm_out(x, silu=True))
