"""Benchmark of fused_conv2d at the sizes of Stable Diffusion and of the bundled model."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.entry import Entry, Target
from bench.torch_peer import random
from gpucore import Buffer, Device, DType, f16, f32
from gpustd import fused_conv2d
from tests.gpustd.reference.conv import AUTOENCODERS, FEW_CHANNELS, SMALL, UNET, Case

__all__ = ["ENTRIES", "NEAR_CUDNN", "OF_AUTOENCODERS", "entry", "operands"]


def operands(device: Device, case: Case, dtype: type[DType]) -> tuple[Buffer[Any], Buffer[Any]]:
    """Return an image and the weights of a 3 x 3 convolution of it."""
    shape, outputs = (case.images, case.height, case.width, case.channels), case.outputs
    rng = np.random.default_rng(0)
    x = rng.standard_normal(shape)
    w = rng.standard_normal((3, 3, shape[3], outputs)) / (9 * shape[3]) ** 0.5
    return device.buffer_from_array(x, dtype), device.buffer_from_array(w, dtype)


def entry(
    case: Case, dtype: type[DType], *, target: Target | None = None, cpu: bool = False
) -> Entry:
    """Return one 3 x 3 convolution of a square image with padding 1."""
    images, side, channels, outputs = case.images, case.height, case.channels, case.outputs

    def setup(device: Device) -> Callable[[], object]:
        x, w = operands(device, case, dtype)
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


# The goals of convolutions, also of the quicker forms that replace them.
NEAR_CUDNN = Target("of peer", 0.85)
OF_AUTOENCODERS = Target("tflops", 350)

ENTRIES = [
    *(entry(case, f32, cpu=True) for case in SMALL),
    *(entry(case, f16, target=NEAR_CUDNN) for case in UNET),
    *(entry(case, f16, target=OF_AUTOENCODERS) for case in AUTOENCODERS),
    *(entry(case, f16) for case in FEW_CHANNELS),
]
