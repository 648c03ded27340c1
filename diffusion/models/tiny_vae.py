"""The tiny autoencoder TAESD (Ollin Boer Bohan 2023): latents to images in a few milliseconds.

Plain convolutions and ReLU, no norms, no attention. Layers have the numbers of the sequence that
diffusers keeps them in; entries without weights are None.
"""

from __future__ import annotations

import functools
import itertools

import numpy as np

from diffusion.models.config import TinyVaeConfig
from diffusion.models.layers import Activations, Conv2d, Part, in_turn
from diffusion.models.module import Module
from gpustd import concat, linear_combination, nn

__all__ = ["TinyVae"]

_LIMIT = 3.0
"""Latents beyond this are bent back before they are decoded."""
_LOG_VARIANCE = -30.0
"""Of latents that are not drawn but certain: the least that is counted with."""

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
    """Images in [0, 1] to latents."""

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
        """What follows one another in a call."""
        return [layer for layer in self.layers if layer is not None]

    def __call__(self, x: Activations) -> Activations:
        return in_turn(self.parts, x)


class Decoder(Module):
    """Latents to images in [0, 1]. Enlarging is part of the convolution after it."""

    def __init__(self, config: TinyVaeConfig) -> None:
        levels = list(zip(config.decoder_channels, config.decoder_blocks, strict=True))
        layers: Layers = [Conv2d(config.latent_channels, levels[0][0], 3, padding=1), None]
        for channels, blocks in levels[:-1]:
            layers += [Block(channels) for _ in range(blocks)]
            enlarging = Conv2d(channels, channels, 3, padding=1, bias=False, enlarged="twice")
            layers += [None, enlarging]
        channels, blocks = levels[-1]
        layers += [Block(channels) for _ in range(blocks)]
        self.layers = [*layers, Conv2d(channels, config.out_channels, 3, padding=1)]

    @property
    def parts(self) -> list[Part]:
        """What follows one another in a call."""
        first, *rest = self.layers
        assert isinstance(first, Conv2d)
        parts: list[Part] = [functools.partial(first, activation="relu")]
        for before, layer in itertools.pairwise(rest):
            if isinstance(layer, Conv2d) and before is None:
                parts.append(functools.partial(_enlarged, layer))
            elif layer is not None:
                parts.append(layer)
        return parts

    def __call__(self, x: Activations) -> Activations:
        return in_turn(self.parts, x)


def _enlarged(layer: Conv2d, x: Activations) -> Activations:
    """A convolution of ``x`` at twice its size."""
    return layer(x, upsample=(2 * x.shape[1], 2 * x.shape[2]))


class TinyVae(Module):
    """Encoder and decoder, in the place of a `Vae`; latents are the UNet's own."""

    def __init__(self, config: TinyVaeConfig) -> None:
        self.encoder = Encoder(config)
        self.decoder = Decoder(config)

    @property
    def encoding(self) -> list[tuple[str, Part]]:
        """The parts of `moments` in turn, each with the region that it records in."""
        parts: list[tuple[str, Part]] = [("vae/encoder", part) for part in self.encoder.parts]
        return [("vae", _unsigned), *parts, ("vae", _certain)]

    @property
    def decoding(self) -> list[tuple[str, Part]]:
        """The parts of `decode` in turn, each with the region that it records in."""
        parts: list[tuple[str, Part]] = [("vae/decoder", part) for part in self.decoder.parts]
        return [("vae", _bent), *parts, ("vae", _signed)]

    def moments(self, images: Activations) -> Activations:
        """(B, H, W, 3) in [-1, 1] to (B, H/8, W/8, 8): latents, and their lack of variance."""
        return _certain(self.encoder(_unsigned(images)))

    def decode(self, latents: Activations) -> Activations:
        """(B, h, w, 4) to images (B, 8 h, 8 w, 3) in about [-1, 1]. Reads the latents back."""
        return _signed(self.decoder(_bent(latents)))


def _bent(latents: Activations) -> Activations:
    """Latents within the limit."""
    # Few numbers: what bends them is not worth a kernel.
    bent = _LIMIT * np.tanh(latents.read().astype(np.float64) / _LIMIT)
    return latents.device.buffer_from_array(bent, latents.dtype)


def _certain(latents: Activations) -> Activations:
    """Moments of latents that have no variance."""
    return concat([latents, _filled(latents, _LOG_VARIANCE)], 3)


def _unsigned(images: Activations) -> Activations:
    return _affine(images, 0.5, 0.5)


def _signed(images: Activations) -> Activations:
    return _affine(images, 2.0, -1.0)


def _affine(x: Activations, factor: float, offset: float) -> Activations:
    return linear_combination([(factor, x), (offset, _filled(x, 1.0))])


def _filled(like: Activations, value: float) -> Activations:
    """A buffer of one number."""
    return like.device.buffer_from_array(np.full(like.shape, value), like.dtype)
