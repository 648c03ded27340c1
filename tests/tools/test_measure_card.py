"""The list of what is measured on a card: its commands exist, and limits hold."""

from __future__ import annotations

import importlib.util
from pathlib import Path

import pytest

from tools.measure_card import MEASUREMENTS, Measurement, measure_all


@pytest.mark.parametrize("each", MEASUREMENTS, ids=lambda each: each.name)
def test_every_command_exists(each: Measurement) -> None:
    module = each.command.split()[0]
    assert importlib.util.find_spec(module) is not None
    assert each.command.format(device="cuda", json="a.json", folder="b")


def test_names_are_there_once() -> None:
    names = [each.name for each in MEASUREMENTS]
    assert len(set(names)) == len(names)


def test_limits_and_failures_are_told(tmp_path: Path) -> None:
    chosen = [
        Measurement("failing", 60, "http.server no-port"),
        Measurement("endless", 2, "http.server 0 --bind 127.0.0.1"),
        Measurement("long", 600, "this"),
    ]
    found = measure_all(chosen, tmp_path, tmp_path, "null", 300)
    assert [each.status for each in found] == ["status 2", "stopped", "left out"]
    assert found[1].seconds >= 2
    assert b"no-port" in (tmp_path / "failing.log").read_bytes()
    assert not (tmp_path / "long.log").exists()
