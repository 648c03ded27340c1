"""Benchmark of winograd_conv2d where Stable Diffusion takes it, and on small images.

Operations are counted as those of the direct form, so that rates compare.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from bench import conv
from bench.conv import NEAR_CUDNN, OF_AUTOENCODERS
from bench.entry import Entry, Target
from gpucore import Device, DType, f16, f32
from gpustd import winograd_conv2d, winograd_weights
from tests.gpustd.reference.conv import Case
from tests.gpustd.reference.winograd import (
    AUTOENCODERS_BY_4,
    MORE_BY_2,
    MORE_BY_4,
    SMALL,
    UNET_32_BY_4,
    UNET_64_BY_4,
    UNET_BY_2,
)

__all__ = ["ENTRIES"]


def entry(
    case: Case,
    dtype: type[DType],
    *,
    block: int = 2,
    target: Target | None = None,
    cpu: bool = False,
) -> Entry:
    """Return the convolution that `bench.conv` times, in blocks of results of side ``block``.

    Its peer is that of the direct form.
    """
    direct = conv.entry(case, dtype, target=target, cpu=cpu)

    def setup(device: Device) -> Callable[[], object]:
        x, w = conv.operands(device, case, dtype)
        u = winograd_weights(w, block)
        return lambda: winograd_conv2d(x, u)

    name = direct.name.replace("conv", f"winograd by {block}", 1)
    return replace(direct, name=name, setup=setup)


ENTRIES = [
    *(entry(case, f16, block=4, target=NEAR_CUDNN) for case in UNET_64_BY_4),
    *(entry(case, f16, block=4, target=OF_AUTOENCODERS) for case in AUTOENCODERS_BY_4),
    *(entry(case, f16, block=4, target=NEAR_CUDNN) for case in UNET_32_BY_4),
    *(entry(case, f16, block=4) for case in MORE_BY_4),
    *(entry(case, f16, target=NEAR_CUDNN) for case in UNET_BY_2),
    *(entry(case, f16) for case in MORE_BY_2),
    entry(Case(2, 32, 32, 640, 640), f32),
    *(entry(case, f32, cpu=True) for case in SMALL),
]
