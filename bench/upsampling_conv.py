"""upsampling_conv2d at the sizes of the VAE of Stable Diffusion, and on a small image.

Its operations are counted as the direct form's, so that rates compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bench import conv
from bench.conv import OF_AUTOENCODERS
from bench.entry import Entry, Target
from gpucore import Device, DType, f16, f32
from gpustd import upsampling_conv2d, upsampling_weights

__all__ = ["ENTRIES"]


def entry(
    side: int,
    channels: int,
    dtype: type[DType],
    *,
    target: Target | None = None,
    cpu: bool = False,
) -> Entry:
    """To an image of ``side``; its peer convolves an image of that size."""
    direct = conv.entry(1, side, channels, channels, dtype, target=target, cpu=cpu)

    def setup(device: Device) -> Callable[[], object]:
        x, w = conv.operands(device, (1, side // 2, side // 2, channels), channels, dtype)
        u = upsampling_weights(w)
        return lambda: upsampling_conv2d(x, u)

    return replace(direct, name=direct.name.replace("conv", "upsampling conv", 1), setup=setup)


ENTRIES = [
    entry(512, 256, f16, target=OF_AUTOENCODERS),
    entry(256, 512, f16),
    entry(128, 512, f16),
    entry(128, 64, f32, cpu=True),
]
