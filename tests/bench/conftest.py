"""What the tests of benchmarks share."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def small_roof(monkeypatch: pytest.MonkeyPatch) -> None:
    """The null device copies on the host: little is enough."""
    monkeypatch.setattr("gpustd.tuning.roof._ELEMENTS", {True: 1024, False: 1024})
    monkeypatch.setattr("gpustd.tuning.roof._SIDE", {True: 64, False: 64})
    monkeypatch.setattr("gpustd.tuning.roof._QUIET_S", {True: 0.01, False: 0.01})
