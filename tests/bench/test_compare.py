"""The comparison of two benchmark results: ratios, the limit, files that cannot be compared."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from bench.compare import main
from bench.entry import Row
from bench.report import make_report
from gpucore import Device

BEFORE = {"gemm": 0.002, "cast": 0.004}


def write_result(file: Path, seconds: dict[str, Any], **machine: str) -> str:
    """Write a result file as the benchmarks do; return its path."""
    rows = [Row(name, value) for name, value in seconds.items()]
    file.write_text(json.dumps(make_report(Device.null(), rows) | machine))
    return str(file)


@pytest.fixture
def before(tmp_path: Path) -> str:
    return write_result(tmp_path / "before.json", BEFORE)


@pytest.mark.parametrize(
    ("cast", "limit", "status"),
    [
        (0.004, "0%", 0),
        (0.0044, "20%", 0),
        (0.006, "50%", 0),
        (0.0061, "50%", 1),
        (0.00422, "5%", 1),
        (0.001, "0%", 0),
    ],
)
def test_an_entry_past_the_limit_fails(
    cast: float, limit: str, status: int, before: str, tmp_path: Path
) -> None:
    after = write_result(tmp_path / "after.json", BEFORE | {"cast": cast})
    assert main([before, after, "--limit", limit]) == status


def test_the_table_shows_both_times_and_who_is_slower(
    before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    after = write_result(tmp_path / "after.json", {"cast": 0.008, "gemm": 0.002})
    assert main([before, after]) == 1
    gemm, cast = capsys.readouterr().out.splitlines()[1:3]
    assert gemm.split() == ["gemm", "2.0000", "ms", "2.0000", "ms", "1.000"]
    assert cast.split() == ["cast", "4.0000", "ms", "8.0000", "ms", "2.000", "slower"]


def test_what_differs_otherwise_is_told(
    before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    after = write_result(tmp_path / "after.json", {"gemm": 0.002, "conv": 1.0}, adapter="Card")
    assert main([before, after, "--other-machine", "--other-selection"]) == 0
    out = capsys.readouterr().out
    for part in (
        "other adapter: 'null device' before, 'Card' after",
        "only before: cast",
        "only after: conv",
        "0 of 1 entries",
    ):
        assert part in out


@pytest.mark.parametrize("key", ["adapter", "backend", "driver"])
def test_other_machines_are_compared_only_when_told(
    key: str, before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    after = write_result(tmp_path / "after.json", BEFORE, **{key: "other"})
    assert main([before, after]) == 2
    out, err = capsys.readouterr()
    assert not out
    assert f"other {key}: " in err
    assert "--other-machine" in err
    assert main([before, after, "--other-machine"]) == 0


def test_an_entry_that_is_gone_fails_and_a_new_one_does_not(
    before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    after = write_result(tmp_path / "after.json", {"gemm": 0.002})
    assert main([before, after]) == 1
    out, err = capsys.readouterr()
    assert "only before: cast" in out
    assert "entries missing in AFTER: 1; give --other-selection" in err
    assert main([before, after, "--other-selection"]) == 0
    assert main([after, before]) == 0
    slow = write_result(tmp_path / "slow.json", {"gemm": 1.0})
    assert main([before, slow, "--other-selection"]) == 1


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "must be JSON"),
        ("[]", "has no rows"),
        ('{"rows": [{"name": "gemm"}]}', "must have name and seconds"),
        ('{"rows": [{"name": "gemm", "seconds": null}]}', "must have name and seconds"),
        ('{"rows": [{"name": "gemm", "seconds": NaN}]}', "seconds must be a positive number"),
        ('{"rows": [{"name": "gemm", "seconds": 0}]}', "seconds must be a positive number"),
        ('{"rows": [{"name": "gemm", "seconds": -1}]}', "seconds must be a positive number"),
        ('{"rows": [{"name": "a", "seconds": 1}, {"name": "a", "seconds": 2}]}', "'a' twice"),
        ('{"rows": [{"name": "other", "seconds": 1}]}', "no entry in common"),
    ],
)
def test_what_cannot_be_compared_is_refused(
    text: str, message: str, before: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "after.json").write_text(text)
    assert main([before, str(tmp_path / "after.json")]) == 2
    assert message in capsys.readouterr().err


def test_a_missing_file_and_a_wrong_limit(before: str) -> None:
    assert main([before, "nowhere.json"]) == 2
    for limit in ("5", "nan%", "-1%", "5%%", "fast"):
        with pytest.raises(SystemExit, match="2"):
            main([before, before, "--limit", limit])
