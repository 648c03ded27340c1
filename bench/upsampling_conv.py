"""Benchmark of upsampling_conv2d at the sizes of the VAE of Stable Diffusion, and on a small image.

Operations are counted as those of the direct form, so that rates compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bench import conv
from bench.conv import OF_AUTOENCODERS
from bench.entry import Entry, Target
from gpucore import Device, DType, f16, f32
from gpustd import upsampling_conv2d, upsampling_weights
from tests.gpustd.reference.conv import Case
from tests.gpustd.reference.upsampling_conv import LARGE, SMALL

__all__ = ["ENTRIES"]


def entry(
    case: Case, dtype: type[DType], *, target: Target | None = None, cpu: bool = False
) -> Entry:
    """Return one enlarging convolution; its peer convolves an image of the result's size."""
    side = 2 * case.height
    enlarged = replace(case, height=side, width=side)
    direct = conv.entry(enlarged, dtype, target=target, cpu=cpu)

    def setup(device: Device) -> Callable[[], object]:
        x, w = conv.operands(device, case, dtype)
        u = upsampling_weights(w)
        return lambda: upsampling_conv2d(x, u)

    return replace(direct, name=direct.name.replace("conv", "upsampling conv", 1), setup=setup)


ENTRIES = [
    entry(LARGE[0], f16, target=OF_AUTOENCODERS),
    *(entry(case, f16) for case in LARGE[1:]),
    *(entry(case, f32, cpu=True) for case in SMALL),
]
