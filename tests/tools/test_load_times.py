"""The parts of loading: none is counted twice, and the time of none is lost."""

from __future__ import annotations

import itertools
from pathlib import Path

import pytest

from diffusion.checkpoints.bundled import named_model
from diffusion.checkpoints.safetensors import read_ahead
from gpucore import Device, Graph
from tools import load_times


def test_the_time_of_what_is_inside_is_its_own(monkeypatch: pytest.MonkeyPatch) -> None:
    now = itertools.count()  # a second passes with each look at the clock
    monkeypatch.setattr("tools.load_times.time.perf_counter", lambda: float(next(now)))
    clock = load_times.Clock()
    with clock.during("captures"):
        with clock.during("files"):
            pass
        with clock.during("files"):
            pass
    found = clock.take()
    assert found == dict.fromkeys(load_times.NAMES, 0.0) | {"rest": 2, "captures": 3, "files": 2}
    assert clock.take()["rest"] == 1
    with clock.during("plans"), clock.during("captures"):
        pass
    assert clock.take()["captures"] == 0, "all of planning is planning"


def test_both_parts_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    before = Graph.__enter__, Device.trim, read_ahead._READERS
    folder = named_model(None)
    assert isinstance(folder, Path)
    options = ["--device", "null", "--dtype", "f32", "--size", "64", "--readers", "1,3"]
    load_times.main([str(folder), *options])
    _, *rows = capsys.readouterr().out.splitlines()
    assert [row.split(" | ")[:2] for row in rows] == [
        ["| 1", "loading"],
        ["| 1", "step"],
        ["| 3", "loading"],
        ["| 3", "step"],
    ]
    found = load_times.load_times(folder, "null", "f32", 64, readers=2)
    for seconds, busy in zip(found, (("files", "writes"), ("captures",)), strict=True):
        assert all(seconds[name] > 0 for name in busy)
    assert (Graph.__enter__, Device.trim, read_ahead._READERS) == before


def test_what_a_budget_costs_is_told() -> None:
    folder = named_model(None)
    assert isinstance(folder, Path)
    plain, _ = load_times.load_times(folder, "null", "f32", 64, readers=1)
    loading, _ = load_times.load_times(folder, "null", "f32", 64, readers=1, vram="30M")
    assert plain["plans"] == plain["keeps"] == 0
    assert loading["plans"] > 0
    assert loading["keeps"] > 0
