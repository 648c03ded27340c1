"""Real-ESRGAN's compact upscaler, SRVGGNetCompact (github.com/xinntao/Real-ESRGAN).

All convolutions work at the picture's own size. The last one makes the pixels of each new square,
which are added to the pixel that it stands on. Entries of ``body`` are numbered as in the files;
an activation without weights is None.
"""

from __future__ import annotations

from typing import Final

from diffusion.models.layers import Activations, Conv2d
from diffusion.models.module import Module
from diffusion.models.upscalers.config import COLOURS, CompactConfig
from diffusion.models.weights import Parameter
from gpustd import add, nn

__all__ = ["CompactUpscaler"]

_SLOPE: Final = 0.1


class Slopes(Module):
    """PReLU with a slope for each channel (He et al. 2015, arXiv 1502.01852)."""

    def __init__(self, channels: int) -> None:
        self.weight = Parameter((channels,), "vector")

    def __call__(self, x: Activations) -> Activations:
        return nn.prelu(x, self.weight.buffer)


class CompactUpscaler(Module):
    """The network from pictures (B, H, W, 3) in 0..1 to (B, scale H, scale W, 3) in about 0..1."""

    def __init__(self, config: CompactConfig) -> None:
        width, self._scale = config.width, config.scale
        self._activation = config.activation
        self.body: list[Conv2d | Slopes | None] = []
        for inputs in (COLOURS, *[width] * config.layers):
            self.body.append(Conv2d(inputs, width, 3, padding=1))
            self.body.append(Slopes(width) if config.activation == "prelu" else None)
        self.body.append(Conv2d(width, COLOURS * config.scale**2, 3, padding=1))

    def __call__(self, x: Activations) -> Activations:
        h = x
        for layer in self.body:
            h = self._activate(h) if layer is None else layer(h)
        details = nn.pixel_shuffle(h, self._scale)
        return add(details, nn.upsample_nearest(x, self._scale))

    def _activate(self, x: Activations) -> Activations:
        return nn.relu(x) if self._activation == "relu" else nn.leaky_relu(x, _SLOPE)
