"""The measured roof: rates of what really ran, and memory given back."""

from __future__ import annotations

import pytest

from gpucore import Device, Graph, f32
from gpustd.tuning import roof as roofs
from gpustd.tuning.roof import matmul_rate, measured_roof


def test_the_roof_is_measured_and_leaves_nothing(device: Device) -> None:
    device.trim()
    before = device.memory.live
    roof = measured_roof(device, f32)
    # Wide limits, which a loaded machine keeps: they find a count in wrong units.
    assert 1e7 < roof.flops_per_second < 1e18
    assert 1e6 < roof.bytes_per_second < 1e15
    assert device.memory.live <= before + 4096


def test_a_card_that_was_idle_is_waited_for(null: Device, monkeypatch: pytest.MonkeyPatch) -> None:
    """It stays at the clock of an idle card for 0.4 s, and is twice as quick every 0.2 s then."""
    now = 0.0

    def replay(_: Graph) -> None:
        nonlocal now
        now += 16e-3 / min(8.0, 2.0 ** max(0, (now - 0.2) // 0.2))

    monkeypatch.setattr(Graph, "replay", replay)
    monkeypatch.setattr(roofs.time, "perf_counter", lambda: now)
    side = roofs._SIDE[null.is_cpu]
    assert matmul_rate(null, f32) == pytest.approx(2 * side**3 / (2e-3 / roofs._CALLS))
    assert now < 2.0
