"""ControlNet: a copy of a UNet's encoder that reads a picture (Zhang et al. 2023, 2302.05543)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

from diffusion.models.control_config import ControlNetConfig
from diffusion.models.layers import (
    Activations,
    Conv2d,
    LayerNorm,
    Linear,
    PointwiseConv,
    apply_parts,
    repeat_images,
)
from diffusion.models.module import Module
from diffusion.models.transformer import PromptKeys
from diffusion.models.unet import Encoder, FeatureEmbedding, Residuals
from diffusion.models.weights import Parameter
from gpucore import ArgumentError
from gpustd import add, gemm, mean, slice_axis

__all__ = ["ControlNet", "HintEncoder"]


class HintEncoder(Module):
    """Convolutions from a picture (B, H, W, C) in 0..1 to features of the latents' size."""

    def __init__(self, inputs: int, widths: Sequence[int], outputs: int) -> None:
        self.conv_in = Conv2d(inputs, widths[0], 3, padding=1)
        self.blocks = []
        for width, following in pairwise(widths):
            self.blocks.append(Conv2d(width, width, 3, padding=1))
            self.blocks.append(Conv2d(width, following, 3, padding=1, stride=2))
        self.conv_out = Conv2d(widths[-1], outputs, 3, padding=1)

    def __call__(self, picture: Activations) -> Activations:
        x = self.conv_in(picture, activation="silu")
        for block in self.blocks:
            x = block(x, activation="silu")
        return self.conv_out(x)


class _SelfAttention(Module):
    """Attention of a token to itself alone: its value, projected.

    The published code lets tokens attend along the batch, whose rows it makes equal. So each sees
    itself alone, for any batch (xinsir6/ControlNetPlus, models/controlnet_union.py).
    """

    def __init__(self, width: int) -> None:
        self.in_proj_weight = Parameter((3 * width, width), "linear")
        self.in_proj_bias = Parameter((3 * width,), "vector")
        self.out_proj = Linear(width, width, few_rows=True)
        self._width = width

    def __call__(self, x: Activations, residual: Activations) -> Activations:
        first, end = 2 * self._width, 3 * self._width
        weight = slice_axis(self.in_proj_weight.buffer, 1, first, end)
        bias = slice_axis(self.in_proj_bias.buffer, 0, first, end)
        return self.out_proj(gemm(x, weight, bias=bias, few_rows=True), residual=residual)


class _Mlp(Module):
    """Two linear layers with GELU's quick form between."""

    def __init__(self, width: int) -> None:
        self.c_fc = Linear(width, 4 * width, few_rows=True)
        self.c_proj = Linear(4 * width, width, few_rows=True)

    def __call__(self, x: Activations, residual: Activations) -> Activations:
        return self.c_proj(self.c_fc(x, activation="quick_gelu"), residual=residual)


class _Fusion(Module):
    """A transformer block over tokens (B, width)."""

    def __init__(self, width: int) -> None:
        self.attn = _SelfAttention(width)
        self.ln_1 = LayerNorm(width)
        self.mlp = _Mlp(width)
        self.ln_2 = LayerNorm(width)

    def __call__(self, x: Activations) -> Activations:
        x = self.attn(self.ln_1(x), x)
        return self.mlp(self.ln_2(x), x)


class ControlNet(Encoder):
    """The network from latents, time, prompt and a picture's features to `Residuals`.

    Inputs are those of `UNet`; ``hint`` is what ``controlnet_cond_embedding`` makes of the picture,
    which stays the same over a run.
    """

    def __init__(self, config: ControlNetConfig) -> None:
        super().__init__(config.unet)
        self.controlnet_cond_embedding = HintEncoder(
            config.hint_inputs, config.hint_channels, config.unet.block_out_channels[0]
        )
        widths = _skip_widths(config)
        self.controlnet_down_blocks = [PointwiseConv(width, width) for width in widths]
        last = config.unet.block_out_channels[-1]
        self.controlnet_mid_block = PointwiseConv(last, last)
        self._pools = config.pools
        self.task_embedding: Parameter | None = None
        if config.types:
            self._add_union(config)

    def _add_union(self, config: ControlNetConfig) -> None:
        """Add the layers that tell kinds of pictures apart (ControlNet++, the union model)."""
        width, sizes = config.unet.block_out_channels[0], config.unet.addition_time_embed_dim or 0
        self.task_embedding = Parameter((config.types, width))
        self.transformer_layes = [_Fusion(width) for _ in range(config.fusions)]
        self.spatial_ch_projs = Linear(width, width, few_rows=True)
        self.control_add_embedding = FeatureEmbedding(
            sizes * config.types, config.unet.time_embed_dim
        )

    def read_picture(self, picture: Activations, kind: int | None = None) -> Activations:
        """Return the features of a picture (B, H, W, C) in 0..1; ``kind``: for a union."""
        found = self.controlnet_cond_embedding(picture)
        if self.task_embedding is None:
            return found
        if kind is None:
            raise ArgumentError("controlnet: a union needs the kind of its picture")
        task = slice_axis(self.task_embedding.buffer, 0, kind, kind + 1)
        token = apply_parts(self.transformer_layes, add(mean(found, axis=(1, 2)), task))
        shift = self.spatial_ch_projs(token)
        return add(found, shift.view((shift.shape[0], 1, 1, shift.shape[1])))

    def embed_kinds(self, features: Activations) -> Activations:
        """Return what features (B, C) of a union's kinds add to the time embedding."""
        return self.control_add_embedding(features)

    def __call__(
        self,
        latents: Activations,
        features: Activations,
        prompt: PromptKeys,
        hint: Activations,
        *,
        parts: int = 1,
        added: Activations | None = None,
    ) -> Residuals:
        images = parts * latents.shape[0]
        x = self.conv_in(latents, residual=repeat_images(hint, latents.shape[0]))
        if added is not None:  # parts differ from the first block on
            x, features = repeat_images(x, images), repeat_images(features, images)
        shifts = self._shifts(self._time(features, added, None))
        shifts_of = {rows: repeat_images(shifts, rows) for rows in {x.shape[0], images}}
        skips, x = self._go_down(x, shifts_of, prompt)
        projections = zip(self.controlnet_down_blocks, skips, strict=True)
        found = [self._pool(project(skip)) for project, skip in projections]
        return Residuals(found, self._pool(self.controlnet_mid_block(x)))

    def _pool(self, residual: Activations) -> Activations:
        """Return the mean over the picture, where the network was trained for it."""
        return mean(residual, axis=(1, 2), keepdims=True) if self._pools else residual


def _skip_widths(config: ControlNetConfig) -> list[int]:
    """Return the channels of the skip connections."""
    widths = config.unet.block_out_channels
    found = [widths[0]]
    for level, (width, count) in enumerate(zip(widths, config.unet.layers_per_block, strict=True)):
        found += [width] * (count + (level < len(widths) - 1))
    return found
