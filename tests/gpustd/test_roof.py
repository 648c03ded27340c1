"""The measured roof: rates of what really ran, and memory given back."""

from __future__ import annotations

from gpucore import Device, f32
from gpustd.roof import measured_roof


def test_the_roof_is_measured_and_leaves_nothing(device: Device) -> None:
    device.trim()
    before = device.memory.live
    roof = measured_roof(device, f32)
    # A machine that runs this at all does more than a GFLOP/s, and less than an exaFLOP/s.
    assert 1e9 < roof.flops_per_second < 1e18
    assert 1e8 < roof.bytes_per_second < 1e15
    assert device.memory.live <= before + 4096
