"""Benchmark of low_rank_update beside the layers of SDXL."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.entry import Entry
from gpucore import Device, DType, f16, f32, u32
from gpustd.matmul.low_rank import low_rank_update
from tests.gpustd.reference.low_rank import SMALL, UNET_XL, Case

__all__ = ["ENTRIES"]


def entry(case: Case, dtype: type[DType], *, cpu: bool = False) -> Entry:
    """Return the update of all images from one slot."""
    images, width = len(case.chosen), case.groups * case.ranks

    def setup(device: Device) -> Callable[[], object]:
        rng = np.random.default_rng(0)
        x, down, up = (
            device.buffer_from_array(rng.standard_normal(shape), dtype)
            for shape in (
                (images, case.rows, case.k),
                (1, case.k, width),
                (1, case.ranks, case.n),
            )
        )
        chosen = device.buffer_from_array(np.zeros(images), u32)
        return lambda: low_rank_update(x, down, up, chosen, case.groups)

    rows = images * case.rows
    elements = rows * (case.k + case.n) + case.k * width + case.ranks * case.n
    return Entry(
        name=f"low-rank update {case.name} {dtype.name}",
        setup=setup,
        flops=2.0 * rows * (case.k * width + case.ranks * case.n),
        bytes=float(dtype.itemsize * elements),
        f16=dtype is f16,
        cpu=cpu,
    )


ENTRIES = [
    *(entry(case, f16) for case in UNET_XL),
    *(entry(case, f32, cpu=True) for case in SMALL),
]
