"""Fixtures of the tests of benchmarks."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def small_roof(monkeypatch: pytest.MonkeyPatch) -> None:
    """Measure roofs with small arrays, since the null device copies on the host."""
    monkeypatch.setattr("gpustd.tuning.roof._ELEMENTS", {True: 1024, False: 1024})
    monkeypatch.setattr("gpustd.tuning.roof._SIDE", {True: 64, False: 64})
    monkeypatch.setattr("gpustd.tuning.roof._QUIET_S", {True: 0.01, False: 0.01})
