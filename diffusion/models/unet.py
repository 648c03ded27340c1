"""The denoising UNet of Stable Diffusion (Rombach et al. 2022, arXiv 2112.10752)."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from diffusion.models.companion import Companion
from diffusion.models.features import DeepFeature, current_deep_feature, scale_features
from diffusion.models.fused_linear import FusedLinear
from diffusion.models.layers import Activations, Conv2d, GroupNorm, Linear, repeat_images
from diffusion.models.module import Module
from diffusion.models.resnet import Downsample, ResnetBlock, Shifts, Upsample
from diffusion.models.self_attention.probe import current_probe
from diffusion.models.transformer import CrossAttention, PromptKeys, SpatialTransformer
from diffusion.models.unet_config import UNetConfig
from diffusion.models.weights import Parameter
from gpucore import ArgumentError
from gpustd import add, nn

__all__ = [
    "NO_RESIDUALS",
    "Encoder",
    "Residuals",
    "UNet",
    "guidance_features",
    "size_features",
    "time_features",
]


class Residuals(NamedTuple):
    """The additions of control networks to a UNet's activations, for any number of images.

    ``skips``: to each skip connection, once the way down is computed. ``middle``: to the result of
    the middle. ``levels``: to the result of each level of the way down, so that the next reads it;
    one more is for the middle. An empty one adds nothing. ``companions``: networks that are
    computed in step with the UNet.
    """

    skips: Sequence[Activations] = ()
    middle: Activations | None = None
    levels: Sequence[Activations] = ()
    companions: Sequence[Companion] = ()


NO_RESIDUALS: Final = Residuals()


def time_features(timesteps: Sequence[float], config: UNetConfig) -> NDArray[np.float32]:
    """Return sinusoids (B, C) of time steps, C being the first block's channels."""
    width = config.block_out_channels[0]
    return _sinusoids(timesteps, width, config.freq_shift, cosine_first=config.flip_sin_to_cos)


def size_features(numbers: Sequence[float], config: UNetConfig) -> NDArray[np.float32]:
    """Return sinusoids of SDXL's sizes, crops or scores, one after another: (n * C,)."""
    width = config.addition_time_embed_dim or 0
    flip = config.flip_sin_to_cos
    return _sinusoids(numbers, width, config.freq_shift, cosine_first=flip).reshape(-1)


def guidance_features(scale: float, config: UNetConfig) -> NDArray[np.float32]:
    """Return sinusoids (C,) of 1000 (scale - 1), which a consistency model embeds.

    (Meng et al. 2023, arXiv 2210.03142; Luo et al. 2023, arXiv 2310.04378.)
    """
    width = config.time_cond_proj_dim or 0
    return _sinusoids([1000.0 * (scale - 1.0)], width, 1.0, cosine_first=False).reshape(-1)


def _sinusoids(
    numbers: Sequence[float], width: int, shift: float, *, cosine_first: bool
) -> NDArray[np.float32]:
    """Return sinusoids (n, width) of falling frequencies; in float64, as GPUs' are imprecise.

    (Vaswani et al. 2017, arXiv 1706.03762, with diffusers' order and ``freq_shift``.)
    """
    half = width // 2
    exponent = -math.log(10000) * np.arange(half) / (half - shift)
    angles = np.asarray(numbers, np.float64)[:, None] * np.exp(exponent)
    first, second = np.sin(angles), np.cos(angles)
    if cosine_first:
        first, second = second, first
    result = np.zeros((len(angles), width), np.float32)
    result[:, :half], result[:, half : 2 * half] = first, second
    return result


class FeatureEmbedding(Module):
    """Two linear layers with SiLU between; ``condition`` is the width of a second input."""

    def __init__(self, inputs: int, outputs: int, condition: int | None = None) -> None:
        self.linear_1 = Linear(inputs, outputs, few_rows=True)
        self.cond_proj = Linear(condition, inputs, bias=False, few_rows=True) if condition else None
        self.linear_2 = Linear(outputs, outputs, few_rows=True)

    def __call__(
        self,
        features: Activations,
        condition: Activations | None = None,
        *,
        activation: str | None = None,
        residual: Activations | None = None,
    ) -> Activations:
        if self.cond_proj and condition is not None:
            features = self.cond_proj(condition, residual=features)
        h = self.linear_1(features, activation="silu")
        return self.linear_2(h, activation=activation, residual=residual)


class Block(Module):
    """One resolution: residual blocks, each followed by a transformer if ``depths`` has them."""

    def __init__(
        self, config: UNetConfig, level: int, inputs: Sequence[int], depths: Sequence[int]
    ) -> None:
        width = config.block_out_channels[level]
        groups, eps, time = config.norm_num_groups, config.norm_eps, config.time_embed_dim
        side = side_of(config, level)
        self.resnets = [ResnetBlock(count, width, groups, eps, time, side) for count in inputs]
        self.attentions = [transformer(config, level, depth) for depth in depths]

    def layer(
        self,
        index: int,
        x: Activations,
        shifts: Shifts,
        prompt: PromptKeys,
        second: Activations | None = None,
    ) -> Activations:
        """Return the result of residual block ``index`` and its transformer."""
        x = self.resnets[index](x, shifts, second)
        return self.attentions[index](x, prompt) if self.attentions else x


class DownBlock(Block):
    """A block of the way down; its outputs are the skip connections."""

    def __init__(self, config: UNetConfig, level: int) -> None:
        widths = config.block_out_channels
        before = widths[max(level - 1, 0)]
        inputs = [before] + [widths[level]] * (config.layers_per_block[level] - 1)
        attends = config.down_block_types[level] == "CrossAttnDownBlock2D"
        super().__init__(config, level, inputs, config.down_depths[level] if attends else ())
        last = level == len(widths) - 1
        padding = config.downsample_padding
        self.downsamplers = [] if last else [Downsample(widths[level], padding)]

    def __call__(
        self,
        x: Activations,
        shifts: Shifts,
        prompt: PromptKeys,
        residual: Activations | None = None,
        companions: Sequence[Companion] = (),
    ) -> list[Activations]:
        """Return all outputs; ``residual`` is added after the last attention, or at the end."""
        outputs = [x]
        for index in range(len(self.resnets)):
            after = self.layer(index, outputs[-1], shifts, prompt)
            outputs.append(follow_all(companions, outputs[-1], after))
        if residual is not None and self.attentions:
            outputs[-1] = add_images(outputs[-1], residual)
        for downsample in self.downsamplers:
            after = downsample(outputs[-1])
            outputs.append(follow_all(companions, outputs[-1], after))
        if residual is not None and not self.attentions:
            outputs[-1] = add_images(outputs[-1], residual)
        return outputs[1:]


class MidBlock(Module):
    """Residual block, transformer, residual block; or one residual block alone."""

    def __init__(self, config: UNetConfig) -> None:
        width = config.block_out_channels[-1]
        groups, eps, time = config.norm_num_groups, config.norm_eps, config.time_embed_dim
        attends = config.mid_block_type == "UNetMidBlock2DCrossAttn"
        last = len(config.block_out_channels) - 1
        side = side_of(config, last)
        self.resnets = [
            ResnetBlock(width, width, groups, eps, time, side) for _ in range(1 + attends)
        ]
        depth = config.mid_depth
        self.attentions = [transformer(config, last, depth, middle=True)] if attends else []

    def __call__(
        self, x: Activations, shifts: Shifts, prompt: PromptKeys, perturbed: int = 0
    ) -> Activations:
        x = self.resnets[0](x, shifts)
        probe = current_probe()
        if probe is not None and self.attentions:
            probe.sums = self.attentions[0].column_sums(x, probe.images)
        for attention, resnet in zip(self.attentions, self.resnets[1:], strict=True):
            x = resnet(attention(x, prompt, perturbed), shifts)
        return x


class UpBlock(Block):
    """A block of the way up; each residual block also reads a skip connection."""

    def __init__(self, config: UNetConfig, index: int) -> None:
        widths = config.block_out_channels
        level = len(widths) - 1 - index
        self._index = index
        before = widths[min(level + 1, len(widths) - 1)]
        count = config.layers_per_block[level] + 1
        skips = [widths[level]] * (count - 1) + [widths[max(level - 1, 0)]]
        inputs = [before] + [widths[level]] * (count - 1)
        sums = [a + b for a, b in zip(inputs, skips, strict=True)]
        attends = config.up_block_types[index] == "CrossAttnUpBlock2D"
        super().__init__(config, level, sums, config.up_depths[level] if attends else ())
        self.upsamplers = (
            [Upsample(widths[level], "about", side_of(config, level - 1))] if level else []
        )

    def __call__(
        self,
        x: Activations,
        shifts: Shifts,
        prompt: PromptKeys,
        skips: list[Activations],
        deep: DeepFeature | None = None,
        companions: Sequence[Companion] = (),
    ) -> Activations:
        """Return the result; layers that read no skip connection of ``skips`` are left out."""
        for index in range(max(0, len(self.resnets) - len(skips)), len(self.resnets)):
            if deep is not None and len(skips) == deep.branch + 1:
                x = deep.pass_on(x)
            for companion in companions:
                x = companion.lead(x)
            skip = repeat_images(skips.pop(), x.shape[0])
            x, skip = scale_features(self._index, x, skip)
            x = self.layer(index, x, shifts, prompt, skip)
        for upsample in self.upsamplers:
            # The next skip connection has the size of the way down, which may be odd.
            _, height, width, _ = skips[-1].shape
            x = upsample(x, (height, width))
        return x


def add_images(x: Activations, y: Activations) -> Activations:
    """Return the sum of two batches; the shorter one is repeated."""
    images = max(x.shape[0], y.shape[0])
    return add(repeat_images(x, images), repeat_images(y, images))


def follow_all(
    companions: Sequence[Companion], before: Activations, after: Activations
) -> Activations:
    """Return a layer's result once all companions have computed theirs, one after another."""
    for companion in companions:
        after = companion.follow(before, after)
    return after


def side_of(config: UNetConfig, level: int) -> int:
    """Return the side of a level's images at the size that the model was trained at."""
    return config.sample_size >> level


def transformer(
    config: UNetConfig, level: int, depth: int, *, middle: bool = False
) -> SpatialTransformer:
    """Return a level's spatial transformer; the ``middle`` one always attends to itself first."""
    return SpatialTransformer(
        config.block_out_channels[level],
        config.cross_attention_dim,
        config.heads[level],
        config.norm_num_groups,
        linear=config.use_linear_projection,
        depth=depth,
        only_cross=config.only_cross_attention[level] and not middle,
    )


class Encoder(Module):
    """The way down of a UNet and its middle, which control networks have, too."""

    _shifts: FusedLinear

    def __init__(self, config: UNetConfig) -> None:
        widths, time = config.block_out_channels, config.time_embed_dim
        added = config.projection_class_embeddings_input_dim
        self.conv_in = Conv2d(config.in_channels, widths[0], 3, padding=1)
        self.time_embedding = FeatureEmbedding(widths[0], time, config.time_cond_proj_dim)
        self.add_embedding = FeatureEmbedding(added, time) if added else None
        self.down_blocks = [DownBlock(config, level) for level in range(len(widths))]
        self.mid_block = MidBlock(config) if config.mid_block_type else None

    def rearranged_parameters(self) -> list[Parameter]:
        return FusedLinear.read_parameters(self._time_projections())

    def after_load(self) -> None:
        self._shifts = FusedLinear(self._time_projections(), few_rows=True)
        for resnet, first in zip(self._resnets(), self._shifts.offsets, strict=False):
            resnet.first_shift = first

    def _resnets(self) -> list[ResnetBlock]:
        return [resnet for block in self._blocks() for resnet in block.resnets]

    def _time_projections(self) -> list[Linear]:
        return [each.time_emb_proj for each in self._resnets() if each.time_emb_proj]

    def _blocks(self) -> list[Block | MidBlock]:
        middle = [self.mid_block] if self.mid_block else []
        return [*self.down_blocks, *middle]

    def cross_attentions(self) -> list[CrossAttention]:
        """Return all attentions to the prompt."""
        return [
            a for block in self._blocks() for t in block.attentions for a in t.cross_attentions()
        ]

    def prompt_keys(self, context: Activations) -> PromptKeys:
        """Compute keys and values of text embeddings (B, S, width), once for each prompt."""
        return {attention: attention.keys(context) for attention in self.cross_attentions()}

    def embed_added(self, vectors: Activations) -> Activations:
        """Compute what pooled text and size features (B, C) add to the time embedding."""
        if self.add_embedding is None:
            raise ArgumentError("unet: this model takes no pooled text and sizes")
        return self.add_embedding(vectors)

    def _go_down(
        self,
        x: Activations,
        shifts: Shifts,
        prompt: PromptKeys,
        residuals: Residuals = NO_RESIDUALS,
        perturbed: int = 0,
    ) -> tuple[list[Activations], Activations]:
        """Return all skip connections, and the result of the middle."""
        skips, levels, companions = [x], residuals.levels, residuals.companions
        for index, down in enumerate(self.down_blocks):
            level = levels[index] if levels else None
            skips += down(skips[-1], shifts, prompt, level, companions)
        x = skips[-1]
        if self.mid_block:
            if perturbed:
                x = repeat_images(x, max(shifts))
            x = follow_all(companions, x, self.mid_block(x, shifts, prompt, perturbed))
        if len(levels) > len(self.down_blocks):
            x = add_images(x, levels[-1])
        return skips, x

    def _time(
        self,
        features: Activations,
        added: Activations | None,
        guidance: Activations | None,
        companions: Sequence[Companion] = (),
    ) -> Activations:
        """Return the time embedding, with the SiLU that each residual block would apply to it."""
        if (added is None) is not (self.add_embedding is None):
            raise ArgumentError(
                "unet: `added` must be given for models with an add_embedding, and no others"
            )
        if (guidance is None) is not (self.time_embedding.cond_proj is None):
            raise ArgumentError(
                "unet: `guidance` must be given for models with a cond_proj, and no others"
            )
        if companions:
            time = self.time_embedding(features, guidance)
            for companion in companions:
                time = companion.mix_time(time, features)
            return nn.silu(time if added is None else add_images(time, added))
        if added is None:
            return self.time_embedding(features, guidance, activation="silu")
        return nn.silu(self.time_embedding(features, guidance, residual=added))


class UNet(Encoder):
    """The network from latents (B, H, W, C), time features (B, C) and prompt to a prediction.

    The prompt has ``parts`` times B rows, and so has the result: all images with the first part,
    then all with the next. Up to the first attention to the prompt the parts are equal, and are
    computed once. Special models have further inputs: ``added`` (parts B, time width) is
    `embed_added` of SDXL's pooled text and sizes, ``guidance`` (parts B, C) `guidance_features`.
    ``residuals``: what control networks add. ``perturbed``: of the last images, the middle's
    self-attention returns its values as they are.
    """

    def __init__(self, config: UNetConfig) -> None:
        super().__init__(config)
        widths = config.block_out_channels
        self.up_blocks = [UpBlock(config, index) for index in range(len(widths))]
        self.conv_norm_out = GroupNorm(config.norm_num_groups, widths[0], config.norm_eps)
        self.conv_out = Conv2d(widths[0], config.out_channels, 3, padding=1)

    def _blocks(self) -> list[Block | MidBlock]:
        return [*super()._blocks(), *self.up_blocks]

    def __call__(
        self,
        latents: Activations,
        features: Activations,
        prompt: PromptKeys,
        *,
        parts: int = 1,
        added: Activations | None = None,
        guidance: Activations | None = None,
        residuals: Residuals | None = None,
        perturbed: int = 0,
    ) -> Activations:
        images = parts * latents.shape[0]
        x = self.conv_in(latents)
        if added is not None or guidance is not None:  # parts differ from the first block on
            x, features = repeat_images(x, images), repeat_images(features, images)
        residuals = residuals or NO_RESIDUALS
        time = self._time(features, added, guidance, residuals.companions)
        shifts = self._shifts(time)
        shifts_of = {rows: repeat_images(shifts, rows) for rows in {x.shape[0], images}}
        for companion in residuals.companions:
            x = companion.begin(latents, x, time)
        deep = current_deep_feature()
        if deep is not None and deep.reuses:
            skips = self._first_skips(x, shifts_of, prompt, deep.branch + 1)
            return self._go_up(x, shifts_of, prompt, skips, images, deep)
        skips, x = self._go_down(x, shifts_of, prompt, residuals, perturbed)
        if residuals.skips:
            skips = list(map(add_images, skips, residuals.skips))
        if residuals.middle is not None:
            x = add_images(x, residuals.middle)
        return self._go_up(x, shifts_of, prompt, skips, images, deep, residuals.companions)

    def _go_up(
        self,
        x: Activations,
        shifts: Shifts,
        prompt: PromptKeys,
        skips: list[Activations],
        images: int,
        deep: DeepFeature | None,
        companions: Sequence[Companion] = (),
    ) -> Activations:
        """Return the prediction. With fewer skip connections, only the last layers are computed."""
        layers_after = sum(len(up.resnets) for up in self.up_blocks)
        for up in self.up_blocks:
            layers_after -= len(up.resnets)
            if len(skips) > layers_after:
                x = up(x, shifts, prompt, skips, deep, companions)
        return repeat_images(self.conv_out(self.conv_norm_out(x, silu=True)), images)

    def _first_skips(
        self, x: Activations, shifts: Shifts, prompt: PromptKeys, count: int
    ) -> list[Activations]:
        """Return the first ``count`` skip connections, and compute no others."""
        skips = [x]
        for block in self.down_blocks:
            for index in range(len(block.resnets)):
                if len(skips) == count:
                    return skips
                skips.append(block.layer(index, skips[-1], shifts, prompt))
            for downsample in block.downsamplers:
                if len(skips) < count:
                    skips.append(downsample(skips[-1]))
        return skips
