"""winograd_conv2d at the sizes of Stable Diffusion where it is taken, and on small images.

Its operations are counted as the direct form's, so that rates compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bench import conv
from bench.conv import NEAR_CUDNN, OF_AUTOENCODERS
from bench.entry import Entry, Target
from gpucore import Device, DType, f16, f32
from gpustd import winograd_conv2d, winograd_weights

__all__ = ["ENTRIES"]


def entry(
    images: int,
    side: int,
    channels: int,
    outputs: int,
    dtype: type[DType],
    *,
    block: int = 2,
    target: Target | None = None,
    cpu: bool = False,
) -> Entry:
    """The convolution that `bench.conv` times, by other means, its peer's time beside it.

    ``block``: side of the blocks of results.
    """
    direct = conv.entry(images, side, channels, outputs, dtype, target=target, cpu=cpu)

    def setup(device: Device) -> Callable[[], object]:
        x, w = conv.operands(device, (images, side, side, channels), outputs, dtype)
        u = winograd_weights(w, block)
        return lambda: winograd_conv2d(x, u)

    name = direct.name.replace("conv", f"winograd by {block}", 1)
    return replace(direct, name=name, setup=setup)


ENTRIES = [
    entry(2, 64, 320, 320, f16, block=4, target=NEAR_CUDNN),
    entry(2, 64, 640, 320, f16, block=4, target=NEAR_CUDNN),
    entry(2, 64, 960, 320, f16, block=4, target=NEAR_CUDNN),
    entry(1, 64, 512, 512, f16, block=4),
    entry(1, 128, 512, 512, f16, block=4, target=OF_AUTOENCODERS),
    entry(1, 256, 512, 256, f16, block=4, target=OF_AUTOENCODERS),
    entry(1, 256, 256, 256, f16, block=4, target=OF_AUTOENCODERS),
    entry(1, 512, 256, 256, f16, block=4, target=OF_AUTOENCODERS),
    entry(1, 512, 256, 128, f16, block=4, target=OF_AUTOENCODERS),
    entry(2, 64, 640, 640, f16, block=4),
    entry(2, 128, 320, 320, f16, block=4),
    entry(2, 64, 640, 640, f16),
    entry(2, 32, 320, 640, f16, block=4, target=NEAR_CUDNN),
    entry(2, 32, 640, 640, f16, block=4, target=NEAR_CUDNN),
    entry(2, 32, 960, 640, f16, block=4, target=NEAR_CUDNN),
    entry(2, 32, 1280, 640, f16, block=4, target=NEAR_CUDNN),
    entry(2, 32, 1920, 640, f16, block=4, target=NEAR_CUDNN),
    entry(2, 32, 1280, 1280, f16),
    entry(2, 16, 640, 1280, f16, target=NEAR_CUDNN),
    entry(2, 16, 1280, 1280, f16, target=NEAR_CUDNN),
    entry(2, 16, 1920, 1280, f16, target=NEAR_CUDNN),
    entry(2, 16, 2560, 1280, f16, target=NEAR_CUDNN),
    entry(2, 32, 640, 640, f32),
    entry(2, 32, 64, 64, f32, cpu=True),
    entry(2, 16, 256, 128, f32, cpu=True),
    entry(1, 128, 32, 32, f32, cpu=True),
]
