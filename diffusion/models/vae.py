"""The autoencoder of Stable Diffusion: images to latents and back (arXiv 2112.10752)."""

from __future__ import annotations

from diffusion.models.config import VaeConfig
from diffusion.models.layers import Activations, Conv2d, GroupNorm, Linear, Part, apply_parts
from diffusion.models.module import Module
from diffusion.models.resnet import Downsample, ResnetBlock, Upsample
from gpustd import attention

__all__ = ["Vae"]

_EPS = 1e-6


class SelfAttention(Module):
    """One head over all pixels."""

    def __init__(self, config: VaeConfig) -> None:
        width = config.block_out_channels[-1]
        self.group_norm = GroupNorm(config.norm_num_groups, width, _EPS)
        self.to_q = Linear(width, width)
        self.to_k = Linear(width, width)
        self.to_v = Linear(width, width)
        self.to_out = [Linear(width, width)]

    def __call__(self, x: Activations) -> Activations:
        tokens = x.view((x.shape[0], x.shape[1] * x.shape[2], x.shape[3]))
        h = self.group_norm(x).view(tokens.shape)
        h = attention(self.to_q(h), self.to_k(h), self.to_v(h), heads=1)
        return self.to_out[0](h, residual=tokens).view(x.shape)


def side_of(config: VaeConfig, level: int) -> int:
    """Return the side of a level's images at the size that the VAE was trained at."""
    return config.sample_size >> level


class MidBlock(Module):
    """Residual block, attention, residual block."""

    def __init__(self, config: VaeConfig) -> None:
        width = config.block_out_channels[-1]
        groups, side = config.norm_num_groups, side_of(config, len(config.block_out_channels) - 1)
        self.resnets = [ResnetBlock(width, width, groups, _EPS, side=side) for _ in range(2)]
        self.attentions = [SelfAttention(config)]

    def __call__(self, x: Activations) -> Activations:
        return self.resnets[1](self.attentions[0](self.resnets[0](x)))


class DownBlock(Module):
    """Residual blocks and, but for the last, a halving with padding at right and bottom only."""

    def __init__(self, config: VaeConfig, level: int) -> None:
        widths = config.block_out_channels
        inputs = [widths[max(level - 1, 0)]] + [widths[level]] * (config.layers_per_block - 1)
        groups, side = config.norm_num_groups, side_of(config, level)
        self.resnets = [ResnetBlock(n, widths[level], groups, _EPS, side=side) for n in inputs]
        last = level == len(widths) - 1
        self.downsamplers = [] if last else [Downsample(widths[level], (0, 1, 0, 1))]

    def __call__(self, x: Activations) -> Activations:
        for resnet in self.resnets:
            x = resnet(x)
        for downsample in self.downsamplers:
            x = downsample(x)
        return x


class UpBlock(Module):
    """Residual blocks and, but for the last, a doubling."""

    def __init__(self, config: VaeConfig, level: int) -> None:
        widths = config.block_out_channels
        before = widths[min(level + 1, len(widths) - 1)]
        inputs = [before] + [widths[level]] * config.layers_per_block
        groups, side = config.norm_num_groups, side_of(config, level)
        self.resnets = [ResnetBlock(n, widths[level], groups, _EPS, side=side) for n in inputs]
        self.upsamplers = [Upsample(widths[level], "twice")] if level else []

    def __call__(self, x: Activations) -> Activations:
        for resnet in self.resnets:
            x = resnet(x)
        for upsample in self.upsamplers:
            x = upsample(x)
        return x


class Encoder(Module):
    """The encoder from images to the moments of their latents."""

    def __init__(self, config: VaeConfig) -> None:
        widths = config.block_out_channels
        self.conv_in = Conv2d(config.in_channels, widths[0], 3, padding=1)
        self.down_blocks = [DownBlock(config, level) for level in range(len(widths))]
        self.mid_block = MidBlock(config)
        self.conv_norm_out = GroupNorm(config.norm_num_groups, widths[-1], _EPS)
        self.conv_out = Conv2d(widths[-1], 2 * config.latent_channels, 3, padding=1)

    @property
    def parts(self) -> list[Part]:
        """The parts of a call, in order."""
        return [self.conv_in, *self.down_blocks, self.mid_block, self._out]

    def _out(self, x: Activations) -> Activations:
        return self.conv_out(self.conv_norm_out(x, silu=True))

    def __call__(self, images: Activations) -> Activations:
        return apply_parts(self.parts, images)


class Decoder(Module):
    """The decoder from latents to images."""

    def __init__(self, config: VaeConfig) -> None:
        widths = config.block_out_channels
        self.conv_in = Conv2d(config.latent_channels, widths[-1], 3, padding=1)
        self.mid_block = MidBlock(config)
        self.up_blocks = [UpBlock(config, level) for level in reversed(range(len(widths)))]
        self.conv_norm_out = GroupNorm(config.norm_num_groups, widths[0], _EPS)
        self.conv_out = Conv2d(widths[0], config.out_channels, 3, padding=1)

    @property
    def parts(self) -> list[Part]:
        """The parts of a call, in order."""
        return [self.conv_in, self.mid_block, *self.up_blocks, self._out]

    def _out(self, x: Activations) -> Activations:
        return self.conv_out(self.conv_norm_out(x, silu=True))

    def __call__(self, latents: Activations) -> Activations:
        return apply_parts(self.parts, latents)


class Vae(Module):
    """Encoder and decoder; latents here are the network's own, before ``scaling_factor``."""

    def __init__(self, config: VaeConfig) -> None:
        latent = config.latent_channels
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)
        self.quant_conv = Conv2d(2 * latent, 2 * latent, 1)
        self.post_quant_conv = Conv2d(latent, latent, 1)

    @property
    def encoding(self) -> list[tuple[str, Part]]:
        """The parts of `moments` in order, each with the region that it records in."""
        parts: list[tuple[str, Part]] = [("vae/encoder", part) for part in self.encoder.parts]
        return [*parts, ("vae", self.quant_conv)]

    @property
    def decoding(self) -> list[tuple[str, Part]]:
        """The parts of `decode` in order, each with the region that it records in."""
        parts: list[tuple[str, Part]] = [("vae/decoder", part) for part in self.decoder.parts]
        return [("vae", self.post_quant_conv), *parts]

    def moments(self, images: Activations) -> Activations:
        """Encode (B, H, W, 3) in [-1, 1] to (B, H/8, W/8, 8): means, logarithms of variances."""
        return self.quant_conv(self.encoder(images))

    def decode(self, latents: Activations) -> Activations:
        """Decode (B, h, w, 4) to images (B, 8 h, 8 w, 3) in about [-1, 1]."""
        return self.decoder(self.post_quant_conv(latents))
