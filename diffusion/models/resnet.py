"""The residual block of UNet and VAE, and their changes of resolution."""

from __future__ import annotations

from collections.abc import Mapping

from diffusion.models.layers import Activations, Conv2d, GroupNorm, Linear, Upsampling
from diffusion.models.module import Module
from gpustd import concat

__all__ = ["Downsample", "ResnetBlock", "Shifts", "Upsample"]

# Projected time embeddings of all blocks, by the number of images in a block's input.
Shifts = Mapping[int, Activations]


class ResnetBlock(Module):
    """norm, SiLU, conv, time embedding, norm, SiLU, conv, plus the (projected) input.

    ``second`` is a skip connection whose channels follow those of ``x``; it is read in place.
    ``shifts`` come from one matrix product for all blocks; this block's begin at ``first_shift``.
    ``side``: as in `Conv2d`. ``groups_out``: of the second norm, if it has others.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        groups: int,
        eps: float,
        time: int | None = None,
        side: int | None = None,
        groups_out: int | None = None,
    ) -> None:
        self.norm1 = GroupNorm(groups, inputs, eps)
        self.conv1 = Conv2d(inputs, outputs, 3, padding=1, side=side)
        self.time_emb_proj = Linear(time, outputs) if time else None
        self.norm2 = GroupNorm(groups_out or groups, outputs, eps)
        self.conv2 = Conv2d(outputs, outputs, 3, padding=1, side=side)
        self.conv_shortcut = Conv2d(inputs, outputs, 1) if inputs != outputs else None
        self.first_shift = 0

    def __call__(
        self,
        x: Activations,
        shifts: Shifts | None = None,
        second: Activations | None = None,
    ) -> Activations:
        h = self.norm1(x, silu=True, second=second)
        shift = shifts[x.shape[0]] if shifts else None
        h = self.conv1(h, per_image=shift, per_image_first=self.first_shift)
        h = self.norm2(h, silu=True)
        return self.conv2(h, residual=self._shortcut(x, second))

    def _shortcut(self, x: Activations, second: Activations | None) -> Activations:
        """Return the input with the output's channels."""
        if self.conv_shortcut:
            return self.conv_shortcut(x, second=second)
        return x if second is None else concat([x, second], axis=3)


class Downsample(Module):
    """Convolution of stride 2."""

    def __init__(self, channels: int, padding: int | tuple[int, int, int, int]) -> None:
        self.conv = Conv2d(channels, channels, 3, stride=2, padding=padding)

    def __call__(self, x: Activations) -> Activations:
        return self.conv(x)


class Upsample(Module):
    """Nearest-neighbour upsampling to a size, and a convolution, in one pass."""

    def __init__(self, channels: int, upsampling: Upsampling, side: int | None = None) -> None:
        self.conv = Conv2d(channels, channels, 3, padding=1, side=side, upsampling=upsampling)

    def __call__(self, x: Activations, size: tuple[int, int] | None = None) -> Activations:
        return self.conv(x, upsample=size or (2 * x.shape[1], 2 * x.shape[2]))
