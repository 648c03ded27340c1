"""fused_conv2d at the sizes of Stable Diffusion's UNet and VAE, and of the bundled model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.entry import Entry, Target
from bench.torch_peer import random
from gpucore import Buffer, Device, DType, f16, f32
from gpustd import fused_conv2d

__all__ = ["ENTRIES", "NEAR_CUDNN", "OF_AUTOENCODERS", "entry", "operands"]


def operands(
    device: Device, shape: tuple[int, int, int, int], outputs: int, dtype: type[DType]
) -> tuple[Buffer[Any], Buffer[Any]]:
    """An image of ``shape`` and the weights of a 3x3 convolution of it."""
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    w = rng.standard_normal((3, 3, shape[3], outputs)) / (9 * shape[3]) ** 0.5
    return device.buffer_from_array(x, dtype), device.buffer_from_array(w, dtype)


def entry(
    images: int,
    side: int,
    channels: int,
    outputs: int,
    dtype: type[DType],
    *,
    target: Target | None = None,
    cpu: bool = False,
) -> Entry:
    """One 3x3 convolution of a square image with padding 1."""

    def setup(device: Device) -> Callable[[], object]:
        x, w = operands(device, (images, side, side, channels), outputs, dtype)
        return lambda: fused_conv2d(x, w, padding=1)

    def in_torch(torch: Any) -> Callable[[], object]:
        last = torch.channels_last
        x = random(torch, (images, channels, side, side), dtype).to(memory_format=last)
        w = random(torch, (outputs, channels, 3, 3), dtype).to(memory_format=last)
        return lambda: torch.nn.functional.conv2d(x, w, padding=1)

    pixels = images * side * side
    return Entry(
        name=f"conv 3x3 {images}x{side}x{side}x{channels}->{outputs} {dtype.name}",
        setup=setup,
        flops=2.0 * pixels * 9 * channels * outputs,
        bytes=float(dtype.itemsize * (pixels * (channels + outputs) + 9 * channels * outputs)),
        torch=in_torch,
        target=target,
        f16=dtype is f16,
        cpu=cpu,
    )


# The goals of convolutions, here and in the forms that take their place where they are quicker.
NEAR_CUDNN = Target("of peer", 0.85)
OF_AUTOENCODERS = Target("tflops", 350)

ENTRIES = [
    entry(2, 32, 64, 64, f32, cpu=True),
    entry(2, 16, 128, 128, f32, cpu=True),
    entry(1, 256, 32, 32, f32, cpu=True),
    entry(2, 64, 320, 320, f16, target=NEAR_CUDNN),
    entry(2, 32, 640, 640, f16, target=NEAR_CUDNN),
    entry(2, 16, 1280, 1280, f16, target=NEAR_CUDNN),
    entry(2, 16, 2560, 1280, f16, target=NEAR_CUDNN),
    entry(2, 8, 1280, 1280, f16, target=NEAR_CUDNN),
    entry(2, 8, 2560, 1280, f16, target=NEAR_CUDNN),
    entry(1, 128, 512, 512, f16, target=OF_AUTOENCODERS),
    entry(1, 512, 256, 256, f16, target=OF_AUTOENCODERS),
    entry(1, 512, 256, 128, f16, target=OF_AUTOENCODERS),
    entry(1, 512, 128, 128, f16, target=OF_AUTOENCODERS),
    entry(2, 64, 4, 320, f16),
    entry(1, 64, 4, 512, f16),
    entry(2, 64, 320, 4, f16),
    entry(1, 512, 128, 3, f16),
]
