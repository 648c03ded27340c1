"""The table of budgets: what is planned is what a run takes, and pictures keep their bits."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import pytest

from diffusion.checkpoints.bundled import named_model
from gpucore import Device
from tools import memory_table


def rows_of(
    monkeypatch: pytest.MonkeyPatch, target: Path, device: Device, *options: str
) -> list[dict[str, Any]]:
    """Return the rows that the tool writes for small pictures of the bundled model."""
    model = str(named_model(None))
    common = ["--size", "64", "--steps", "2", "--dtype", "f32", "--device", device.backend]
    arguments = [model, *common, "--json", str(target), *options]
    monkeypatch.setattr(sys, "argv", ["memory_table", *arguments])
    memory_table.main()
    found: list[dict[str, Any]] = json.loads(target.read_text(encoding="utf-8"))
    return found


def test_plans_within_budgets(
    device: Device,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    rows = rows_of(monkeypatch, tmp_path / "rows.json", device, "--budgets", "40M,1M")
    assert [row["budget"] for row in rows] == [None, "40M"]
    whole, small = rows
    assert whole["placement"] == "all weights on the device"
    assert small["placement"] != whole["placement"]
    assert small["planned"] <= 40 * 2**20 / 1e6 < whole["planned"]
    assert all(row["measured"] is None for row in rows)
    printed = capsys.readouterr()
    assert len(printed.out.splitlines()) == 3
    assert "1M" in printed.err
    assert "needs" in printed.err


# Each engine's bytes are those of its plan in `tests/diffusion/memory`; three engines took minutes.
@pytest.mark.one_engine
def test_measured_bytes_are_the_plans(
    device: Device, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    options = ("--measure", "--weights", "q8_0,fp8", "--budgets", "14M")
    rows = rows_of(monkeypatch, tmp_path / "rows.json", device, *options)
    assert [(row["weights"], row["budget"]) for row in rows] == [
        ("q8_0", None),
        ("q8_0", "14M"),
        ("fp8", None),
        ("fp8", "14M"),
    ]
    assert any(row["moved_per_call"] for row in rows)
    for row in rows:
        assert row["measured"] == pytest.approx(row["planned"], rel=0.02)
        assert row["equal"] is True
        assert 0 < row["load_s"] < row["first_step_s"]
        assert row["picture_s"] > 0
        assert row["call_ms"] > 0
        copies = [row["copy_ms"], row["rate_gb_s"]]
        assert all(copies) if row["moved_per_call"] else copies == [None, None]
