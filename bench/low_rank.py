"""Benchmark of low_rank_update beside the layers of SDXL."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from bench.entry import Entry
from gpucore import Device, f16, u32
from gpustd.matmul.low_rank import low_rank_update
from tests.gpustd.reference.low_rank import UNET_XL, Case

__all__ = ["ENTRIES"]


def entry(case: Case) -> Entry:
    """Return the update of all images from one slot."""
    images, width = len(case.chosen), case.groups * case.ranks

    def setup(device: Device) -> Callable[[], object]:
        rng = np.random.default_rng(0)
        x, down, up = (
            device.buffer_from_array(rng.standard_normal(shape), f16)
            for shape in (
                (images, case.rows, case.k),
                (1, case.k, width),
                (1, case.ranks, case.n),
            )
        )
        chosen = device.buffer_from_array(np.zeros(images), u32)
        return lambda: low_rank_update(x, down, up, chosen, case.groups)

    rows = images * case.rows
    return Entry(
        name=f"low-rank update {case.name} f16",
        setup=setup,
        flops=2.0 * rows * (case.k * width + case.ranks * case.n),
        bytes=2.0 * (rows * (case.k + case.n) + case.k * width + case.ranks * case.n),
        f16=True,
    )


ENTRIES = [entry(case) for case in UNET_XL]
