"""The measurement of shared calls under load, with the bundled model: no time is judged."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from diffusion.checkpoints.bundled import bundled_model
from tools.batching_load import main


@pytest.mark.slow
def test_both_tables_are_made(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "load.json"
    small = ["--size", "32", "--steps", "2", "--jobs", "2", "--rounds", "1", "--loads", "1"]
    main([str(bundled_model()), *small, "--seconds", "0.5", "--json", str(file)])
    found = json.loads(file.read_text(encoding="utf-8"))
    assert [row["at_once"] for row in found["saturation"]] == [1, 2]
    assert all(row["same_bits"] for row in found["saturation"])
    assert [row["way"] for row in found["served"]] == ["one at a time", "shared calls"]
    assert all(row["pictures"] >= 4 and row["p95"] >= row["p50"] for row in found["served"])
    assert "images/call" in capsys.readouterr().out
