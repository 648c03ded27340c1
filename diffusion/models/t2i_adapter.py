"""T2I-Adapter: a small network from a picture to features of a UNet's levels.

(Mou et al. 2023, arXiv 2302.08453.)
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from diffusion.models.control_config import AdapterConfig
from diffusion.models.layers import Activations, Conv2d, PointwiseConv, apply_parts
from diffusion.models.module import Module
from gpustd import concat, maximum, mean, slice_axis

__all__ = ["T2IAdapter", "unshuffle"]


def unshuffle(pixels: NDArray[np.floating], factor: int) -> NDArray[np.floating]:
    """Return blocks of ``factor`` pixels along both sides of (B, H, W, C) as channels."""
    batch, height, width, channels = pixels.shape
    blocks = pixels.reshape(batch, height // factor, factor, width // factor, factor, channels)
    return blocks.transpose(0, 1, 3, 5, 2, 4).reshape(*blocks.shape[:2], blocks.shape[3], -1)


class _ResidualBlock(Module):
    """Two convolutions with ReLU between, added to their input; ``kernel``: the second one's."""

    def __init__(self, width: int, kernel: int) -> None:
        self.block1 = Conv2d(width, width, 3, padding=1)
        self.block2 = Conv2d(width, width, kernel, padding=kernel // 2)

    def __call__(self, x: Activations) -> Activations:
        return self.block2(maximum(self.block1(x), 0.0), residual=x)


class _Level(Module):
    """One size: ``halves`` it first; a ``narrow`` one computes in a quarter of the channels."""

    def __init__(
        self, inputs: int, outputs: int, blocks: int, *, halves: bool, narrow: bool
    ) -> None:
        width = outputs // 4 if narrow else outputs
        has_first = narrow or inputs != outputs
        self.in_conv = PointwiseConv(inputs, width) if has_first else None
        self.resnets = [_ResidualBlock(width, 3 if narrow else 1) for _ in range(blocks)]
        self.out_conv = PointwiseConv(width, outputs) if narrow else None
        self._halves = halves

    def __call__(self, x: Activations) -> Activations:
        x = _halve(x) if self._halves else x
        x = self.in_conv(x) if self.in_conv else x
        x = apply_parts(self.resnets, x)
        return self.out_conv(x) if self.out_conv else x


class _Body(Module):
    """The convolutions of an adapter."""

    def __init__(self, config: AdapterConfig) -> None:
        narrow = config.kind == "light_adapter"
        inputs = config.inputs * config.downscale**2
        outputs = config.outputs
        self.conv_in = None if narrow else Conv2d(inputs, outputs[0], 3, padding=1)
        before = (inputs if narrow else outputs[0], *outputs)
        halving = (2,) if config.kind == "full_adapter_xl" else range(1, len(outputs))
        self.body = [
            _Level(before[level], width, config.blocks, halves=level in halving, narrow=narrow)
            for level, width in enumerate(outputs)
        ]

    def __call__(self, x: Activations) -> Activations:
        return self.conv_in(x) if self.conv_in else x


class T2IAdapter(Module):
    """The network from `unshuffle` of a picture (B, H, W, C) in 0..1 to features of each level."""

    def __init__(self, config: AdapterConfig) -> None:
        self.adapter = _Body(config)

    def __call__(self, blocks: Activations) -> list[Activations]:
        x = self.adapter(blocks)
        found = []
        for level in self.adapter.body:
            x = level(x)
            found.append(x)
        return found


def _halve(x: Activations) -> Activations:
    """Return means of 2 x 2 pixels; at an odd side the last ones are of those that are there."""
    for axis in (1, 2):
        side = x.shape[axis]
        if side % 2:
            x = concat([x, slice_axis(x, axis, side - 1, side)], axis)
    batch, height, width, channels = x.shape
    blocks = x.view((batch, height // 2, 2, width // 2, 2, channels))
    return mean(blocks, axis=(2, 4))
