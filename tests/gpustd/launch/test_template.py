"""What profiles call the kernels of a template."""

from __future__ import annotations

import numpy as np

from gpucore import Device
from gpustd import gemm
from gpustd.launch.template import label_of


def test_a_label_says_what_is_on() -> None:
    spec = {"scalar": "f16", "source": "matmul/gemm/rows.wgsl", "bias": True, "two": False}
    spec |= {"activation": "none", "bm": 128, "scale": 0.5, "window": None}
    assert (
        label_of("matmul/gemm/tiled.wgsl", spec) == "gemm/tiled f16 gemm/rows bias bm128 scale0.5"
    )
    assert label_of("a/b.wgsl", {"activation": "silu"}) == "a/b silu"
    assert label_of("a/b.wgsl", {}) == "a/b"


def test_operations_give_their_kernels_labels() -> None:
    device = Device.null()
    x = device.buffer_from_array(np.ones((64, 64), np.float32))
    with device.profile() as profile:
        gemm(x, x)
    assert [record.label.split()[:2] for record in profile.records] == [["gemm/tiled", "f32"]]
