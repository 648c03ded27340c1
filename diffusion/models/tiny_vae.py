"""The tiny autoencoder TAESD (Ollin Boer Bohan 2023): latents to images in a few milliseconds.

It has convolutions and ReLU, no norms, no attention. Layers are numbered as in diffusers' sequence;
entries without weights are None.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

from diffusion.models.config import TinyVaeConfig
from diffusion.models.layers import Activations, Conv2d, Part, apply_parts
from diffusion.models.module import Module
from gpustd import concat, linear_combination, nn

__all__ = ["TinyVae"]

_LIMIT = 3.0
"""Latents are limited to ± this, by a tanh, before they are decoded."""
_LOG_VARIANCE = -30.0
"""The logarithm of no variance, since latents are not drawn: the least one that is used."""

Layers = list["Conv2d | Block | None"]


class Block(Module):
    """Three convolutions with ReLU, added to their input, and ReLU."""

    def __init__(self, channels: int) -> None:
        first, second, third = (Conv2d(channels, channels, 3, padding=1) for _ in range(3))
        self.conv = [first, None, second, None, third]
        self._convolutions = first, second, third

    def __call__(self, x: Activations) -> Activations:
        first, second, third = self._convolutions
        h = second(first(x, activation="relu"), activation="relu")
        return nn.relu(third(h, residual=x))


class Encoder(Module):
    """The encoder from images in [0, 1] to latents."""

    def __init__(self, config: TinyVaeConfig) -> None:
        layers: Layers = []
        for channels, blocks in zip(config.encoder_channels, config.encoder_blocks, strict=True):
            if layers:
                layers.append(Conv2d(channels, channels, 3, stride=2, padding=1, bias=False))
            else:
                layers.append(Conv2d(config.in_channels, channels, 3, padding=1))
            layers += [Block(channels) for _ in range(blocks)]
        last = config.encoder_channels[-1]
        self.layers = [*layers, Conv2d(last, config.latent_channels, 3, padding=1)]

    @property
    def parts(self) -> list[Part]:
        """The parts of a call, in order."""
        return [layer for layer in self.layers if layer is not None]

    def __call__(self, x: Activations) -> Activations:
        return apply_parts(self.parts, x)


class Decoder(Module):
    """The decoder from latents to images in [0, 1]. Upsampling is part of the convolution after."""

    def __init__(self, config: TinyVaeConfig) -> None:
        levels = list(zip(config.decoder_channels, config.decoder_blocks, strict=True))
        layers: Layers = [Conv2d(config.latent_channels, levels[0][0], 3, padding=1), None]
        for channels, blocks in levels[:-1]:
            layers += [Block(channels) for _ in range(blocks)]
            conv = Conv2d(channels, channels, 3, padding=1, bias=False, upsampling="twice")
            layers += [None, conv]
        channels, blocks = levels[-1]
        layers += [Block(channels) for _ in range(blocks)]
        self.layers = [*layers, Conv2d(channels, config.out_channels, 3, padding=1)]

    @property
    def parts(self) -> list[Part]:
        """The parts of a call, in order."""
        first, *rest = self.layers
        assert isinstance(first, Conv2d)
        parts: list[Part] = [functools.partial(first, activation="relu")]
        for before, layer in itertools.pairwise(rest):
            if isinstance(layer, Conv2d) and before is None:
                parts.append(functools.partial(_upsample_twice, layer))
            elif layer is not None:
                parts.append(layer)
        return parts

    def __call__(self, x: Activations) -> Activations:
        return apply_parts(self.parts, x)


def _upsample_twice(layer: Conv2d, x: Activations) -> Activations:
    """Return a convolution of ``x`` at twice its size."""
    return layer(x, upsample=(2 * x.shape[1], 2 * x.shape[2]))


class TinyVae(Module):
    """Encoder and decoder, in place of a `Vae`; latents are in the UNet's scale.

    A decoder alone has no encoder, and its ``encoding`` and `moments` must not be used.
    """

    def __init__(self, config: TinyVaeConfig) -> None:
        self.encoder = Encoder(config) if config.has_encoder else None
        self.decoder = Decoder(config)

    @property
    def encoding(self) -> list[tuple[str, Part]]:
        """The parts of `moments` in order, each with the region that it records in."""
        assert self.encoder is not None
        parts: list[tuple[str, Part]] = [("vae/encoder", part) for part in self.encoder.parts]
        return [("vae", _to_unit_range), *parts, ("vae", _with_variance)]

    @property
    def decoding(self) -> list[tuple[str, Part]]:
        """The parts of `decode` in order, each with the region that it records in."""
        parts: list[tuple[str, Part]] = [("vae/decoder", part) for part in self.decoder.parts]
        return [("vae", _limit), *parts, ("vae", _to_signed_range)]

    def moments(self, images: Activations) -> Activations:
        """Encode (B, H, W, 3) in [-1, 1] to (B, H/8, W/8, 8): latents, then `_LOG_VARIANCE`."""
        assert self.encoder is not None
        return _with_variance(self.encoder(_to_unit_range(images)))

    def decode(self, latents: Activations) -> Activations:
        """Decode (B, h, w, 4) to images (B, 8 h, 8 w, 3) in about [-1, 1]; reads latents back."""
        return _to_signed_range(self.decoder(_limit(latents)))


def _limit(latents: Activations) -> Activations:
    """Return latents within ± `_LIMIT`."""
    # On the host: there are too few numbers for a kernel of its own.
    limited = _LIMIT * np.tanh(latents.read().astype(np.float64) / _LIMIT)
    return latents.device.buffer_from_array(limited, latents.dtype)


def _with_variance(latents: Activations) -> Activations:
    """Return moments of latents that have no variance."""
    return concat([latents, _constant(latents, _LOG_VARIANCE)], 3)


def _to_unit_range(images: Activations) -> Activations:
    """Map [-1, 1] to [0, 1]."""
    return _affine(images, 0.5, 0.5)


def _to_signed_range(images: Activations) -> Activations:
    """Map [0, 1] to [-1, 1]."""
    return _affine(images, 2.0, -1.0)


def _affine(x: Activations, factor: float, offset: float) -> Activations:
    """Return ``factor`` · x + ``offset``."""
    return linear_combination([(factor, x), (offset, _constant(x, 1.0))])


def _constant(like: Activations, value: float) -> Activations:
    """Return a buffer of one number, in the shape of another."""
    return like.device.buffer_from_array(np.full(like.shape, value), like.dtype)
