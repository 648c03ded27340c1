"""ESRGAN and Real-ESRGAN: residual-in-residual dense blocks (Wang et al. 2018, arXiv 1809.00219).

Parameters have the names of Real-ESRGAN's files, but for the doublings of the size, which are a
list here.
"""

from __future__ import annotations

from typing import Final

from diffusion.models.layers import Activations, Conv2d
from diffusion.models.module import Module
from diffusion.models.upscalers.config import COLOURS, RrdbConfig
from gpustd import add, concat, linear_combination, nn

__all__ = ["RrdbNet"]

_SLOPE: Final = 0.2
_SHARE: Final = 0.2
"""How much of a block's result is added to its input."""


class DenseBlock(Module):
    """Five convolutions, each of which reads the results of all before."""

    def __init__(self, config: RrdbConfig) -> None:
        width, growth = config.width, config.growth
        self.conv1, self.conv2, self.conv3, self.conv4 = (
            Conv2d(width + n * growth, growth, 3, padding=1) for n in range(4)
        )
        self.conv5 = Conv2d(width + 4 * growth, width, 3, padding=1)
        self.conv1x1 = Conv2d(width, growth, 1, bias=False) if config.shortcuts else None

    def __call__(self, x: Activations) -> Activations:
        first = _leaky(self.conv1(x))
        second = _leaky(self.conv2(x, second=first))
        if self.conv1x1 is not None:
            second = self.conv1x1(x, residual=second)
        grown = concat([first, second], 3)
        third = _leaky(self.conv3(x, second=grown))
        grown = concat([grown, third], 3)
        fourth = _leaky(self.conv4(x, second=grown))
        if self.conv1x1 is not None:
            fourth = add(fourth, second)
        last = self.conv5(x, second=concat([grown, fourth], 3))
        return linear_combination([(_SHARE, last), (1.0, x)])


class ResidualBlock(Module):
    """Three dense blocks, a share of whose result is added to the input."""

    def __init__(self, config: RrdbConfig) -> None:
        self.rdb1, self.rdb2, self.rdb3 = (DenseBlock(config) for _ in range(3))

    def __call__(self, x: Activations) -> Activations:
        h = self.rdb3(self.rdb2(self.rdb1(x)))
        return linear_combination([(_SHARE, h), (1.0, x)])


class RrdbNet(Module):
    """The network from pictures (B, H, W, 3) in 0..1 to (B, scale H, scale W, 3) in about 0..1.

    Height and width must be multiples of the config's ``unshuffle``.
    """

    def __init__(self, config: RrdbConfig) -> None:
        width = config.width
        self.conv_first = Conv2d(COLOURS * config.unshuffle**2, width, 3, padding=1)
        self.body = [ResidualBlock(config) for _ in range(config.blocks)]
        self.conv_body = Conv2d(width, width, 3, padding=1)
        self.conv_up = [
            Conv2d(width, width, 3, padding=1, upsampling="twice") for _ in range(config.doublings)
        ]
        self.conv_hr = Conv2d(width, width, 3, padding=1)
        self.conv_last = Conv2d(width, COLOURS, 3, padding=1)
        self._unshuffle = config.unshuffle

    def __call__(self, x: Activations) -> Activations:
        if self._unshuffle > 1:
            x = nn.pixel_unshuffle(x, self._unshuffle)
        first = h = self.conv_first(x)
        for block in self.body:
            h = block(h)
        h = self.conv_body(h, residual=first)
        for layer in self.conv_up:
            h = _leaky(layer(h, upsample=(2 * h.shape[1], 2 * h.shape[2])))
        return self.conv_last(_leaky(self.conv_hr(h)))


def _leaky(x: Activations) -> Activations:
    return nn.leaky_relu(x, _SLOPE)
