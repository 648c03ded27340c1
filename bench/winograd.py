"""winograd_conv2d at the sizes of Stable Diffusion's UNet where it is taken, and on small images.

Its operations are counted as the direct form's, so that rates compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np

from bench import conv
from bench.entry import Entry
from gpucore import Device, DType, f16, f32
from gpustd import winograd_conv2d, winograd_weights

__all__ = ["ENTRIES"]


def entry(
    images: int, side: int, channels: int, outputs: int, dtype: type[DType], *, cpu: bool = False
) -> Entry:
    """The convolution that `bench.conv` times, by other means, its peer's time beside it."""
    direct = conv.entry(images, side, channels, outputs, dtype, cpu=cpu)

    def setup(device: Device) -> Callable[[], object]:
        rng = np.random.default_rng(0)
        x = device.buffer_from_array(
            rng.standard_normal((images, side, side, channels)).astype(dtype.numpy), dtype
        )
        w = rng.standard_normal((3, 3, channels, outputs)) / (9 * channels) ** 0.5
        u = winograd_weights(device.buffer_from_array(w.astype(dtype.numpy), dtype))
        return lambda: winograd_conv2d(x, u)

    return replace(direct, name=direct.name.replace("conv", "winograd", 1), setup=setup)


ENTRIES = [
    entry(2, 64, 640, 640, f16),
    entry(2, 32, 640, 640, f16),
    entry(2, 32, 1920, 640, f16),
    entry(2, 32, 1280, 1280, f16),
    entry(2, 16, 1280, 1280, f16),
    entry(2, 16, 2560, 1280, f16),
    entry(1, 64, 512, 512, f16),
    entry(2, 32, 640, 640, f32),
    entry(2, 32, 64, 64, f32, cpu=True),
    entry(2, 16, 256, 128, f32, cpu=True),
    entry(1, 128, 32, 32, f32, cpu=True),
]
