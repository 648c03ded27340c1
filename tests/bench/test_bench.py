"""The benchmarks' entries and their runner, on the null device: no time is judged."""

from __future__ import annotations

import importlib
import json
import sys
from pathlib import Path

import pytest

from bench.__main__ import entries, line, main, operations
from bench.entry import Entry
from bench.measure import measure
from gpucore import Device


@pytest.mark.parametrize("stem", operations())
def test_entries_say_what_they_are(stem: str) -> None:
    found: list[Entry] = importlib.import_module(f"bench.{stem}").ENTRIES
    assert len({entry.name for entry in found}) == len(found)
    assert any(entry.cpu and not entry.f16 for entry in found), "one that runs everywhere"
    assert all(entry.bytes > 0 and entry.flops >= 0 for entry in found)


def test_an_entry_is_measured() -> None:
    device = Device.null()
    entry = next(e for e in entries(["layer_norm"], device) if e.cpu)
    row = measure(device, entry, bandwidth=1e9)
    assert row.seconds > 0
    assert row.gbytes == pytest.approx(entry.bytes / row.seconds / 1e9)
    assert row.roof == pytest.approx(row.gbytes)
    assert row.peer_seconds is not None
    assert row.name in line(row)


def test_the_command_writes_json(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "bench.json"
    arguments = ["bench", "embedding", "--device", "null", "--json", str(file)]
    monkeypatch.setattr(sys, "argv", arguments)
    assert main() == 0
    result = json.loads(file.read_text())
    assert result["engine"] == "null"
    assert all(row["seconds"] > 0 for row in result["rows"])
    assert "GB/s" in capsys.readouterr().out


def test_an_unknown_operation_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", ["bench", "no_such_operation"])
    with pytest.raises(SystemExit, match="2"):
        main()
